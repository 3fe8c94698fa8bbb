"""Audio on its way to a file: it appears whole or not at all. Knows no call."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class AudioPiece:
    """Some of a song's bytes."""

    data: bytes
    # Of its first byte. 0 in the middle of listening: the attempt that was heard has ended without a song;
    # drop what came before.
    offset: int
    # That the bytes belong to.
    attempt: int
    # Of the whole; 0 while nobody knows.
    total_bytes: int


@dataclass(frozen=True)
class Downloaded:
    """A whole file."""

    path: Path
    size_bytes: int
    # Lower-case hex.
    sha256: str
    # How often an attempt ended and the file was begun anew.
    restarts: int


class PartFile:
    """Bytes go to `path` with ".part" behind its name; `keep` gives the file its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self._file = self.part.open("wb")
        self._digest = hashlib.sha256()
        self._restarts = 0

    def add(self, piece: AudioPiece) -> None:
        """Pieces come in order, save that a piece at 0 begins the file anew."""
        if piece.offset == 0 and self._file.tell():
            self._restarts += 1
            self._digest = hashlib.sha256()
            self._file.seek(0)
            self._file.truncate()
        if piece.offset != self._file.tell():
            raise ValueError(f"a piece at {piece.offset} does not follow {self._file.tell()} bytes")
        self._file.write(piece.data)
        self._digest.update(piece.data)
        self._file.flush()  # what is there can be played

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def keep(self) -> Downloaded:
        os.fsync(self._file.fileno())
        size_bytes = self._file.tell()
        self._file.close()
        self.part.replace(self.path)
        return Downloaded(self.path, size_bytes, self.sha256, self._restarts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves nothing unless it was kept."""
        self._file.close()
        self.part.unlink(missing_ok=True)
