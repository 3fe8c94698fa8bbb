"""How a word that the dictionary lacks is probably said: from its parts, or as words spelled like it are.

Knows endings, beginnings, compounds and numbers of English. `bench/lyrics_pronunciation.py` measures it.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

from services.lyrics.dictionary import Pronunciation, alike, has, read, shared_start
from services.lyrics.numerals import spoken

_Phonemes = tuple[str, ...]

_VOICELESS = frozenset(["P", "T", "K", "F", "TH", "S", "SH", "CH"])
_SIBILANT = frozenset(["S", "Z", "SH", "ZH", "CH", "JH"])
# Endings that leave the stress where it is, and how they are said.
_ENDINGS: dict[str, _Phonemes] = {
    "ingly": ("IH0", "NG", "L", "IY0"), "lessness": ("L", "AH0", "S", "N", "AH0", "S"),
    "fully": ("F", "AH0", "L", "IY0"), "ings": ("IH0", "NG", "Z"), "ness": ("N", "AH0", "S"),
    "less": ("L", "AH0", "S"), "ment": ("M", "AH0", "N", "T"), "ship": ("SH", "IH0", "P"),
    "like": ("L", "AY2", "K"), "able": ("AH0", "B", "AH0", "L"), "hood": ("HH", "UH2", "D"),
    "ful": ("F", "AH0", "L"), "ing": ("IH0", "NG"), "est": ("AH0", "S", "T"), "ish": ("IH0", "SH"),
    "ism": ("IH2", "Z", "AH0", "M"), "ers": ("ER0", "Z"), "er": ("ER0",), "or": ("ER0",), "ly": ("L", "IY0"),
    "y": ("IY0",), "ie": ("IY0",),
}  # fmt: skip
_BEGINNINGS: dict[str, _Phonemes] = {
    "under": ("AH2", "N", "D", "ER0"), "over": ("OW2", "V", "ER0"), "out": ("AW1", "T"),
    "non": ("N", "AA0", "N"), "mis": ("M", "IH0", "S"), "dis": ("D", "IH0", "S"),
    "un": ("AH0", "N"), "re": ("R", "IY0"),
    "pre": ("P", "R", "IY0"), "a": ("AH0",),
}  # fmt: skip
_LEAST_STEM = 3
_LEAST_PART = 3  # letters of each half of a compound
_NEIGHBOURS = 16
_LEAST_SHARED = 2  # letters of an ending that say something about its sound
_VOWEL_LETTERS = re.compile("[aeiouy]+")
_DRAWN_OUT = re.compile(r"(.)\1\1+")


def guess(word: str) -> tuple[Pronunciation, ...]:
    """The probable pronunciations of a word (lower case, apostrophes straight); none without an idea.

    Never looks up the word itself, so that words of the dictionary can be held out. "rainin'" is "raining"
    with an N, "kids'" sounds as "kids", "moonglow" is "moon" and "glow", "27" is "twenty-seven".
    """
    if word.isdecimal():
        return _joined(read(part) for part in spoken(int(word))) if len(word) <= 9 else ()
    word = _plain(written := word)
    bare = word.strip("'")
    if not bare.replace("'", "").isascii() or not _VOWEL_LETTERS.search(bare):
        return ()
    if _DRAWN_OUT.search(bare) and (short := _first(_shortened(bare))):
        return short
    found = [*_possessive(bare), *_dropped_g(word)]
    if bare != written and not found:
        found = [*read(bare)]
    found = found or [*_inflected(bare)] or [*_compound(bare)] or [*_derived(bare)] or [*_as_alike(bare)]
    return tuple(dict.fromkeys(found))


def _plain(word: str) -> str:
    """Without accents: "voilà" is read as "voila"."""
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


def _shortened(word: str) -> Iterator[str]:
    """ "heyyy" is "hey", "soooo" is "so", "oooh" is "ooh"."""
    yield _DRAWN_OUT.sub(r"\1", word)
    yield _DRAWN_OUT.sub(r"\1\1", word)


def _possessive(word: str) -> Iterator[Pronunciation]:
    if word.endswith("'s"):
        for base in read(word[:-2]) or guess(word[:-2]):
            yield Pronunciation(base.phonemes + _sibilant(base.phonemes[-1]))
    elif "'" in word:
        for base in read(word.replace("'", "")):
            yield base


def _dropped_g(word: str) -> Iterator[Pronunciation]:
    """ "rainin'", and "rainin" where it stands without its apostrophe."""
    if word.endswith("in'") and len(word) > 4:
        whole = word[:-1] + "g"
        for base in read(whole) or guess(whole):
            yield Pronunciation((*base.phonemes[:-1], "N"))
    elif word.endswith("in") and has(word + "g") and len(word) > 4:
        for base in read(word + "g"):
            yield Pronunciation((*base.phonemes[:-1], "N"))


def _inflected(word: str) -> Iterator[Pronunciation]:
    if word.endswith("s") and not word.endswith("ss"):
        stems = [word[:-1]]
        if word.endswith("es"):
            stems.append(word[:-2])
        if word.endswith("ies"):
            stems.append(word[:-3] + "y")
        for base in _first(stem for stem in stems if len(stem) >= 2):
            yield Pronunciation(base.phonemes + _sibilant(base.phonemes[-1]))
    elif word.endswith("ed"):
        for base in _first(_stems(word[:-2])):
            last = base.phonemes[-1]
            ending = ("IH0", "D") if last in {"T", "D"} else ("T",) if last in _VOICELESS else ("D",)
            yield Pronunciation(base.phonemes + ending)


def _derived(word: str) -> Iterator[Pronunciation]:
    for ending, sound in _ENDINGS.items():
        if word.endswith(ending):
            for base in _first(_stems(word[: -len(ending)])):
                yield Pronunciation(_before(sound, base.phonemes) + sound)
                return
    for beginning, sound in _BEGINNINGS.items():
        rest = word[len(beginning) :]
        if word.startswith(beginning) and len(rest) > _LEAST_STEM:
            for base in read(rest):
                yield Pronunciation(sound + base.phonemes)
                return


def _before(ending: _Phonemes, stem: _Phonemes) -> _Phonemes:
    """A stem's phonemes before an ending: "sparkle" loses its weak vowel in "sparkler"."""
    if ending[0][-1].isdigit() and stem[-2:] == ("AH0", "L"):
        return (*stem[:-2], "L")
    return stem


