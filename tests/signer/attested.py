"""Attested songs and the requests for their permits, made the way a pod and a gateway make them."""

import base64
import hashlib
import json
import secrets
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from acesteps.signer.v1 import signer_service_pb2 as pb
from services.common.cid import raw_cid, unixfs_cid
from services.common.provenance import AttestationKey, SongStatement, attest, version_digest
from services.common.trust import TrustBundle, TrustedKey

CREATOR = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
STRANGER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
OTHER_CONTRACT = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
WEIGHTS = version_digest("1")
# Task of an edit; issue by issue the music service makes more of them.
EDIT = "repaint"


@dataclass(frozen=True)
class Pod:
    """A music pod: its key, and its entry in a trust bundle."""

    key: AttestationKey
    engines: tuple[str, ...] = ("sketch", "acestep")

    def trusted(self, **changes: Any) -> TrustedKey:
        now = datetime.now(UTC)
        fields: dict[str, Any] = {
            "key_id": self.key.key_id,
            "public_key": base64.b64encode(self.key.public_key).decode(),
            "not_before": now - timedelta(days=1),
            "not_after": now + timedelta(days=1),
            "engines": self.engines,
            "weights_digests": (WEIGHTS,),
            "tasks": ("text2music", EDIT),
        }
        return TrustedKey(**(fields | changes))


POD = Pod(AttestationKey.new())
EXPIRED_POD = Pod(AttestationKey.new())
REVOKED_POD = Pod(AttestationKey.new())


def write_bundle(path: Path, version: int = 1, extra: tuple[TrustedKey, ...] = ()) -> None:
    """A bundle with the three pods above, and more."""
    now = datetime.now(UTC)
    expired = EXPIRED_POD.trusted(not_before=now - timedelta(days=9), not_after=now - timedelta(days=8))
    revoked = REVOKED_POD.trusted(revoked_at=now - timedelta(minutes=1))
    TrustBundle(version=version, keys=(POD.trusted(), expired, revoked, *extra)).save(path)


def statement(**changes: Any) -> SongStatement:
    """What a pod says of a song with fresh audio."""
    audio, now = secrets.token_bytes(64), datetime.now(UTC)
    plain = SongStatement(
        song_id=str(uuid.uuid4()),
        audio_sha256=hashlib.sha256(audio).digest(),
        audio_cid=unixfs_cid(audio),
        pcm_sha256=hashlib.sha256(audio + b"pcm").digest(),
        state_sha256=hashlib.sha256(audio + b"state").digest(),
        task="text2music",
        source_audio_sha256=None,
        engine="sketch",
        engine_version="1",
        weights_digest=WEIGHTS,
        request_digest="ab" * 32,
        creator_address=CREATOR,
        media_type="audio/mpeg",
        audio_bytes=len(audio),
        duration_s=30.0,
        seed=7,
        started_at=now - timedelta(seconds=3),
        finished_at=now - timedelta(seconds=1),
        pod_id="music-0",
    )
    return replace(plain, **changes)


def chain_of_edits(length: int, **changes: Any) -> list[SongStatement]:
    """A song that was edited `length - 1` times, the newest first."""
    songs = [statement(**changes)]
    for _ in range(length - 1):
        songs.insert(0, statement(task=EDIT, source_audio_sha256=songs[0].audio_sha256, **changes))
    return songs


def metadata_of(song: SongStatement, **changes: Any) -> bytes:
    """An ERC-721 document; a change to None takes the field away."""
    fields = {
        "name": "Rain on tin",
        "audio_hash": f"0x{song.audio_sha256.hex()}",
        "animation_url": f"ipfs://{song.audio_cid}",
    } | changes
    return json.dumps({k: v for k, v in fields.items() if v is not None}).encode()


def request_for(
    *songs: SongStatement, metadata: bytes | None = None, pod: Pod = POD, **changes: Any
) -> pb.SignMintPermitRequest:
    """What a gateway asks for the first of `songs`, right in everything but `changes`."""
    song = songs[0]
    document = metadata_of(song) if metadata is None else metadata
    fields: dict[str, Any] = {
        "envelopes": [attest(s, pod.key) for s in songs],
        "to": CREATOR,
        "metadata_uri": f"ipfs://{raw_cid(document)}",
        "metadata": document,
        "audio_hash": song.audio_sha256,
        "format": pb.PERMIT_FORMAT_EIP712,
        "chain_id": 31337,
        "contract": CONTRACT,
    }
    return pb.SignMintPermitRequest(**(fields | changes))
