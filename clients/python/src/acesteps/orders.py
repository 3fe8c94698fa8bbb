"""What can be asked of a song, and what its state is called. Knows no call."""

import uuid
from collections.abc import Mapping
from typing import Literal, TypedDict, Unpack

from acesteps.errors import InvalidArgument
from acesteps.gateway.v1 import account_service_pb2 as account_pb
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1 import webhook_service_pb2 as webhook_pb
from acesteps.music.v1 import music_service_pb2 as music_pb

MAX_SEED = 2**32 - 1

Edit = music_pb.Variation | music_pb.Repaint | music_pb.LyricEdit | music_pb.Extend

ENDED = frozenset({pb.SONG_STATE_SUCCEEDED, pb.SONG_STATE_FAILED, pb.SONG_STATE_CANCELLED})

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
AudioFormat = Literal["mp3", "wav", "flac"]
TimelineFile = Literal["lrc", "midi"]
PermitFormat = Literal["eip712", "packed"]

STATES: Mapping[State, pb.SongState.ValueType] = {
    "queued": pb.SONG_STATE_QUEUED,
    "running": pb.SONG_STATE_RUNNING,
    "succeeded": pb.SONG_STATE_SUCCEEDED,
    "failed": pb.SONG_STATE_FAILED,
    "cancelled": pb.SONG_STATE_CANCELLED,
}
# The minted file, 16-bit PCM of the master, the master.
AUDIO_FORMATS: Mapping[AudioFormat, pb.AudioFormat.ValueType] = {
    "mp3": pb.AUDIO_FORMAT_MP3,
    "wav": pb.AUDIO_FORMAT_WAV,
    "flac": pb.AUDIO_FORMAT_FLAC,
}
TIMELINE_FILES: Mapping[TimelineFile, pb.TimelineFormat.ValueType] = {
    "lrc": pb.TIMELINE_FORMAT_LRC,
    "midi": pb.TIMELINE_FORMAT_MIDI,
}
PERMIT_FORMATS: Mapping[PermitFormat, pb.PermitFormat.ValueType] = {
    "eip712": pb.PERMIT_FORMAT_EIP712,
    "packed": pb.PERMIT_FORMAT_PACKED,
}
Scope = Literal["read", "write", "mint"]
Event = Literal["started", "succeeded", "failed", "cancelled", "saved", "minted"]
SCOPES: Mapping[Scope, account_pb.Scope.ValueType] = {
    "read": account_pb.SCOPE_READ,
    "write": account_pb.SCOPE_WRITE,
    "mint": account_pb.SCOPE_MINT,
}
EVENTS: Mapping[Event, webhook_pb.EventType.ValueType] = {
    "started": webhook_pb.EVENT_TYPE_SONG_STARTED,
    "succeeded": webhook_pb.EVENT_TYPE_SONG_SUCCEEDED,
    "failed": webhook_pb.EVENT_TYPE_SONG_FAILED,
    "cancelled": webhook_pb.EVENT_TYPE_SONG_CANCELLED,
    "saved": webhook_pb.EVENT_TYPE_SONG_SAVED,
    "minted": webhook_pb.EVENT_TYPE_SONG_MINTED,
}
_STATE_NAMES = {value: name for name, value in STATES.items()}


class SongFields(TypedDict, total=False):
    """All of a new song but its prompt. What is left out is the gateway's to choose, or the source's."""

    # At most 120 characters, public; else that of the lyrics, or their first line.
    title: str
    # Own words with tags such as [verse], at most 20,000 characters; else they are written from the prompt.
    lyrics: str
    # ISO 639-1 code of the lyrics; else "en".
    language: str
    # True: no voice.
    instrumental: bool
    # Seconds, 5 to 240; else 60. Not with a source.
    duration_s: float | None
    # 0 to 4294967295; else drawn.
    seed: int | None
    # Wallet that may mint, 0x and 40 hex digits; without one the song cannot be minted.
    creator_address: str
    # True: the prompt may be made public.
    reveal_prompt: bool
    # One of the account's own songs to change; goes with `edit`.
    source_song_id: str
    # Variation, Repaint, LyricEdit or Extend.
    edit: Edit | None
    # For experts.
    sampling: music_pb.Sampling | None


def new_request_id() -> str:
    """With one, a call that is repeated makes nothing twice."""
    return str(uuid.uuid4())


def song_order(prompt: str, request_id: str, **fields: Unpack[SongFields]) -> pb.CreateSongRequest:
    """The request for one song.

    Raises:
        InvalidArgument: a seed that does not fit into the request.
    """
    edit, seed = fields.get("edit"), fields.get("seed")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise InvalidArgument(
            "OUT_OF_RANGE", f"seed is {seed}", metadata={"field": "seed", "limit": f"0 to {MAX_SEED}"}
        )
    return pb.CreateSongRequest(
        request_id=request_id,
        prompt=prompt,
        title=fields.get("title", ""),
        lyrics=fields.get("lyrics", ""),
        language=fields.get("language", ""),
        instrumental=fields.get("instrumental", False),
        duration_s=fields.get("duration_s"),
        seed=seed,
        creator_address=fields.get("creator_address", ""),
        reveal_prompt=fields.get("reveal_prompt", False),
        source_song_id=fields.get("source_song_id", ""),
        variation=edit if isinstance(edit, music_pb.Variation) else None,
        repaint=edit if isinstance(edit, music_pb.Repaint) else None,
        lyric_edit=edit if isinstance(edit, music_pb.LyricEdit) else None,
        extend=edit if isinstance(edit, music_pb.Extend) else None,
        sampling=fields.get("sampling"),
    )


def state_of(song: pb.Song | pb.FamilyMember) -> str:
    """What a State names; for a state that is newer than this client, its number."""
    return _STATE_NAMES.get(song.state, str(song.state))


def has_ended(song: pb.Song) -> bool:
    """Whether the song will not change any more unless it is asked to."""
    return song.state in ENDED