def _compound(word: str) -> Iterator[Pronunciation]:
    """Two words in one: the first carries the stress, the second keeps a lesser one, as in "moonlight"."""
    halves = [
        (word[:cut], word[cut:])
        for cut in range(_LEAST_PART, len(word) - _LEAST_PART + 1)
        if has(word[:cut]) and has(word[cut:]) and _VOWEL_LETTERS.search(word[cut:])
    ]
    if not halves or len(word) < 2 * _LEAST_PART + 1:
        return
    first, second = max(halves, key=lambda pair: min(len(pair[0]), len(pair[1])))
    tail = tuple(phoneme.replace("1", "2") for phoneme in read(second)[0].phonemes)
    yield Pronunciation(read(first)[0].phonemes + tail)


def _as_alike(word: str) -> Iterator[Pronunciation]:
    """With the ending that most words of that spelling have, and the syllables that their spelling gives.

    The weights are the best of those tried on held-out words: neighbours of as many vowels count more.
    """
    letters = re.sub("[^a-z]", "", word)
    keys: Counter[_Phonemes] = Counter()
    extra: Counter[int] = Counter()
    groups = len(_VOWEL_LETTERS.findall(letters))
    for other in alike(letters, _NEIGHBOURS):
        shared = shared_start(letters[::-1], other[::-1])
        if shared < _LEAST_SHARED:
            continue
        said = read(other)[0]
        weight = shared**4 * (4 if len(_VOWEL_LETTERS.findall(other)) == groups else 1)
        keys[_ending(said)] += weight
        extra[said.syllables - len(_VOWEL_LETTERS.findall(other))] += weight
    if not keys:
        return
    ending = keys.most_common(1)[0][0]
    wanted = groups + extra.most_common(1)[0][0]
    before = wanted - Pronunciation(ending).syllables
    yield Pronunciation(("AH0",) * max(0, before) + ending)


def _ending(said: Pronunciation) -> _Phonemes:
    return said.phonemes[len(said.phonemes) - len(said.rhyme_key) :]


def _stems(stem: str) -> Iterator[str]:
    """What a stem may have been before an ending: "hop(p)", "hop(e)", "tr(i→y)"."""
    if len(stem) < _LEAST_STEM:
        return
    if stem[-1] == stem[-2] and stem[-1] not in "aeious":
        yield stem[:-1]
    if stem.endswith("i"):
        yield stem[:-1] + "y"
    if not stem.endswith(("e", "i")) and stem[-1] not in "wy":
        yield from (stem, stem + "e") if _closed(stem) else (stem + "e", stem)
    else:
        yield stem


def _closed(stem: str) -> bool:
    """Whether a stem stands by itself: two consonants or two vowels before its end, unlike "hop(e)"."""
    return stem[-2] not in "aeiou" or (len(stem) > 2 and stem[-3] in "aeiou")


def _first(stems: Iterable[str]) -> tuple[Pronunciation, ...]:
    return next((found for stem in stems if (found := read(stem))), ())


def _joined(parts: Iterable[tuple[Pronunciation, ...]]) -> tuple[Pronunciation, ...]:
    return (Pronunciation(tuple(phoneme for part in parts for phoneme in part[0].phonemes)),)


def _sibilant(after: str) -> _Phonemes:
    if after in _SIBILANT:
        return ("IH0", "Z")
    return ("S",) if after in _VOICELESS else ("Z",)
