"""Reads a prompt: genre, mood, tempo, key, instruments. What the words leave open, the seed decides.

Knows English words and the genre table; composes nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from services.music.engine import Reading as Stated
from services.music.sketch.genres import Genre, genres
from services.music.sketch.harmony import Key
from services.music.sketch.randomness import stream
from services.music.sketch.vocabulary import INSTRUMENTS, MOODS, NEUTRAL, WEAK_GENRE_WORDS, Mood

SLOWEST_BPM, FASTEST_BPM = 40.0, 220.0


_BPM = re.compile(r"(\d{2,3}(?:\.\d+)?)\s*-?\s*(?:bpm|beats per minute)|\b(?:bpm|tempo)\s*[:=]?\s*(\d{2,3})")
_KEY = re.compile(
    r"\b([A-G])\s*(#|♯|b|♭|[ -]sharp|[ -]flat)?[ -]*(major|minor|maj|min|m)\b|"
    r"\b(?:in|key of)\s+([a-gA-G])\s*(#|♯|b|♭)?[ -]*(major|minor|maj|min)\b(?!\s+key)"
)
# How often each tonic from C upwards is drawn: the keys that guitars and keyboards like.
_TONICS = (0.14, 0.03, 0.13, 0.05, 0.10, 0.12, 0.01, 0.14, 0.03, 0.13, 0.08, 0.04)
_ORNAMENTS = ("with", "featuring", "feat")
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True)
class Reading:
    genre: Genre
    mood: str  # "" when the prompt names none
    tempo_bpm: float
    tempo_asked: bool
    key: Key
    # role → sounds that were asked for, in the order of the words
    wanted: Mapping[str, tuple[str, ...]]
    silent: frozenset[str]  # roles that the prompt forbids
    instruments: tuple[str, ...]  # for people
    energy: float
    brightness: float


def read(prompt: str, seed: int, stated: Stated | None = None) -> Reading:
    """What this engine understands of a prompt. Any text can be read; the rest is drawn.

    What is `stated` of it is taken in place of the engine's own reading, where the engine knows the word.
    """
    stated = stated or Stated()
    text = re.sub(r"\s+", " ", prompt.lower())
    rng = stream(seed, "reading")
    genre = _genre(stated.genre.lower() if _names_genre(stated.genre.lower()) else text, rng)
    mood_name = _mood(stated.mood.lower()) or _mood(text)
    mood = MOODS.get(mood_name, NEUTRAL)
    key = _key(stated.key if _KEY.search(stated.key) else prompt, genre, mood, rng)
    tempo, asked = _tempo(f"{stated.tempo_bpm:g} bpm" if stated.tempo_bpm else text, genre, mood, rng)
    wanted, named, silent = _instruments(", ".join((text, *(name.lower() for name in stated.instruments))))
    return Reading(
        genre=genre,
        mood=mood_name,
        tempo_bpm=tempo,
        tempo_asked=asked,
        key=key,
        wanted=wanted,
        silent=silent,
        instruments=named or _usual(genre, silent),
        energy=mood.energy,
        brightness=mood.brightness,
    )


def _found(text: str, word: str) -> Iterator[tuple[int, int]]:
    for match in re.finditer(rf"(?<![\w&]){re.escape(word)}(?![\w&])", text):
        yield match.span()


def _names_genre(text: str) -> bool:
    return any(any(_found(text, word)) for genre in genres().values() for word in genre.words)


def _genre(text: str, rng: np.random.Generator) -> Genre:
    # (weight, place, end, genre); a longer name says more
    # What comes after "with" is said of the sound, not of the song.
    ornaments = min((start for word in _ORNAMENTS for start, _ in _found(text, word)), default=len(text))
    hits = [
        (
            len(word) * (0.2 if word in WEAK_GENRE_WORDS else 0.3 if start > ornaments else 1.0),
            start,
            end,
            genre,
        )
        for genre in genres().values()
        for word in genre.words
        for start, end in _found(text, word)
    ]
    if not hits:
        return genres()[str(rng.choice(["pop", "synth-pop", "lo-fi hip hop", "house", "folk", "cinematic"]))]
    best = max(hits, key=lambda hit: (hit[0], -hit[1]))
    # "ambient techno" is a techno: of two genres side by side the second is the noun.
    heads = [hit for hit in hits if 0 <= hit[1] - best[2] <= 1 and hit[0] >= 4]
    return heads[0][3] if heads else best[3]


def _mood(text: str) -> str:
    hits = [
        (start, name)
        for name, mood in MOODS.items()
        for word in mood.words
        for start, _ in _found(text, word)
    ]
    return min(hits)[1] if hits else ""


def _key(prompt: str, genre: Genre, mood: Mood, rng: np.random.Generator) -> Key:
    # Drawn first and always, so that naming the key changes nothing else of the song.
    tonic = int(rng.choice(12, p=_TONICS))
    usual = (
        genre.modes[0] if rng.random() < 0.75 or len(genre.modes) == 1 else str(rng.choice(genre.modes[1:]))
    )
    minor = mood.minor
    lowered = prompt.lower()
    if match := _KEY.search(prompt):
        letter, accidental, quality = match.group(1, 2, 3) if match[1] else match.group(4, 5, 6)
        shift = {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(accidental or "", 0)
        shift += ("sharp" in (accidental or "")) - ("flat" in (accidental or ""))
        tonic, minor = (_NATURALS[letter.upper()] + shift) % 12, quality in ("minor", "min", "m")
    elif re.search(r"\bminor\b", lowered):
        minor = True
    elif re.search(r"\bmajor\b", lowered):
        minor = False
    if minor is None or Key(tonic, usual).is_minor == minor:
        return Key(tonic, usual)
    for mode in genre.modes:
        if Key(tonic, mode).is_minor == minor:
            return Key(tonic, mode)
    return Key(tonic, "minor" if minor else "major")


def _tempo(text: str, genre: Genre, mood: Mood, rng: np.random.Generator) -> tuple[float, bool]:
    slow, usual, fast = genre.tempo
    place = float(np.clip(mood.tempo + rng.uniform(-0.25, 0.25), -1, 1))
    if match := _BPM.search(text):
        return min(max(float(match[1] or match[2]), SLOWEST_BPM), FASTEST_BPM), True
    if re.search(r"\b(slow|slower|downtempo)\b", text):
        place = -1.0
    elif re.search(r"\b(fast|faster|high tempo|uptempo|up-tempo)\b", text):
        place = 1.0
    return usual + place * (fast - usual if place > 0 else usual - slow), False


def _instruments(text: str) -> tuple[Mapping[str, tuple[str, ...]], tuple[str, ...], frozenset[str]]:
    """(role → sounds, names for people, forbidden roles)."""
    wanted: dict[str, list[str]] = {}
    named: list[tuple[int, str]] = []
    silent: set[str] = {"drums"} if re.search(r"\b(drumless|beatless)\b", text) else set()
    taken: list[tuple[int, int]] = []
    for word in sorted(INSTRUMENTS, key=len, reverse=True):
        role, sound = INSTRUMENTS[word]
        for start, end in _found(text, word):
            if any(start < b and a < end for a, b in taken):
                continue  # "guitar" within "acoustic guitar", "drum" within "drum and bass"
            taken.append((start, end))
            if word in ("drum", "bass") and re.search(r"drum.{0,5}bass", text):
                continue
            if re.search(r"\b(no|without|minus)\s+(any\s+)?$", text[:start]):
                silent.add(role)
                continue
            named.append((start, word))
    for _, word in sorted(named):
        role, sound = INSTRUMENTS[word]
        wanted.setdefault(role, [])
        if sound is not None and sound not in wanted[role]:
            wanted[role].append(sound)
    names = tuple(dict.fromkeys(word for _, word in sorted(named)))
    return {role: tuple(sounds) for role, sounds in wanted.items()}, names, frozenset(silent)


def _usual(genre: Genre, silent: frozenset[str]) -> tuple[str, ...]:
    sounds = [part.sound for part in (genre.chords, genre.bass, genre.pad, genre.lead) if part is not None]
    drums = ["drums"] if genre.drums and "drums" not in silent else []
    return tuple(dict.fromkeys([name.replace("_", " ") for name in sounds] + drums))
