"""The object store: files found by their sha256, written whole or not at all, read by byte range.

A local folder by default, S3 and its like by URL. Knows no song: who needs which hash is in the database.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, ObjectStore, from_url

from services.common.errors import Internal, Unavailable
from services.gateway.database import Database

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_log = logging.getLogger(__name__)

READ_BYTES = 64 << 10
# A request that takes longer than the client's limit (AWS_TIMEOUT, 30 s) is resumed, but only so often: a
# listener who takes a song in real time needs a new one now and then.
REQUEST_BYTES = 2 << 20
# A store that is away is known to be within a few seconds; the library's own limit is three minutes.
RETRIES: "RetryConfig" = {"max_retries": 5, "backoff": {"max_backoff": timedelta(seconds=2)}}
# Up to here in memory, then on disk: many workers hold many songs.
SPOOL_MEMORY_BYTES = 1 << 20


def key_of(sha256: bytes) -> str:
    """Where an object is kept: 256 folders keep each small."""
    return f"sha256/{sha256[:1].hex()}/{sha256.hex()}"


class ObjectMissing(Internal):
    """A file that a row names is not in the store."""

    def __init__(self) -> None:
        super().__init__("OBJECT_MISSING", "a stored file is missing")


class Spool:
    """A file in the making: takes contiguous pieces, knows their hash. Gone after its `with`."""

    def __init__(self, limit_bytes: int) -> None:
        self._file = SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES)  # noqa: SIM115  # closed by __exit__
        self._hash = hashlib.sha256()
        self._limit_bytes = limit_bytes
        self.size = 0

    def append(self, offset: int, data: bytes) -> None:
        """Raises Internal (STREAM_MALFORMED) for a gap, a repeat or more than the limit."""
        if offset != self.size:
            raise Internal("STREAM_MALFORMED", f"a piece begins at byte {offset}, not at {self.size}")
        if offset + len(data) > self._limit_bytes:
            raise Internal("STREAM_MALFORMED", f"more than {self._limit_bytes} bytes came")
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> bytes:
        return self._hash.digest()

    def read(self) -> bytes:
        """All of it. May block: call it in a thread."""
        self._file.seek(0)
        return self._file.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class Objects:
    """Raises Unavailable: OBJECTS_UNAVAILABLE, the store cannot be reached; OBJECTS_REFUSED, it does not know
    the gateway or does not let it.
    """

    def __init__(self, store: ObjectStore, database: Database, *, grace_s: float) -> None:
        self._store, self._database, self._grace_s = store, database, grace_s

    @classmethod
    def open(cls, url: str, database: Database, *, grace_s: float) -> "Objects":
        """`file:///folder` (made when missing), or what obstore knows: `s3://bucket/prefix`, ...

        `grace_s`: how long an object may be stored and named by nothing.

        Raises ValueError for a URL that it does not know.
        """
        parts = urlsplit(url)
        if parts.scheme == "file":
            return cls(LocalStore(Path(unquote(parts.path)), mkdir=True), database, grace_s=grace_s)
        try:
            return cls(from_url(url, retry_config=RETRIES), database, grace_s=grace_s)
        except BaseError as error:
            raise ValueError(str(error)) from error

    async def put(self, data: bytes, sha256: bytes) -> str:
        """Stores `data`, whose hash the caller has checked; returns its key. Repeatable.

        Something has to name the object within the grace, or it is swept.
        """
        key = key_of(sha256)
        # First, so that nothing is stored that is not on the list. A sweeper that is just taking this hash
        # away holds the row until the old object is gone.
        await self._database.value(
            "INSERT INTO objects (sha256, look_at) VALUES ($1, now() + make_interval(secs => $2))"
            " ON CONFLICT (sha256) DO UPDATE SET look_at = EXCLUDED.look_at",
            sha256, self._grace_s,
        )  # fmt: skip
        try:
            with _typed_errors("written"):
                # Not in parts: nothing is left of it when this process dies meanwhile. See ADR 0032.
                await obstore.put_async(self._store, key, data, use_multipart=False)
        except ObjectMissing as error:
            raise Unavailable("OBJECTS_UNAVAILABLE", "there is no such bucket") from error
        if isinstance(self._store, LocalStore) and self._store.prefix is not None:
            # A store in the cloud has it durably now. A row must not outlive its file in a power cut.
            await asyncio.to_thread(_sync, Path(self._store.prefix) / key)
        return key

    async def remove(self, key: str) -> None:
        """Takes an object away, if it is there. For the sweeper, which knows that nothing names it."""
        with suppress(ObjectMissing), _typed_errors("written"):
            await obstore.delete_async(self._store, key)

    async def size(self, key: str) -> int:
        """Length in bytes. Raises ObjectMissing."""
        with _typed_errors("read"):
            return int((await obstore.head_async(self._store, key))["size"])

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes [start, end) in pieces, read as they are taken. Raises ObjectMissing."""
        for first in range(start, end, REQUEST_BYTES):
            asked = first, min(first + REQUEST_BYTES, end)
            with _typed_errors("read"):
                found = await obstore.get_async(self._store, key, options={"range": asked})
                async for chunk in found.stream(min_chunk_size=READ_BYTES):
                    view = memoryview(chunk)
                    for begin in range(0, len(view), READ_BYTES):
                        yield bytes(view[begin : begin + READ_BYTES])

    async def read_all(self, key: str, start: int, end: int) -> bytes:
        """Bytes [start, end) at once: for small pieces."""
        return b"".join([piece async for piece in self.read(key, start, end)])


@contextmanager
def _typed_errors(done: str) -> Iterator[None]:
    """Says what the store's errors mean, and nothing of its whereabouts but to the log."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissing from error
    except (UnauthenticatedError, PermissionDeniedError, PermissionError) as error:
        raise _unavailable("OBJECTS_REFUSED", "the object store refuses the gateway", error) from error
    except (BaseError, OSError) as error:
        raise _unavailable("OBJECTS_UNAVAILABLE", f"the object store cannot be {done}", error) from error


def _unavailable(reason: str, message: str, error: Exception) -> Unavailable:
    # Its first line names the request and the answer; what follows is the library's own.
    _log.warning("%s", message, extra={"error": f"{type(error).__name__}: {error}".partition("\n")[0]})
    return Unavailable(reason, message, retry_delay_s=5.0)


def _sync(path: Path) -> None:
    """Brings a file and the entry in its folder to the disk."""
    for target in (path, path.parent):
        with suppress(PermissionError):  # some file systems do not let a folder be opened
            descriptor = os.open(target, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
