"""The source of an edit: collected within bounds, and proven before anything is done with it.

Knows envelopes, hashes and limits. The master is decoded, and its samples are held against the attested
ones, in the engine process: what reads a file of somebody else's holds no key.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from acesteps.music.v1 import music_service_pb2 as pb
from services.common.errors import FailedPrecondition, InvalidField, InvalidRequest
from services.common.provenance import SongStatement
from services.common.trust import AttestationRefused, TrustBundle, TrustStore, chain_complaint, verify
from services.common.trust.verification import MAX_ENVELOPE_BYTES
from services.music.engine import EngineInfo

_log = logging.getLogger(__name__)

# With the new song's own 32, which is what the signer takes.
MAX_ENVELOPES = 31
MAX_CHUNK_BYTES = 64 * 1024
# How late a pod that makes no edits may learn of a new bundle.
LOOK_EVERY_S = 5.0
# Latents of 600 s are 1.7 MB, the longest words 0.1 MB.
MAX_STATE_BYTES = 4 * 1024**2
# 600 s of PCM are 106 MB, and no FLAC file is much longer than what it holds.
MAX_MASTER_BYTES = 112 * 1024**2


@dataclass(frozen=True, eq=False)
class SourceParts:
    """A source as it was sent: complete, but nothing of it proven."""

    envelopes: tuple[bytes, ...]  # its own first
    state: bytes
    master: bytes


class Trust:
    """The pod's trust bundle, which may come after the pod: on one machine it names the pod's own key."""

    def __init__(self, bundle_file: Path | None, state_file: Path | None, least_version: int = 1) -> None:
        self._bundle_file, self._state_file, self._least_version = bundle_file, state_file, least_version
        self._store: TrustStore | None = None

    def bundle(self) -> TrustBundle:
        """Raises FailedPrecondition (EDITS_OFF) without one."""
        if self._store is None and self._bundle_file is not None and self._state_file is not None:
            try:
                self._store = TrustStore(self._bundle_file, self._state_file, self._least_version)
            except (OSError, ValueError) as error:
                _log.error("no trust bundle, edits are off: %s", error)
        if self._store is None:
            raise FailedPrecondition("EDITS_OFF", "this pod has no trust bundle to prove a source with")
        return self._store.bundle()

    async def follow(self) -> None:
        """Takes up a new bundle also without edits, so that metrics say which one counts; until cancelled."""
        while True:
            if self._bundle_file is not None and self._bundle_file.exists():
                with suppress(FailedPrecondition):
                    self.bundle()
            await asyncio.sleep(LOOK_EVERY_S)


@dataclass
class _Blob:
    name: str
    limit: int
    data: bytearray = field(default_factory=bytearray)
    total: int = 0

    def take(self, chunk: pb.BlobChunk) -> None:
        """Raises InvalidField for a chunk that does not follow, or of a blob over its limit."""
        if not 1 <= len(chunk.data) <= MAX_CHUNK_BYTES:
            message, limit = f"a chunk has {len(chunk.data)} bytes", f"1 to {MAX_CHUNK_BYTES} bytes"
            raise InvalidField("OUT_OF_RANGE", f"{self.name}.data", message, limit=limit)
        if not 1 <= chunk.total_bytes <= self.limit:
            message, limit = f"{self.name} has {chunk.total_bytes} bytes", f"1 to {self.limit} bytes"
            raise InvalidField("TOO_LONG", f"{self.name}.total_bytes", message, limit=limit)
        if self.data and chunk.total_bytes != self.total:
            message = f"{self.name} has {chunk.total_bytes} bytes, said to be {self.total} before"
            raise InvalidField("MALFORMED", f"{self.name}.total_bytes", message, limit="always the same")
        if chunk.offset != len(self.data):
            message = f"a chunk begins at {chunk.offset}, {len(self.data)} bytes are here"
            raise InvalidField("MALFORMED", f"{self.name}.offset", message, limit="in order, without a gap")
        self.total = chunk.total_bytes
        self.data += chunk.data
        if len(self.data) > self.total:
            message = f"{self.name} has more than its {self.total} bytes"
            raise InvalidField("TOO_LONG", f"{self.name}.data", message, limit=f"{self.total} bytes in all")

    def whole(self) -> bytes:
        """Raises InvalidField (SOURCE_REQUIRED) where something is missing."""
        if not self.data or len(self.data) < self.total:
            here = f"{len(self.data)} of {self.total} bytes" if self.data else "nothing"
            message = f"an edit needs the source's {self.name}, {here} came"
            raise InvalidField("SOURCE_REQUIRED", self.name, message, limit="all of it")
        return bytes(self.data)


async def collect(requests: AsyncIterator[pb.GenerateSongRequest]) -> SourceParts:
    """What follows the spec of an edit, until the client half-closes.

    Raises:
        InvalidField: a part is missing, repeated or over its limit.
        InvalidRequest: SPEC_EXPECTED for another spec, or for a message with nothing in it.
    """
    envelopes: list[bytes] = []
    state, master = _Blob("state", MAX_STATE_BYTES), _Blob("master", MAX_MASTER_BYTES)
    async for request in requests:
        match request.WhichOneof("part"):
            case "envelope":
                if not 1 <= len(request.envelope) <= MAX_ENVELOPE_BYTES:
                    message = f"envelope {len(envelopes)} has {len(request.envelope)} bytes"
                    limit = f"1 to {MAX_ENVELOPE_BYTES} bytes"
                    raise InvalidField("TOO_LONG", "envelope", message, limit=limit)
                if len(envelopes) == MAX_ENVELOPES:
                    message = f"the source's chain has more than {MAX_ENVELOPES} links"
                    raise InvalidField("TOO_LONG", "envelope", message, limit=f"{MAX_ENVELOPES} envelopes")
                envelopes.append(request.envelope)
            case "state":
                state.take(request.state)
            case "master":
                master.take(request.master)
            case _:
                raise InvalidRequest("SPEC_EXPECTED", "behind the spec an edit's source comes, nothing else")
    if not envelopes:
        message = "an edit needs the envelopes of its source"
        raise InvalidField("SOURCE_REQUIRED", "envelope", message, limit=f"1 to {MAX_ENVELOPES} envelopes")
    return SourceParts(tuple(envelopes), state.whole(), master.whole())


async def no_source(requests: AsyncIterator[pb.GenerateSongRequest]) -> None:
    """Waits for the half-close behind the spec of a song from nothing. Raises InvalidRequest."""
    async for request in requests:
        if request.WhichOneof("part") in ("envelope", "state", "master"):
            raise InvalidRequest("SOURCE_UNEXPECTED", "a source was sent, but the spec says of no edit")
        raise InvalidRequest("SPEC_EXPECTED", "the stream holds exactly one spec, as its first message")


async def discard(requests: AsyncIterator[pb.GenerateSongRequest]) -> None:
    """Takes what a client still sends and forgets it, as far as a source may go.

    A client that is refused while it sends may see a broken stream in place of the reason.
    """
    left = MAX_ENVELOPES * MAX_ENVELOPE_BYTES + MAX_STATE_BYTES + MAX_MASTER_BYTES
    async for request in requests:
        left -= request.ByteSize()
        if left < 0:
            return


async def prove(parts: SourceParts, bundle: TrustBundle, engine: EngineInfo, now: datetime) -> SongStatement:
    """What is attested of the source, once everything about it but its samples holds.

    Raises:
        FailedPrecondition: SOURCE_NOT_ATTESTED, FOREIGN_ENGINE.
        InvalidField: SOURCE_MISMATCH on `envelope` or `state`.
    """
    statements = await asyncio.to_thread(_verified, parts.envelopes, bundle, now)
    if complaint := chain_complaint(statements):
        limit = "the whole chain, from the source to a song from nothing"
        raise InvalidField("SOURCE_MISMATCH", "envelope", complaint, limit=limit)
    for i, statement in enumerate(statements):
        if statement.engine != engine.name:
            message = f"envelope {i}: made by {statement.engine!r}, this pod edits songs of {engine.name!r}"
            raise FailedPrecondition("FOREIGN_ENGINE", message, metadata={"envelope": str(i)})
    source = statements[0]
    if source.weights_digest != engine.weights_digest:
        message = "the source was made with other weights than this pod's"
        raise FailedPrecondition("FOREIGN_ENGINE", message, metadata={"envelope": "0"})
    if hashlib.sha256(parts.state).digest() != source.state_sha256:
        message = "the state is not the one that is attested"
        raise InvalidField("SOURCE_MISMATCH", "state", message, limit="the attested hash")
    return source


def _verified(envelopes: Sequence[bytes], bundle: TrustBundle, now: datetime) -> list[SongStatement]:
    statements = []
    for i, envelope in enumerate(envelopes):
        try:
            statements.append(verify(envelope, bundle, now))
        except AttestationRefused as refusal:
            metadata = {"envelope": str(i), "trust_reason": refusal.reason}
            raise FailedPrecondition(
                "SOURCE_NOT_ATTESTED", f"envelope {i}: {refusal}", metadata=metadata
            ) from refusal
    return statements
