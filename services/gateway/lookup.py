"""Ids and choices as requests name them, turned into what is meant, or refused by the field's name.

Knows the protos' enums and how an account's song is found.
"""

from collections.abc import Mapping
from typing import TypeVar
from uuid import UUID

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import InvalidField, NotFound
from services.gateway import song_traces
from services.gateway.models import Account, AudioFormat, PermitFormat, Song
from services.gateway.store import Store

SONG_ID_LIMIT = "the id of a song of yours (UUID)"
BATCH_ID_LIMIT = "the id of a batch of yours (UUID)"

_Format = TypeVar("_Format", AudioFormat, PermitFormat)

AUDIO_FORMATS: Mapping[int, AudioFormat] = {
    pb.AUDIO_FORMAT_UNSPECIFIED: AudioFormat.MP3,
    pb.AUDIO_FORMAT_MP3: AudioFormat.MP3,
    pb.AUDIO_FORMAT_WAV: AudioFormat.WAV,
    pb.AUDIO_FORMAT_FLAC: AudioFormat.FLAC,
}
PERMIT_FORMATS: Mapping[int, PermitFormat] = {
    pb.PERMIT_FORMAT_UNSPECIFIED: PermitFormat.EIP712,
    pb.PERMIT_FORMAT_EIP712: PermitFormat.EIP712,
    pb.PERMIT_FORMAT_PACKED: PermitFormat.PACKED,
}


async def song_of_account(store: Store, account: Account, song_id: str, field: str = "song_id") -> Song:
    """Raises InvalidField (REQUIRED), NotFound (SONG_NOT_FOUND)."""
    song = await store.get(account.id, id_of_song(song_id, field))
    if song is None:
        raise song_not_found(song_id, field)
    return song


def id_of_song(song_id: str, field: str = "song_id") -> UUID:
    """Raises InvalidField (REQUIRED) for none, NotFound for what cannot be a song's id."""
    if not song_id:
        raise InvalidField("REQUIRED", field, f"{field} is missing", limit=SONG_ID_LIMIT)
    try:
        found = UUID(song_id)
    except ValueError:
        raise song_not_found(song_id[:64], field) from None
    if str(found) != song_id:  # UUID() also takes braces, urn: and capitals
        raise song_not_found(song_id[:64], field)
    if field == "song_id":
        song_traces.concerns(found)
    return found


def song_not_found(song_id: str, field: str = "song_id") -> NotFound:
    return NotFound(
        "SONG_NOT_FOUND",
        "there is no such song",
        metadata={"field": field, "limit": SONG_ID_LIMIT, "song_id": song_id},
    )


def id_of_batch(batch_id: str) -> UUID:
    """Raises InvalidField (REQUIRED) for none, NotFound (BATCH_NOT_FOUND) for what cannot be a batch's id."""
    if not batch_id:
        raise InvalidField("REQUIRED", "batch_id", "batch_id is missing", limit=BATCH_ID_LIMIT)
    try:
        found = UUID(batch_id)
    except ValueError:
        raise batch_not_found(batch_id[:64]) from None
    if str(found) != batch_id:
        raise batch_not_found(batch_id[:64])
    return found


def batch_not_found(batch_id: str) -> NotFound:
    return NotFound(
        "BATCH_NOT_FOUND",
        "there is no such batch",
        metadata={"field": "batch_id", "limit": BATCH_ID_LIMIT, "batch_id": batch_id},
    )


def chosen(value: int, known: Mapping[int, _Format], names: str) -> _Format:
    """Raises InvalidField (UNKNOWN_VALUE) for a number that is none of the known formats."""
    if value not in known:
        raise InvalidField("UNKNOWN_VALUE", "format", f"format {value} is not known", limit=names)
    return known[value]
