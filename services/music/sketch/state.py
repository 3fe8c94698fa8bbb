"""What is kept of a song so that it can be edited: JSON, an outline for readers and the takes for us.

No words: of a line its syllables as they are sung, of a prompt what was read of it. Knows the bytes; a state
comes from outside, so every number of it has its limits here.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.common.errors import InvalidField
from services.music.edit import Source
from services.music.sketch.form import Clock, Form, Section, SungLine
from services.music.sketch.genres import genres
from services.music.sketch.harmony import MODES, Key
from services.music.sketch.instruments import SOUNDS
from services.music.sketch.meter import METERS
from services.music.sketch.outline import outline
from services.music.sketch.playing import Playing
from services.music.sketch.prompt import Reading
from services.music.sketch.syllables import Syllable
from services.music.sketch.takes import MOST_SEEDS, PRELUDE, Change, Song, Take
from services.music.sketch.templates import WEIGHTS
from services.music.sketch.tones import RATE
from services.music.sketch.vocabulary import MOODS, NEUTRAL

_MOST_LINKS = 32
_MOST_SAMPLES = 600 * RATE
_MOST_BARS = 4_000
_MOST_STEPS = _MOST_BARS * max(meter.steps for meter in METERS.values())
_LONGEST_END_S = 2.0  # besides what would be another bar
# A remix of words changes its sections one by one.
_MOST_CHANGES = 2_000

_Seed = Annotated[int, Field(ge=0, lt=MOST_SEEDS)]
_Name = Annotated[str, Field(max_length=64)]
_Bars = Annotated[int, Field(ge=0, le=_MOST_BARS)]


class StateError(ValueError):
    """Bytes that are not the state of a song of this engine; says why."""


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _Reading(_Value):
    genre: _Name
    mood: _Name
    tempo_bpm: Annotated[float, Field(ge=10, le=1_000)]
    tempo_asked: bool
    tonic: Annotated[int, Field(ge=0, lt=12)]
    mode: _Name
    wanted: Annotated[dict[_Name, list[_Name]], Field(max_length=16)]
    silent: Annotated[list[_Name], Field(max_length=16)]
    instruments: Annotated[list[_Name], Field(max_length=64)]
    meter: _Name
    structure: Annotated[list[_Name], Field(max_length=64)]
    opening: tuple[_Name, _Name] | None
    fade: bool

    @classmethod
    def of(cls, reading: Reading) -> "_Reading":
        return cls(
            genre=reading.genre.name,
            mood=reading.mood,
            tempo_bpm=reading.tempo_bpm,
            tempo_asked=reading.tempo_asked,
            tonic=reading.key.tonic,
            mode=reading.key.mode,
            wanted={role: list(sounds) for role, sounds in reading.wanted.items()},
            silent=sorted(reading.silent),
            instruments=list(reading.instruments),
            meter=reading.meter.name,
            structure=list(reading.structure),
            opening=reading.opening,
            fade=reading.fade,
        )

    def value(self) -> Reading:
        if self.genre not in genres() or self.mode not in MODES or self.mood not in {"", *MOODS}:
            raise StateError(f"no genre {self.genre!r}, mode {self.mode!r} or mood {self.mood!r}")
        if unknown := {sound for sounds in self.wanted.values() for sound in sounds} - set(SOUNDS):
            raise StateError(f"no instrument {sorted(unknown)[0]!r}")
        if self.meter not in METERS or not set(self.structure) <= set(WEIGHTS):
            raise StateError(f"no meter {self.meter!r}, or no such sections")
        if self.opening and self.opening[1] not in {"", *SOUNDS}:
            raise StateError(f"no instrument {self.opening[1]!r}")
        mood = MOODS.get(self.mood, NEUTRAL)
        return Reading(
            genre=genres()[self.genre],
            mood=self.mood,
            tempo_bpm=self.tempo_bpm,
            tempo_asked=self.tempo_asked,
            key=Key(self.tonic, self.mode),
            wanted={role: tuple(sounds) for role, sounds in self.wanted.items()},
            silent=frozenset(self.silent),
            instruments=tuple(self.instruments),
            energy=mood.energy,
            brightness=mood.brightness,
            density=mood.density,
            meter=METERS[self.meter],
            structure=tuple(self.structure),
            opening=self.opening,
            fade=self.fade,
        )


class _Line(_Value):
    section: Annotated[int, Field(ge=0, le=1_000)]
    line: Annotated[int, Field(ge=0, le=1_000)]
    first_step: Annotated[int, Field(ge=0, le=_MOST_STEPS)]
    steps: Annotated[int, Field(ge=1, le=_MOST_STEPS)]
    # each its consonants and then its vowel, a capital one where it is stressed
    syllables: Annotated[
        str, Field(pattern=r"^([^\s\d]{0,2}[aeiouAEIOU]( [^\s\d]{0,2}[aeiouAEIOU])*)?$", max_length=4_000)
    ]

    @classmethod
    def of(cls, line: SungLine) -> "_Line":
        syllables = " ".join(s.onset + (s.vowel.upper() if s.stressed else s.vowel) for s in line.syllables)
        return cls(
            section=line.section,
            line=line.line,
            first_step=line.first_step,
            steps=line.steps,
            syllables=syllables,
        )

    def value(self) -> SungLine:
        syllables = tuple(
            Syllable(text[-1].lower(), text[:-1], text[-1].isupper()) for text in self.syllables.split()
        )
        return SungLine(self.section, self.line, self.first_step, self.steps, syllables)


class _Section(_Value):
    kind: _Name
    bars: _Bars
    energy: Annotated[float, Field(ge=0, le=1)]
    lines: Annotated[list[_Line], Field(max_length=1_000)]


class _Change(_Value):
    seed: Annotated[int, Field(ge=MOST_SEEDS, lt=MOST_SEEDS * (_MOST_CHANGES + 2))]
    variance: Annotated[float, Field(ge=0, le=1)]
    first_bar: Annotated[int, Field(ge=PRELUDE, le=_MOST_BARS)]
    stop_bar: Annotated[int, Field(ge=0, le=_MOST_BARS + 1)]
    reading: _Reading | None


class _Take(_Value):
    seed: _Seed
    reading: _Reading
    tempo_bpm: Annotated[float, Field(ge=10, le=1_000)]
    bars: _Bars
    samples: Annotated[int, Field(ge=1, le=_MOST_SAMPLES)]
    origin: Annotated[int, Field(ge=0, le=_MOST_SAMPLES)]
    swing: Annotated[float, Field(ge=0, le=0.4)]
    swing_eighths: bool
    meter: _Name
    level: Annotated[float, Field(ge=0.001, le=100)]
    sections: Annotated[list[_Section], Field(max_length=1_000)]
    words: Annotated[list[Annotated[list[_Line], Field(max_length=1_000)]], Field(max_length=1_000)] | None
    changes: Annotated[list[_Change], Field(max_length=_MOST_CHANGES)]

    @classmethod
    def of(cls, take: Take) -> "_Take":
        clock = take.form.clock
        words = [[_Line.of(line) for line in s.lines] for s in take.words.sections] if take.words else None
        return cls(
            seed=take.seed,
            reading=_Reading.of(take.reading),
            tempo_bpm=clock.tempo_bpm,
            bars=clock.bars,
            samples=clock.total,
            origin=clock.origin,
            swing=clock.swing,
            swing_eighths=clock.swing_eighths,
            meter=clock.meter.name,
            level=take.level or 1.0,
            sections=[
                _Section(
                    kind=s.kind, bars=s.bars, energy=s.energy, lines=[_Line.of(line) for line in s.lines]
                )
                for s in take.form.sections
            ],
            words=words,
            changes=[
                _Change(
                    seed=change.seed,
                    variance=change.variance,
                    first_bar=change.first_bar,
                    stop_bar=change.stop_bar,
                    reading=_Reading.of(change.reading) if change.reading else None,
                )
                for change in take.changes
            ],
        )

    def value(self) -> Take:
        if self.meter not in METERS:
            raise StateError(f"no meter {self.meter!r}")
        clock = Clock(
            self.tempo_bpm,
            self.bars,
            self.samples,
            self.swing,
            self.swing_eighths,
            self.origin,
            METERS[self.meter],
        )
        if sum(section.bars for section in self.sections) != self.bars:
            raise StateError(f"{self.bars} bars are not those of the sections")
        ending, bar = self.samples - clock.at(self.bars), clock.steps * clock.step_s * RATE
        if not -bar <= ending <= bar + _LONGEST_END_S * RATE:
            raise StateError(f"{self.bars} bars do not make {self.samples} samples")
        form = Form(clock, tuple(_sections(self.sections, [s.lines for s in self.sections], clock.steps)))
        words = None
        if self.words is not None:
            if len(self.words) != len(self.sections):
                raise StateError(f"words for {len(self.words)} sections of {len(self.sections)}")
            words = Form(clock, tuple(_sections(self.sections, self.words, clock.steps)))
        changes = tuple(
            Change(c.seed, c.variance, c.first_bar, c.stop_bar, c.reading.value() if c.reading else None)
            for c in self.changes
        )
        return Take(self.seed, self.reading.value(), form, self.level, words, changes)


class _State(BaseModel):
    """The outline is not read back."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)

    engine: Literal["sketch"]
    version: _Name
    seed: _Seed
    samples: Annotated[int, Field(ge=1, le=_MOST_SAMPLES)]
    asked: _Reading
    takes: Annotated[list[_Take], Field(min_length=1, max_length=2 * _MOST_LINKS + 1)]


