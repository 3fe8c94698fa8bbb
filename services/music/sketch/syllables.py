"""Lines of lyrics as syllables: how many, on which vowel, after which consonant.

Good enough to sing by; knows spelling, not pronunciation. Latin, Cyrillic and Greek letters by vowel groups,
Chinese, Japanese and Korean by character, other scripts by length.
"""

import re
import unicodedata
from dataclasses import dataclass

_VOWELS = "aeiouyаеёиоуыэюяіїєαεηιουω"
_GROUPS = re.compile(f"[{_VOWELS}]+")
_SPOKEN_E = re.compile(r"(?:[^aeiouy]le|[cszxg]es|[td]ed)$")
# Vowel group → colour; the first that matches.
_COLOURS = (
    ("ee|ea|ie|ei|y$|^i|и|і|ι|η|ї", "i"), ("oo|ou|ew|^u|у|ю|υ", "u"),
    ("^o|о|ё|ω", "o"), ("^e|е|э|є|ε", "e"), ("", "a"),
)  # fmt: skip


@dataclass(frozen=True)
class Syllable:
    vowel: str  # one of "aeiou"
    onset: str  # the consonant letters before it, lower case; "" when there are none


def syllables(line: str) -> tuple[Syllable, ...]:
    """The syllables of one sung line; empty only when nothing in it can be sung."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", line.lower()) if not unicodedata.combining(c))
    out: list[Syllable] = []
    for word in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d", unicodedata.normalize("NFC", plain)):
        out.extend(_of_word(word.replace("'", "").replace("’", "")))
    return tuple(out)


def _of_word(word: str) -> list[Syllable]:
    if word.isdigit():
        return [Syllable("aiueoaieoa"[int(word)], "t")]
    if ord(word[0]) > 0x2E80:  # CJK: a character is a syllable
        return [Syllable("aeiou"[ord(c) % 5], "k" if ord(c) % 3 == 0 else "n") for c in word]
    groups = list(_GROUPS.finditer(word))
    silent = word.endswith(("e", "es", "ed")) and not _SPOKEN_E.search(word)
    if len(groups) > 1 and groups[-1].group() == "e" and silent:
        groups.pop()  # "time", "times", "loved"
    if not groups:
        known = bool(re.search("[a-zа-яα-ω]", word))
        return [Syllable("a", word[0])] * (1 if known else max((len(word) + 1) // 3, 1))
    out, before = [], 0
    for group in groups:
        colour = next(colour for pattern, colour in _COLOURS if re.search(pattern, group.group()))
        out.append(Syllable(colour, word[before : group.start()][-2:]))
        before = group.end()
    return out
