"""What front process and engine process say to each other, and how it looks on the socket between them.

A frame is two lengths, a JSON head and raw bytes. Not pickle: the front holds the attestation key, and must
not run what an engine with foreign weights tells it to. Knows neither process.
"""

import json
import struct
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, Self, get_args

from pydantic import TypeAdapter

from services.music.engine import DeviceMemory, EngineInfo, Progress
from services.music.production import (
    AudioBytes,
    MasterBytes,
    Opened,
    PreviewBytes,
    Produced,
    SongJob,
    SourceFiles,
    StateBytes,
    TimelineBytes,
)

LENGTHS = struct.Struct(">II")


@dataclass(frozen=True)
class Ready:
    """Engine → front, once per process: warmed up, send songs."""

    info: EngineInfo


@dataclass(frozen=True)
class Render:
    """Front → engine: a song for this slot.

    Answered by outputs, then `Produced`, `Cancelled`, `Failed` or `Refused`.
    """

    job: SongJob
    # Of an edit: the source's state, of so many bytes, and its master behind it.
    state_bytes: int = 0
    # W3C: the logs of the engine process tell of which trace a song is
    traceparent: str = ""
    data: bytes = b""

    @classmethod
    def of(cls, job: SongJob, source: SourceFiles | None, traceparent: str = "") -> Self:
        if source is None:
            return cls(job, traceparent=traceparent)
        return cls(job, len(source.state), traceparent, source.state + source.master)

    @property
    def source(self) -> SourceFiles | None:
        if not self.data:
            return None
        return SourceFiles(self.data[: self.state_bytes], self.data[self.state_bytes :])


@dataclass(frozen=True)
class Cancel:
    """Front → engine: nobody waits for the slot's song any more. Without a song it means nothing."""


@dataclass(frozen=True)
class Cancelled:
    """Engine → front: stopped before the end; the slot is free."""


@dataclass(frozen=True)
class Failed:
    """Engine → front: this song failed, the engine goes on. `reason` as in the proto."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """Engine → front: a field of the song's request is out of the engine's own limits; the slot is free."""

    reason: str
    field: str
    message: str
    limit: str


# `DeviceMemory` goes from engine to front beside the songs, on the socket that `Ready` came on.
Message = (
    Ready
    | DeviceMemory
    | Render
    | Cancel
    | Cancelled
    | Failed
    | Refused
    | Progress
    | Opened
    | PreviewBytes
    | AudioBytes
    | MasterBytes
    | StateBytes
    | TimelineBytes
    | Produced
)

_TYPES: dict[str, Any] = {cls.__name__: cls for cls in get_args(Message)}


def encode(message: Message) -> bytes:
    """One frame."""
    head, body = asdict(message), b""
    if "data" in head:
        body = head.pop("data")
    packed = json.dumps([type(message).__name__, head]).encode()
    return LENGTHS.pack(len(packed), len(body)) + packed + body


def decode(head: bytes, body: bytes) -> Message:
    """The message of a frame's two parts. Raises ValueError for what is none."""
    name, values = json.loads(head)
    if name not in _TYPES:
        raise ValueError(f"no message {name!r}")
    if any(field.name == "data" for field in fields(_TYPES[name])):
        values["data"] = body
    message: Message = _adapter(name).validate_python(values)
    return message


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_TYPES[name])
