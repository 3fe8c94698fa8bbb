"""The source of an edit on its way back to the music service: its envelopes, then its state and its master.

Knows the rows and the object store. Nothing is held whole: a piece is read when the one before is taken.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from acesteps.music.v1 import music_service_pb2 as music_pb
from services.common.errors import FailedPrecondition, Internal
from services.gateway.database import patiently
from services.gateway.models import Song
from services.gateway.objects import ObjectMissing, Objects, key_of
from services.gateway.store import Store

# The longest `data` of a BlobChunk.
CHUNK_BYTES = 64 << 10

Parts = AsyncGenerator[music_pb.GenerateSongRequest]


class Sources:
    def __init__(self, store: Store, objects: Objects) -> None:
        self._store, self._objects = store, objects

    async def parts(self, song: Song) -> Parts:
        """What follows the spec of `song`: nothing unless it is an edit.

        Raises:
            FailedPrecondition: SOURCE_MISSING, a file of the source is no longer stored.
            Unavailable: the database or the object store is away.
        """
        if (source_id := song.source_song_id) is None:
            return
        source = await patiently(lambda: self._store.get(song.account_id, source_id))
        if source is None:
            raise FailedPrecondition("SOURCE_MISSING", "the song that is to be changed was deleted")
        if source.state_sha256 is None or source.master_sha256 is None:
            raise Internal("RESULT_MISSING", "the source of the edit has no result")
        for envelope in await patiently(lambda: self._store.chain(source_id)):
            yield music_pb.GenerateSongRequest(envelope=envelope)
        async with aclosing(self._blob("state", source.state_sha256)) as chunks:
            async for chunk in chunks:
                yield music_pb.GenerateSongRequest(state=chunk)
        async with aclosing(self._blob("master", source.master_sha256)) as chunks:
            async for chunk in chunks:
                yield music_pb.GenerateSongRequest(master=chunk)

    async def _blob(self, name: str, sha256: bytes) -> AsyncGenerator[music_pb.BlobChunk]:
        key, offset = key_of(sha256), 0
        try:
            size = await self._objects.size(key)
            async for piece in self._objects.read(key, 0, size):
                for start in range(0, len(piece), CHUNK_BYTES):
                    data = piece[start : start + CHUNK_BYTES]
                    yield music_pb.BlobChunk(offset=offset, total_bytes=size, data=data)
                    offset += len(data)
        except ObjectMissing as error:
            message = f"the {name} of the song that is to be changed is no longer stored"
            raise FailedPrecondition("SOURCE_MISSING", message) from error
