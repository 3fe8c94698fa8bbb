"""What one bar asks for: tones, drum strokes and sung lines, placed in samples of the song.

Values only; the parts write them, the mixer reads them.
"""

from dataclasses import dataclass

from services.music.sketch.voice import SungNote


@dataclass(frozen=True)
class Tone:
    bus: str
    sound: str
    pitch: int
    at: int  # sample of the song
    hold_s: float
    velocity: float  # 0 to 1
    pan: float = 0.0  # -1 left to 1 right
    gain_db: float = 0.0


@dataclass(frozen=True)
class Stroke:
    piece: str
    variant: int
    at: int
    velocity: float
    pan: float = 0.0


@dataclass(frozen=True)
class Phrase:
    """A sung line; its notes count seconds from `at`."""

    at: int
    notes: tuple[SungNote, ...]
    doubled: bool


@dataclass(frozen=True)
class Bar:
    tones: tuple[Tone, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    # Where the kick falls that the rest ducks under.
    kicks: tuple[int, ...] = ()