def _sections(sections: list[_Section], lines: list[list[_Line]], steps: int) -> Iterator[Section]:
    bar = 0
    for section, sung in zip(sections, lines, strict=True):
        if any(line.first_step + line.steps > section.bars * steps for line in sung):
            raise StateError(f"a line is longer than its section of {section.bars} bars")
        yield Section(section.kind, bar, section.bars, section.energy, tuple(line.value() for line in sung))
        bar += section.bars


def state_of(playing: Playing, version: str) -> bytes:
    song = playing.song
    return json.dumps(
        {
            "engine": "sketch",
            "version": version,
            "seed": song.seed,
            "samples": song.samples,
            "asked": _Reading.of(song.asked).model_dump(),
            **outline(playing.arrangements),
            "takes": [_Take.of(take).model_dump() for take in song.takes],
        },
        sort_keys=True,
        separators=(",", ":"),
    ).encode()


def source_song(source: Source, version: str) -> Song:
    """The song of a state. Raises InvalidField: none of this engine's and version's, or of other samples."""
    try:
        song = _song(source.state, version)
    except StateError as error:
        limit = f"the state of a song of sketch {version}"
        raise InvalidField("MALFORMED", "state", f"the source's state: {error}", limit=limit) from None
    if len(source.pcm) != song.samples:
        message = f"the state is that of {song.samples} samples, the master has {len(source.pcm)}"
        raise InvalidField("SOURCE_MISMATCH", "state", message, limit="state and master of one song")
    return song


def _song(data: bytes, version: str) -> Song:
    try:
        state = _State.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise StateError(f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}") from None
    if state.version != version:
        raise StateError(f"version {state.version}")
    song = Song(state.seed, state.asked.value(), tuple(take.value() for take in state.takes))
    if song.samples != state.samples:
        raise StateError(f"takes of {song.samples} samples in a song of {state.samples}")
    return song
