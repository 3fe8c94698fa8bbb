"""What a prompt states of the music: genre, mood, instruments, tempo, key, meter, language.

Deterministic, and silent where the prompt is: it draws nothing. Knows the words in vocabulary.toml.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from acesteps.music.v1 import music_service_pb2 as music_pb

SLOWEST_BPM, FASTEST_BPM = 30.0, 300.0
MOST_INSTRUMENTS = 12

_BPM = re.compile(
    r"(?<![\d.])(\d{2,3}(?:\.\d{1,3})?)\s*-?\s*(?:bpm|b\.p\.m|beats per minute|ppm)(?!\w)"
    r"|(?<!\w)(?:bpm|tempo)\s*(?:of|[:=])?\s*(\d{2,3})(?![\d/])"
)
_MODES = "major|minor|maj|min|dur|moll|majeur|mineur|mayor|menor|maggiore|minore"
_KEY = re.compile(
    rf"(?<!\w)([A-Ga-g])[ -]?(#|♯|b|♭|sharp|flat)?[ -]?(?i:({_MODES}))(?!\w)"
    r"|(?<!\w)([A-G])(#|♯|b|♭)?m(?!\w)"
)
_TONIC = re.compile(r"(?<!\w)(?i:in|key of) ([A-G])[ -]?(#|♯|b|♭|(?i:sharp|flat))(?!\w)")
# "in a minor", and not "in a minor key" or "a major hit".
_ARTICLE = re.compile(r"(?:in|key of|key:?) a (?:major|minor)(?= ?(?:[,.;:]|$|at |with |and |\d))")
_SOLFEGE = re.compile(
    r"(?<!\w)(do|ré|re|mi|fa|sol|la|si) ?(sostenido|bemol|dièse|bémol|diesis|bemolle)?"
    r" (?:(mayor|majeur|maggiore|maior)|(menor|mineur|minore))(?!\w)"
)
_TONES = {"do": "C", "re": "D", "ré": "D", "mi": "E", "fa": "F", "sol": "G", "la": "A", "si": "B"}
_MINOR = frozenset(("minor", "min", "moll", "mineur", "menor", "minore"))
_METER = re.compile(
    r"(?<![\d/])((?:[2-9]|1[0-2])/(?:2|4|8|16))(?![\d/])|(?<!\w)(waltz|walzer|valse|vals)(?!\w)|(?<!\w)(6-8)(?!\w)"
)
_SUNG = (
    r"(?<!\w)(?:(?:sung|singing|lyrics|vocals|words|song|auf|en|in|em) )+({names})(?!\w)"
    r"|(?<!\w)({names})(?:[ -]language)? (?:lyrics|vocals?|words|singing)(?!\w)"
    r"|({names})(?:で歌|로 부르|演唱)"
)
_ORNAMENT = re.compile(r"(?<!\w)(?:with|featuring|feat|mit|con|avec|com)(?!\w)")
_WITHOUT = re.compile(r"(?:\b(?:no|without|minus|ohne|sin|sans|sem|senza)(?: any)?|\bnot) $")


@dataclass(frozen=True)
class Support:
    """One genre or language, and how well the models know it: 1 best, 3 least."""

    name: str
    tier: int
    code: str = ""


@dataclass(frozen=True)
class Words:
    """What a kind of thing is called: one pattern for all, and what each word stands for."""

    pattern: re.Pattern[str]
    meant: Mapping[str, str]

    def found(self, text: str) -> Iterator[tuple[int, int, str]]:
        """(start, end, what is meant), in the order of the text; nothing twice at one place."""
        return ((m.start(), m.end(), self.meant[m[0]]) for m in self.pattern.finditer(text))


@dataclass(frozen=True)
class Vocabulary:
    genres: Words
    weak_genres: frozenset[str]
    moods: Words
    instruments: Words
    language: re.Pattern[str]
    language_codes: Mapping[str, str]
    supported_genres: tuple[Support, ...]
    languages: tuple[Support, ...]
    mood_names: tuple[str, ...]
    instrument_names: tuple[str, ...]


@cache
def vocabulary() -> Vocabulary:
    data: dict[str, Any] = tomllib.loads(Path(__file__).with_name("vocabulary.toml").read_text("utf-8"))
    genres, languages = data["genres"], data["languages"]
    codes = {name: code for code, language in languages.items() for name in language["names"]}
    names = "|".join(map(re.escape, codes))
    return Vocabulary(
        genres=_words({name: genre["words"] for name, genre in genres.items()}),
        weak_genres=frozenset(map(_plain, data["weak_genres"])),
        moods=_words(data["moods"]),
        instruments=_words(data["instruments"]),
        language=re.compile(_SUNG.replace("{names}", names)),
        language_codes=codes,
        supported_genres=tuple(Support(name, genre["tier"]) for name, genre in genres.items()),
        languages=tuple(Support(one["name"], one["tier"], code) for code, one in languages.items()),
        mood_names=tuple(data["moods"]),
        instrument_names=tuple(data["instruments"]),
    )


def _words(names: Mapping[str, Iterable[str]]) -> Words:
    meant: dict[str, str] = {}
    for name, words in names.items():
        for word in (name, *words):
            meant.setdefault(_plain(word), name)
    longest_first = sorted(meant, key=len, reverse=True)
    # Between words of ours blanks and hyphens are one; scripts without blanks have no edges.
    edged = "|".join(re.escape(word) for word in longest_first if word[0] < "\u3000")
    bare = "|".join(re.escape(word) for word in longest_first if word[0] >= "\u3000")
    return Words(re.compile(rf"(?<![\w&])(?:{edged})(?![\w&])" + (f"|{bare}" if bare else "")), meant)


def _plain(text: str) -> str:
    return re.sub(r"[\s‐‑-]+", " ", unicodedata.normalize("NFKC", text).lower().replace("’", "'"))


def read_prompt(prompt: str) -> music_pb.MusicReading:
    """What the prompt states. Fields that it says nothing of are empty or 0."""
    text, words = _plain(prompt), vocabulary()
    instruments = _instruments(text, words.instruments)
    return music_pb.MusicReading(
        genre=_genre(text, words.genres, words.weak_genres),
        mood=next((mood for start, _, mood in words.moods.found(text) if not _denied(text, start)), ""),
        tempo_bpm=_tempo_bpm(text),
        key=_key(prompt),
        instruments=instruments,
        meter=_meter(text),
        language=_language(text, words),
    )


def _denied(text: str, start: int) -> bool:
    return bool(_WITHOUT.search(text[max(0, start - 16) : start]))


def _genre(text: str, words: Words, weak: frozenset[str]) -> str:
    """The first that is named; of several side by side the last, which is the noun; what comes behind
    "with" is said of the sound and counts only alone, as do words that say little."""
    ornament = _ORNAMENT.search(text)
    hits = [hit for hit in words.found(text) if not _denied(text, hit[0])]
    of_song = [hit for hit in hits if not ornament or hit[0] < ornament.start()] or hits
    of_song = [hit for hit in of_song if text[hit[0] : hit[1]] not in weak] or of_song
    if not of_song:
        return ""
    noun = of_song[0]
    for following in of_song[1:]:
        if following[0] - noun[1] > 1:
            break
        noun = following
    return noun[2]


def _instruments(text: str, words: Words) -> tuple[str, ...]:
    named = [
        name
        for start, end, name in words.found(text)
        if not _denied(text, start)
        and not re.match(r" (?:and|&|n) bass(?!\w)", text[end : end + 10])
        and not (
            name == "bass" and re.search(r"(?:drum (?:and|&|n) |future )$", text[max(0, start - 12) : start])
        )
    ]
    return tuple(dict.fromkeys(named))[:MOST_INSTRUMENTS]


def _tempo_bpm(text: str) -> float:
    """0 where none is named that can be played."""
    match = _BPM.search(text)
    tempo = float(match[1] or match[2]) if match else 0.0
    return tempo if SLOWEST_BPM <= tempo <= FASTEST_BPM else 0.0


def _key(prompt: str) -> str:
    """For example "F# minor"; "" where none is named. A lower-case "a minor" is a key as well."""
    for match in _KEY.finditer(prompt):
        tonic, accidental, mode = (
            (match[1], match[2], match[3]) if match[1] else (match[4], match[5], "minor")
        )
        if tonic == "a" and not accidental and not _ARTICLE.search(prompt):
            continue
        return f"{tonic.upper()}{_accidental(accidental)} {'minor' if mode.lower() in _MINOR else 'major'}"
    if named := _TONIC.search(prompt):
        return f"{named[1]}{_accidental(named[2])} major"
    if sung := _SOLFEGE.search(prompt.lower()):
        return f"{_TONES[sung[1]]}{_accidental(sung[2])} {'minor' if sung[4] else 'major'}"
    return ""


def _accidental(written: str | None) -> str:
    if not written:
        return ""
    return "#" if written.lower() in ("#", "♯", "sharp", "sostenido", "dièse", "diesis") else "b"


def _meter(text: str) -> str:
    match = _METER.search(text)
    if not match:
        return ""
    return match[1] or ("6/8" if match[3] else "3/4")


def _language(text: str, words: Vocabulary) -> str:
    match = words.language.search(text)
    return words.language_codes[match[1] or match[2] or match[3]] if match else ""
