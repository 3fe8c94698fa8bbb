"""A second reading of the CMU dictionary: raw file, own definition of rhyme, nothing of the service's code.

Two words rhyme when some pronunciation of each is the same from its last vowel of primary stress on, and
the consonants before that vowel differ.
"""

import lzma
import re
from functools import cache
from pathlib import Path

RAW = Path(__file__).parents[2] / "services" / "lyrics" / "data" / "cmudict.dict.xz"

Sound = tuple[
    tuple[str, ...], tuple[str, ...]
]  # what stands before the stressed vowel, what follows from it on


@cache
def dictionary() -> dict[str, list[list[str]]]:
    """Word to its pronunciations, each a list of phonemes with stress digits."""
    found: dict[str, list[list[str]]] = {}
    for line in lzma.decompress(RAW.read_bytes()).decode().splitlines():
        head, *phonemes = line.split("#")[0].split()
        found.setdefault(re.sub(r"\(\d\)$", "", head), []).append(phonemes)
    return found


def last_word(line: str) -> str:
    words: list[str] = re.findall(r"[a-z']+", line.lower())
    return words[-1].strip("'")


@cache
def sounds(word: str) -> set[Sound]:
    result = set()
    for phonemes in dictionary().get(word, []):
        vowels = [i for i, phoneme in enumerate(phonemes) if phoneme[-1].isdigit()]
        main = [i for i in vowels if phonemes[i].endswith("1")] or vowels
        start = onset = main[-1]
        while onset and not phonemes[onset - 1][-1].isdigit():
            onset -= 1
        plain = [re.sub(r"\d", "", phoneme) for phoneme in phonemes]
        result.add((tuple(plain[onset:start]), tuple(plain[start:])))
    return result


def rhyme(a: str, b: str) -> bool:
    return any(x[1] == y[1] and x[0] != y[0] for x in sounds(a) for y in sounds(b))


def scheme_faults(lines: list[str], scheme: str) -> list[str]:
    """What in a stanza does not follow its scheme."""
    ends = [last_word(line) for line in lines]
    faults = []
    for i in range(len(ends)):
        for j in range(i):
            if (scheme[i] == scheme[j]) != rhyme(ends[i], ends[j]):
                faults.append(f"{scheme}: {ends[j]} / {ends[i]}")
    return faults
