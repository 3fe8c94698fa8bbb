"""The genre table, read from genres.toml and checked as a whole when it is loaded.

Knows what a genre is made of; reads no prompt and plays nothing.
"""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator

from services.music.sketch.drumkit import KITS, PIECES
from services.music.sketch.harmony import MODES, Key, bars_of
from services.music.sketch.instruments import SOUNDS
from services.music.sketch.meter import METERS

STEPS = 16  # sixteenths in a bar of the table, which is written in 4/4
MARKS = frozenset("Xxo?.234")

Unit = Annotated[float, Field(ge=0, le=1)]


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Value):
    """One instrument's role. `line` holds bars of sixteenths in the language of genres.toml."""

    sound: str
    line: tuple[str, ...] = ("x---------------",)
    # energies of a section between which it plays; unset takes the role's own
    from_: Annotated[float | None, Field(alias="from", ge=0, le=1)] = None
    until: Unit = 1.0
    gain: float = 0.0
    voicing: str = "close"

    @field_validator("sound")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in SOUNDS:
            raise ValueError(f"no instrument {value!r}")
        return value

    @field_validator("line")
    @classmethod
    def _whole_bars(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for line in value:
            if len(line) != STEPS:
                raise ValueError(f"{line!r} has {len(line)} steps, not {STEPS}")
        return value


class Genre(_Value):
    name: str
    words: tuple[str, ...]
    tempo: tuple[float, float, float]
    modes: tuple[str, ...]
    minor: tuple[str, ...]
    major: tuple[str, ...]
    kit: str
    drums: Mapping[str, str]
    light: tuple[str, ...]
    # What choruses and every fourth bar play in place of those lines.
    lifted: Mapping[str, str] = {}
    turn: Mapping[str, str] = {}
    drums_when_asked: bool = False
    bass: Part
    chords: Part
    pad: Part | None = None
    arp: Part | None = None
    lead: Part
    swing: Annotated[float, Field(ge=0, le=0.4)] = 0.0
    swing_eighths: bool = False
    pump: Unit = 0.0
    dust: Unit = 0.0
    drive: float = 1.0
    warmth: float = 18_000.0
    room: tuple[float, float]
    pulse: int
    meter: str = "4/4"
    phrase: int = 4  # bars that the harmony comes in
    # Weighted sections, longest first, where the words do not give the form.
    forms: tuple[str, ...] = ()
    # What pre-choruses and bridges move by; none takes the usual progressions.
    lift_minor: tuple[str, ...] = ()
    lift_major: tuple[str, ...] = ()
    # The last bar of a section.
    cadence_minor: str = "V"
    cadence_major: str = "V"
    build: bool = False  # a roll that grows through the pre-chorus
    rap: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> "Genre":
        if self.kit not in KITS:
            raise ValueError(f"no kit {self.kit!r}")
        if not set(self.light) <= set(self.drums) or not set(self.drums) <= PIECES:
            raise ValueError("light or drums name a piece that is not there")
        if not {*self.lifted, *self.turn} <= PIECES or self.meter not in METERS:
            raise ValueError("an unknown piece or meter")
        for line in (*self.drums.values(), *self.lifted.values(), *self.turn.values()):
            if len(line) != STEPS or not set(line) <= MARKS:
                raise ValueError(f"{line!r} is no line of {STEPS} strokes")
        if not set(self.modes) <= set(MODES) or list(self.tempo) != sorted(self.tempo):
            raise ValueError("an unknown mode, or tempi out of order")
        for mode in self.modes:
            key = Key(0, mode)
            for progression in (*self.progressions(key), *self.lifts(key), self.cadence(key)):
                bars_of(progression, key)
        return self

    def progressions(self, key: Key) -> tuple[str, ...]:
        return self.minor if key.is_minor else self.major

    def lifts(self, key: Key) -> tuple[str, ...]:
        return self.lift_minor if key.is_minor else self.lift_major

    def cadence(self, key: Key) -> str:
        return self.cadence_minor if key.is_minor else self.cadence_major


@lru_cache(maxsize=1)
def genres() -> Mapping[str, Genre]:
    """All genres by name, in the table's order."""
    table = tomllib.loads(resources.files(__package__).joinpath("genres.toml").read_text("utf-8"))
    adapter = TypeAdapter(dict[str, Genre])
    return adapter.validate_python({name: {"name": name, **fields} for name, fields in table.items()})
