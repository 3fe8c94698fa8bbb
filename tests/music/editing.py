"""A client of the music service that sends a source back, whole or tampered with."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import numpy as np
import soundfile
from numpy.typing import NDArray

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.music.v1 import music_service_pb2 as pb
from services.common.errors import ServiceError, error_from_rpc
from services.common.provenance import AttestationKey, SongStatement
from services.common.trust import TrustBundle, TrustedKey, verify
from tests.music.pod import Heard, Pod, spec
from tests.signer.attested import CREATOR

TASKS = ("text2music", "variation", "repaint", "lyric_edit", "extend")


@dataclass(frozen=True, eq=False)
class Studio:
    """A pod that edits, and the bundle by which its songs are trusted."""

    pod: Pod
    bundle_file: Path

    @property
    def bundle(self) -> TrustBundle:
        return TrustBundle.parse(self.bundle_file.read_bytes())

    def statement(self, song: Heard) -> SongStatement:
        return verify(song.result.envelope, self.bundle, datetime.now(UTC))


@dataclass(frozen=True, eq=False)
class Kept:
    """What a gateway keeps of a song."""

    envelopes: tuple[bytes, ...]  # its own first
    state: bytes
    master: bytes

    @classmethod
    def of(cls, song: Heard, source: "Kept | None" = None) -> "Kept":
        chain = (song.result.envelope, *(source.envelopes if source else ()))
        return cls(chain, bytes(song.state), bytes(song.master))

    def parts(self, chunk_bytes: int = 65_536) -> Iterator[pb.GenerateSongRequest]:
        for envelope in self.envelopes:
            yield pb.GenerateSongRequest(envelope=envelope)
        for name, blob in (("state", self.state), ("master", self.master)):
            for at in range(0, len(blob), chunk_bytes):
                chunk = pb.BlobChunk(offset=at, total_bytes=len(blob), data=blob[at : at + chunk_bytes])
                yield pb.GenerateSongRequest(**{name: chunk})  # one of two fields

    def with_(self, **changes: object) -> "Kept":
        return replace(self, **changes)  # fields of any type


async def send(pod: Pod, requests: Sequence[pb.GenerateSongRequest]) -> Heard:
    """A call with these messages. Raises ServiceError."""
    heard = Heard()
    async with pod.stub() as stub:
        call = stub.GenerateSong(iter(requests), timeout=60)
        try:
            async for response in call:
                heard.take(response)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
    return heard


async def edit(pod: Pod, spec: pb.SongSpec, source: Kept) -> Heard:
    return await send(pod, [pb.GenerateSongRequest(spec=spec), *source.parts()])


async def refusal(pod: Pod, requests: Sequence[pb.GenerateSongRequest]) -> ServiceError:
    try:
        await send(pod, requests)
    except ServiceError as error:
        return error
    raise AssertionError("the call was not refused")


def trusted(key: AttestationKey, engine: str, weights_digest: str) -> TrustedKey:
    now = datetime.now(UTC)
    return TrustedKey(
        key_id=key.key_id,
        public_key=base64.b64encode(key.public_key).decode(),
        not_before=now - timedelta(days=1),
        not_after=now + timedelta(days=1),
        engines=(engine,),
        weights_digests=(weights_digest,),
        tasks=TASKS,
    )


def write_bundle(path: Path, version: int, *keys: TrustedKey) -> None:
    TrustBundle(version=version, keys=keys).save(path)


def sung(line: str, **fields: object) -> pb.SongSpec:
    """An order of a song of one line, or with no duration given of an edit of one."""
    usual: dict[str, object] = {
        "creator_address": CREATOR,
        "lyrics": {
            "language": "en",
            "sections": [{"tag": lyrics_pb.SECTION_TAG_VERSE, "lines": [{"text": line}]}],
        },
        "duration_s": 0.0,
    }
    return spec(**{**usual, **fields})


def pcm_of(song: Heard) -> NDArray[np.int16]:
    """(samples, channels) of the master."""
    samples, _ = soundfile.read(io.BytesIO(song.master), dtype="int16")
    return np.asarray(samples)
