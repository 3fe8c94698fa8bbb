"""The Engine interface: an immutable request in, a stream of events out; `sketch/` and `acestep/` have it.

Engines know music only: no gRPC, no files, no encoding, no attestation, and nothing of who asks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.music.edit import Edit, Source
from services.music.sampling import Sampling

SAMPLE_RATE_HZ = 44_100
CHANNELS = 2
TEXT_TO_MUSIC = "text2music"

# int16, (n, 2), 44.1 kHz
Pcm = NDArray[np.int16]


@dataclass(frozen=True)
class LyricSection:
    tag: str  # "verse", "pre-chorus", …: the twelve tags of the lyric document
    lines: tuple[str, ...] = ()
    # ISO 639-1, one for each line, "" where it is the song's; empty when no line has one of its own
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What is understood of a prompt. Empty or 0 where nothing is."""

    genre: str = ""
    mood: str = ""
    tempo_bpm: float = 0.0
    key: str = ""
    instruments: tuple[str, ...] = ()
    # for example "6/8"
    meter: str = ""
    # ISO 639-1, of the words that are sung
    language: str = ""


@dataclass(frozen=True, kw_only=True)
class RenderRequest:
    """Everything that the samples depend on, and whether a preview is wanted. Already validated."""

    prompt: str
    # Empty for an instrumental.
    lyrics: tuple[LyricSection, ...]
    language: str
    duration_s: float
    seed: int  # 0 to 2^32 - 1
    # None: from nothing. Else `source` is there, and `duration_s` is what the edit makes of its length.
    edit: Edit | None = None
    source: Source | None = None
    # None: as the engine is set. Of an engine that samples only, and never with a variation.
    sampling: Sampling | None = None
    # What the prompt states, as whoever asks has read it. None: the engine reads for itself.
    stated: Reading | None = None
    # Changes no sample of the song. An engine that has none leaves it out.
    preview: bool = False

    @property
    def samples(self) -> int:
        """Exact length of the song in frames."""
        return round(self.duration_s * SAMPLE_RATE_HZ)


@dataclass(frozen=True)
class Started:
    """First event: the request is sound, and no work that takes long has been done."""

    samples: int


@dataclass(frozen=True)
class Progress:
    """A step is real work done: a bar, a diffusion step."""

    stage: str
    step: int
    steps: int
    eta_s: float = 0.0  # 0 when not known yet


@dataclass(frozen=True, eq=False)
class Preview:
    """The next block of the whole song as it can be foreseen half-way; no part of it.

    All blocks come between two `Progress` before the first `Audio`, and like those of `Audio` they add up to
    `samples`: that is their end. None where none was asked for, or nothing can be foreseen.
    """

    pcm: Pcm


@dataclass(frozen=True, eq=False)
class Audio:
    """The next block of the song. Blocks follow one another without gap and add up to `samples`."""

    pcm: Pcm


@dataclass(frozen=True)
class Finished:
    """Last event. `state` is opaque, tagged with the engine, and enough for that engine to go on from.

    `timeline`: a serialised acesteps.music.v1.Timeline without texts; empty where the engine knows none.
    """

    state: bytes
    reading: Reading
    timeline: bytes = b""


Event = Started | Progress | Preview | Audio | Finished


@dataclass(frozen=True)
class EngineInfo:
    name: str
    # Changes whenever the same request would give other samples.
    version: str
    ai: bool
    weights_digest: str  # lower-case hex
    # "text2music", and the edits that it has.
    tasks: tuple[str, ...] = (TEXT_TO_MUSIC,)
    takes_sampling: bool = False  # of a request


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """Of an accelerator, now."""

    # what tensors take
    allocated_bytes: int
    # what the process holds for them, those included
    reserved_bytes: int
    # what the device has
    total_bytes: int


class RenderCancelled(Exception):
    """Nobody wants this song any more. Raised by the engine at the next step after the check said so."""


class EngineCannotStart(Exception):
    """What an engine needs is not there or not right: one line that says what to do."""


class EngineBroken(Exception):
    """The engine cannot make another song in this process, for example after an error of the GPU."""


class Engine(Protocol):
    @property
    def info(self) -> EngineInfo: ...

    def memory(self) -> DeviceMemory | None:
        """None where there is no accelerator, or it cannot tell. Any thread, at any time."""
        ...

    def render(self, request: RenderRequest, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Render one song, lazily: the engine works while the caller asks for the next event.

        Calls for different songs may run at once on different threads. `cancelled` is asked at every step.

        Raises:
            services.common.errors.InvalidField: before `Started`: a limit of this engine's own, or a source
                that it cannot edit; names a field of RenderRequest (of the lyrics also their "language", or
                a line, "sections[0].lines[1]", counted from 0), or "state".
            RenderCancelled: within one step of `cancelled` turning true.
            MemoryError: the song does not fit; the engine goes on with others.
            EngineBroken: neither this song nor another.
        """
        ...
