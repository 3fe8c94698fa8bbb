"""What a prompt asks of the arrangement: instruments and those it forbids, sections, how it starts and ends.

Knows English phrases; decides nothing about the music.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from services.music.sketch.vocabulary import GUITARS, INSTRUMENTS, KINDS, SECTION_WORDS

_FORBIDS = re.compile(r"\b(?:no|not|without|minus|lacking)\s+(?:any\s+|the\s+)?$")
_GOES_ON = re.compile(r"\s*(?:,?\s*(?:or|nor)\s+|\s+and\s+|\s*[/&]\s*)(?:no\s+|any\s+)?")
_VOICELESS = re.compile(
    r"\b(?:no|without)\s+(?:any\s+)?(?:\w+\s+(?:or|and)\s+)?(?:vocals?|voices?|singing|singers?|lyrics)\b"
)
_DRUMLESS = re.compile(r"\b(?:drumless|beatless|a\s?cappella|(?:no|without(?:\s+an?)?)\s+beats?)\b")
_STARTS = re.compile(
    r"\b(?:start|begin|open)(?:s|ing)?\s+(?:off\s+|out\s+)?(?:with|on)\s+"
    r"(?:(?:only|just|solo|lone|single|the|an?|some)\s+)*"
)
_FADES = re.compile(
    r"\bfad(?:e|es|ing)[\s-]*(?:out|away)\b|\b(?:end|ends|ending|finish\w*|close\w*)\s+(?:with|on|in)\s+a\s+"
    r"(?:slow\s+|long\s+|gentle\s+)?fade\b|\bfade[\s-]*(?:out\s+)?ending\b"
)
_DROP = re.compile(r"\b(?:beat\s+)?drops?\b")
# What "a drop" stands for: twice a rise and a fall.
_RISE_AND_DROP = ("intro", "pre-chorus", "chorus", "break", "pre-chorus", "chorus", "outro")


def found(text: str, word: str, plural: bool = False) -> Iterator[tuple[int, int]]:
    """Where a word stands in a text, alone. Its spaces and hyphens may be left out or exchanged."""
    return (match.span() for match in _pattern(word, plural).finditer(text))


@lru_cache(maxsize=4096)
def _pattern(word: str, plural: bool) -> re.Pattern[str]:
    spelled = re.escape(word).replace(r"\ ", r"[\s-]?").replace(r"\-", r"[\s-]?").replace(r"\&", r"\s?&\s?")
    return re.compile(rf"(?<![\w&]){spelled}{'s?' if plural else ''}(?![\w&])")


def _named(text: str) -> list[tuple[int, int, str]]:
    """(start, end, word) of every instrument; of words within one another the longest."""
    taken: list[tuple[int, int, str]] = []
    for word in sorted(INSTRUMENTS, key=len, reverse=True):
        for start, end in found(text, word, plural=True):
            if any(start < b and a < end for a, b, _ in taken):
                continue  # "guitar" within "acoustic guitar"
            taken.append((start, end, word))
    genre = [m.span() for m in re.finditer(r"drum\W{0,3}(?:and|n|&)?\W{0,3}bass|bass music|beats?\b", text)]
    return sorted(
        (start, end, word) for start, end, word in taken if not any(a <= start < b for a, b in genre)
    )


def instruments(
    text: str, guitar: tuple[str, str] = ("chords", "steel_guitar")
) -> tuple[Mapping[str, tuple[str, ...]], tuple[str, ...], frozenset[str]]:
    """(role → sounds, names for people, roles and sounds that are forbidden).

    `guitar`: role and sound of one that the text does not say more of.
    """
    wanted: dict[str, list[str]] = {}
    names: list[str] = []
    silent: set[str] = {"drums"} if _DRUMLESS.search(text) else set()
    if _VOICELESS.search(text):
        silent.add("voice")
    refused = -1  # where the last forbidden one ends
    for start, end, word in _named(text):
        role, sound = INSTRUMENTS[word]
        listed = refused >= 0 and _GOES_ON.fullmatch(text[refused:start])
        if _FORBIDS.search(text[:start]) or listed:
            refused = end
            silent.update(_refused(word, role, sound))
            continue
        names.append(word)
        if word == "guitar":
            if any(sound in GUITARS for sounds in wanted.values() for sound in sounds):
                continue
            role, sound = guitar
        elif sound in GUITARS and guitar[1] in wanted.get(guitar[0], []) and "guitar" in names:
            wanted[guitar[0]].remove(guitar[1])  # the text says more of it later
        wanted.setdefault(role, [])
        if sound is not None and sound not in wanted[role]:
            wanted[role].append(sound)
    kept = {
        role: tuple(sound for sound in sounds if sound not in silent)
        for role, sounds in wanted.items()
        if role not in silent
    }
    return kept, tuple(dict.fromkeys(names)), frozenset(silent)


def _refused(word: str, role: str, sound: str | None) -> set[str]:
    if sound is None or word == "808":
        return {role}
    kinds = {sound, *KINDS.get(sound, ())}
    if word == "guitar":
        kinds |= {"clean_guitar", *KINDS["clean_guitar"]}
    return kinds


def structure(text: str) -> tuple[str, ...]:
    """The sections in the order of the text, where it names three or more; or what a drop needs."""
    hits: list[tuple[int, int, str]] = []
    for word in sorted(SECTION_WORDS, key=len, reverse=True):
        for start, end in found(text, word, plural=True):
            if not any(start < b and a < end for a, b, _ in hits):
                hits.append((start, end, SECTION_WORDS[word]))
    if len(hits) >= 3:
        return tuple(section for _, _, section in sorted(hits))
    return _RISE_AND_DROP if _DROP.search(text) else ()


def opening(text: str) -> tuple[str, str] | None:
    """(role, sound or "") of the instrument that a song starts with alone."""
    named = _named(text)
    starts = [match.end() for match in _STARTS.finditer(text)]
    for start, end, word in named:
        role, sound = INSTRUMENTS[word]
        introduces = re.match(r"(?:\s+only)?\s+intro\b", text[end:])
        if start in starts or introduces:
            return role, sound or ""
    return None


def fades(text: str) -> bool:
    return bool(_FADES.search(text))
