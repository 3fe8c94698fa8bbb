"""Reads a prompt: genre, mood, tempo, key, instruments. What the words leave open, the seed decides.

Knows English words and the genre table; composes nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.music.engine import Reading as Stated
from services.music.sketch.asked import fades, found, instruments, opening, structure
from services.music.sketch.genres import Genre, genres
from services.music.sketch.harmony import MODES, Key
from services.music.sketch.meter import FOUR_FOUR, METERS, Meter, meter_named
from services.music.sketch.randomness import stream
from services.music.sketch.vocabulary import GUITARS, MOODS, NEUTRAL, WEAK_GENRE_WORDS, Mood

SLOWEST_BPM, FASTEST_BPM = 40.0, 220.0


_BPM = re.compile(r"(\d{2,3}(?:\.\d+)?)\s*-?\s*(?:bpm|beats per minute)|\b(?:bpm|tempo)\s*[:=]?\s*(\d{2,3})")
_QUALITY = "major|minor|maj|min|dorian|phrygian|lydian|mixolydian|aeolian|ionian"
_SIGN = r"(#|♯|b|♭|[ -](?i:sharp|flat))?"
_KEY = re.compile(
    rf"\b([A-G])\s*{_SIGN}[ -]*((?i:{_QUALITY})|m)(?!\w)|"
    rf"\b(?i:in|key of|key:)\s+([a-gA-G])\s*{_SIGN}[ -]*((?i:{_QUALITY}))(?!\w)(?!\s+key)|"
    rf"\b(?i:in|key of|key:)\s+([A-G])\s*{_SIGN}()(?![\w#♯♭'])(?!\s+[a-z]*\s*(?:major|minor))"
)
_SHORT = {"min": "minor", "m": "minor", "aeolian": "minor", "maj": "major", "ionian": "major"}
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
    density: float = 0.0
    meter: Meter = FOUR_FOUR
    structure: tuple[str, ...] = ()  # sections that the prompt names
    opening: tuple[str, str] | None = None  # role and sound that the song starts with alone
    fade: bool = False


def read(prompt: str, seed: int, stated: Stated | None = None) -> Reading:
    """What this engine understands of a prompt. Any text can be read; the rest is drawn.

    What is `stated` of it is taken in place of the engine's own reading, where the engine knows the word.
    """
    stated = stated or Stated()
    text = re.sub(r"\s+", " ", prompt.lower()).replace("’", "'").strip()
    rng = stream(seed, "reading")
    genre = _genre(stated.genre.lower() if _names_genre(stated.genre.lower()) else text, rng)
    mood_name = _mood(stated.mood.lower()) or _mood(text)
    mood = MOODS.get(mood_name, NEUTRAL)
    key = _key(stated.key if _KEY.search(stated.key) else prompt, genre, mood, rng)
    tempo, asked = _tempo(f"{stated.tempo_bpm:g} bpm" if stated.tempo_bpm else text, genre, mood, rng)
    words = ", ".join((text, *(name.lower() for name in stated.instruments)))
    wanted, named, silent = instruments(words, _guitar(genre))
    meter = meter_named(stated.meter) or meter_named(text) or METERS[genre.meter]
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
        density=mood.density,
        meter=meter,
        structure=structure(text),
        opening=opening(text),
        fade=fades(text),
    )


def _names_genre(text: str) -> bool:
    return any(any(found(text, word)) for genre in genres().values() for word in genre.words)


def _genre(text: str, rng: np.random.Generator) -> Genre:
    # (weight, place, end, genre); a longer name says more
    # What comes after "with" is said of the sound, not of the song.
    ornaments = min((start for word in _ORNAMENTS for start, _ in found(text, word)), default=len(text))
    hits = [
        (
            len(word) * (0.2 if word in WEAK_GENRE_WORDS else 0.3 if start > ornaments else 1.0),
            start,
            end,
            genre,
        )
        for genre in genres().values()
        for word in genre.words
        for start, end in found(text, word)
    ]
    if not hits:
        return genres()[str(rng.choice(["pop", "synth-pop", "lo-fi hip hop", "house", "folk", "cinematic"]))]
    best = max(hits, key=lambda hit: (hit[0], -hit[1]))
    # "ambient techno" is a techno: of two genres side by side the second is the noun.
    heads = [hit for hit in hits if 0 <= hit[1] - best[2] <= 1 and hit[0] >= 4]
    return heads[0][3] if heads else best[3]


def _mood(text: str) -> str:
    hits = [
        (start, name) for name, mood in MOODS.items() for word in mood.words for start, _ in found(text, word)
    ]
    return min(hits)[1] if hits else ""


def _key(prompt: str, genre: Genre, mood: Mood, rng: np.random.Generator) -> Key:
    # Drawn first and always, so that naming the key changes nothing else of the song.
    tonic = int(rng.choice(12, p=_TONICS))
    usual = (
        genre.modes[0] if rng.random() < 0.75 or len(genre.modes) == 1 else str(rng.choice(genre.modes[1:]))
    )
    minor = mood.minor
    lowered, mode = prompt.lower(), ""
    if match := _KEY.search(prompt):
        letter, accidental, quality = next(
            match.group(i, i + 1, i + 2) for i in (1, 4, 7) if match[i] is not None
        )
        sign = (accidental or "").strip(" -").lower()
        shift = (sign in ("#", "♯", "sharp")) - (sign in ("b", "♭", "flat"))
        tonic, mode = (_NATURALS[letter.upper()] + shift) % 12, quality.lower()
    elif match := re.search(rf"\b({_QUALITY})\b", lowered):
        mode = match[1]
    mode = _SHORT.get(mode, mode)
    if mode in MODES:
        return Key(tonic, _of_genre(mode, genre))
    if mood.modes:
        known = [mode for mode in mood.modes if mode in genre.modes]
        if known:
            return Key(tonic, known[0])
    if minor is None or Key(tonic, usual).is_minor == minor:
        return Key(tonic, usual)
    return Key(tonic, _of_genre("minor" if minor else "major", genre))


def _of_genre(mode: str, genre: Genre) -> str:
    """A mode as it was named; of plain major and minor the genre's own kind."""
    if mode not in ("major", "minor") or mode in genre.modes:
        return mode
    alike = [own for own in genre.modes if Key(0, own).is_minor == (mode == "minor")]
    return alike[0] if alike else mode


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


def _guitar(genre: Genre) -> tuple[str, str]:
    """Role and sound of the guitar that a genre has, or would have."""
    for role, part in (("chords", genre.chords), ("arp", genre.arp)):
        if part is not None and part.sound in GUITARS:
            return role, part.sound
    return "chords", "clean_guitar" if genre.pump or genre.rap else "steel_guitar"


def _usual(genre: Genre, silent: frozenset[str]) -> tuple[str, ...]:
    sounds = [part.sound for part in (genre.chords, genre.bass, genre.pad, genre.lead) if part is not None]
    sounds = [sound for sound in sounds if sound not in silent]
    drums = ["drums"] if genre.drums and not genre.drums_when_asked and "drums" not in silent else []
    return tuple(dict.fromkeys([name.replace("_", " ") for name in sounds] + drums))
