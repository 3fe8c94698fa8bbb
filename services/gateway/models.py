"""The values that the gateway's rooms hand to one another: a song's row, what is asked for, what came out.

Knows no SQL, and of protobuf only which bytes are which message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.common.errors import PermissionDenied


class State(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class AudioFormat(StrEnum):
    """Values are file suffixes, and what URLs call them."""

    # the minted file, byte for byte
    MP3 = "mp3"
    # made from the master
    WAV = "wav"
    # the master
    FLAC = "flac"

    @property
    def media_type(self) -> str:
        return {"mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac"}[self.value]


class PermitFormat(StrEnum):
    EIP712 = "EIP712"
    PACKED = "PACKED"


class PinState(StrEnum):
    """What a place besides the gateway's own store makes of a file, from the worst on."""

    FAILED = "FAILED"
    QUEUED = "QUEUED"
    PINNING = "PINNING"
    PINNED = "PINNED"


class MintState(StrEnum):
    # in a block that the chain may still take back
    PENDING = "PENDING"
    MINTED = "MINTED"


class Scope(StrEnum):
    """What an API key may do."""

    READ = "READ"
    WRITE = "WRITE"
    MINT = "MINT"


@dataclass(frozen=True)
class Account:
    """On whose behalf a call is made, and what its credential allows."""

    id: UUID
    # its name; one that is not known counts as the first
    tier: str = ""
    # None: everything that the account may do
    scopes: frozenset[Scope] | None = None
    # whether a person signed in, rather than a program with a key
    in_session: bool = True
    # whether it is one of those who run the platform
    operator: bool = False
    # that songs may be made for, EIP-55, the default first; None: any
    wallets: tuple[str, ...] | None = None

    def require(self, scope: Scope) -> None:
        """Raises PermissionDenied (SCOPE_MISSING) for a key that was not given this."""
        if self.scopes is not None and scope not in self.scopes:
            raise PermissionDenied(
                "SCOPE_MISSING",
                f"the API key lacks the scope {scope}",
                metadata={"scope": f"SCOPE_{scope}"},
            )

    def require_session(self) -> None:
        """Raises PermissionDenied (SESSION_REQUIRED) for what is no key's to do."""
        if not self.in_session:
            raise PermissionDenied("SESSION_REQUIRED", "sign in for this; a key is not enough")

    def require_operator(self) -> None:
        """Raises PermissionDenied (NOT_AN_OPERATOR)."""
        if not self.operator:
            raise PermissionDenied("NOT_AN_OPERATOR", "this is for operators of the platform")


@dataclass(frozen=True, kw_only=True)
class NewSong:
    """What is asked for, checked and normalised. Field names are the columns'."""

    id: UUID
    account_id: UUID
    # None: every call makes a song
    request_id: str | None
    request_digest: str
    prompt: str
    title: str
    given_lyrics: str
    language: str
    instrumental: bool
    duration_s: float
    seed: int
    # EIP-55, or "" for nobody
    creator_address: str
    reveal_prompt: bool
    # a serialised acesteps.lyrics.v1.LyricDocument: the words, where they are known already
    lyrics: bytes | None = None
    # of an edit: the song that is changed, and how (see edits)
    source_song_id: UUID | None = None
    edit: bytes | None = None
    # a serialised acesteps.music.v1.Sampling; None: as the pod is set
    sampling: bytes | None = None
    # a serialised acesteps.music.v1.MusicReading: what the prompt states; None: nothing
    reading: bytes | None = None
    # the tier's; higher is made first
    priority: int = 0
    # of a batch, and the place in it
    batch_id: UUID | None = None
    batch_index: int | None = None
    # W3C, of its own span; "" without a trace
    traceparent: str = ""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Songs that were asked for together. Field names are the columns'."""

    id: UUID
    request_digest: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class NewBatch:
    """Songs that are asked for together, each checked."""

    id: UUID
    account_id: UUID
    # None: every call makes a batch
    request_id: str | None
    request_digest: str
    songs: Sequence[NewSong]


@dataclass(frozen=True, kw_only=True)
class Song:
    """A song's row as everything but the queue's own bookkeeping. Field names are the columns'."""

    id: UUID
    account_id: UUID
    request_digest: str
    prompt: str
    title: str
    given_lyrics: str
    language: str
    instrumental: bool
    duration_s: float
    seed: int
    creator_address: str
    reveal_prompt: bool
    source_song_id: UUID | None
    edit: bytes | None
    sampling: bytes | None
    reading: bytes | None
    batch_id: UUID | None
    batch_index: int | None
    favourite: bool
    hidden: bool
    share_token: str | None
    deleted_at: datetime | None
    taken_down_at: datetime | None
    takedown_reason: str
    state: State
    attempt: int
    failures: int
    failure_reason: str
    failure_message: str
    revision: int
    stage: str
    step: int
    steps: int
    eta_s: float
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    first_audio_at: datetime | None
    ended_at: datetime | None
    media_type: str
    # a serialised acesteps.lyrics.v1.LyricDocument
    lyrics: bytes | None
    engine: str
    audio_sha256: bytes | None
    audio_cid: str
    audio_bytes: int
    audio_duration_s: float
    pcm_sha256: bytes | None
    master_sha256: bytes | None
    master_bytes: int
    state_sha256: bytes | None
    envelope: bytes | None
    genre: str
    mood: str
    tempo_bpm: float
    musical_key: str
    instruments: tuple[str, ...]
    metadata_cid: str
    image_cid: str
    saved_at: datetime | None
    permit_format: str
    permit_signature: bytes | None
    permit_signer: str
    permit_deadline: datetime | None
    chain_id: int
    contract: str
    # "" where nothing else than the gateway's own store pins
    pin_state: PinState | str
    # "" until the chain tells of the token
    mint_state: MintState | str
    mint_chain_id: int
    mint_contract: str
    mint_owner: str
    mint_transaction: bytes | None
    mint_block: int
    minted_at: datetime | None
    # of a serialised acesteps.music.v1.Timeline; None: the engine gave none
    timeline_sha256: bytes | None
    # W3C, of the span beneath which all of its making hangs; "" without a trace
    traceparent: str


@dataclass(frozen=True)
class Place:
    """A song's place in the queue."""

    # 1: it is next
    position: int
    # seconds until it is done, 0 while no song was made from which to tell
    eta_s: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where an attempt is. `stage` as in the proto; `steps` 0 while not known."""

    stage: str
    step: int = 0
    steps: int = 0
    eta_s: float = 0.0
    # Of the audio stream, once its header has come.
    media_type: str = ""
    stream_bytes: int = 0


@dataclass(frozen=True)
class Chunk:
    """`data` of a song's MP3, from byte `offset` on."""

    offset: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished song whose objects are stored. Digests are raw sha256. Field names are the columns'."""

    media_type: str
    engine: str
    audio_sha256: bytes
    audio_cid: str
    audio_bytes: int
    audio_duration_s: float
    pcm_sha256: bytes
    master_sha256: bytes
    master_bytes: int
    state_sha256: bytes
    envelope: bytes
    genre: str
    mood: str
    tempo_bpm: float
    musical_key: str
    instruments: tuple[str, ...]
    # None: the engine knows none
    timeline_sha256: bytes | None = None


@dataclass(frozen=True)
class Pin:
    """One pinned file of the content store."""

    cid: str
    object_key: str
    media_type: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Permit:
    """A mint permit as the signer gave it, and where it is good. Field names are the columns'."""

    permit_format: PermitFormat
    permit_signature: bytes
    permit_signer: str
    # None: the packed format has none
    permit_deadline: datetime | None
    chain_id: int
    contract: str
