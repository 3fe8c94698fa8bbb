"""What an account does with songs that are there: rename, hide, share, retry, delete, see their family.

The use cases behind both faces, one method for each RPC. Knows no transport.
"""

import secrets
from typing import Any

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import FailedPrecondition, InvalidField
from services.gateway.audio.download import require_done
from services.gateway.edits import kept_edit
from services.gateway.lookup import id_of_song, song_not_found, song_of_account
from services.gateway.messages import song_message, timestamp
from services.gateway.models import Account, Scope, Song, State
from services.gateway.review import checked_text, require_allowed
from services.gateway.shelf import LARGEST_FAMILY, Member, Shelf
from services.gateway.store import Store
from services.gateway.titles import LONGEST_TITLE

TEXT_TO_MUSIC = "text2music"


class Arranging:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), and NotFound (SONG_NOT_FOUND)."""

    def __init__(self, store: Store, shelf: Shelf, public_url: str) -> None:
        self._store, self._shelf, self._public_url = store, shelf, public_url.rstrip("/")

    async def update(self, account: Account, request: pb.UpdateSongRequest) -> pb.UpdateSongResponse:
        """Raises InvalidField: REQUIRED, nothing is to be changed; those of a title. FailedPrecondition:
        TITLE_REFUSED."""
        account.require(Scope.WRITE)
        changes: dict[str, Any] = {
            name: getattr(request, name) if request.HasField(name) else None
            for name in ("title", "favourite", "hidden")
        }
        if all(value is None for value in changes.values()):
            message, limit = "nothing is to be changed", "at least one of title, favourite, hidden"
            raise InvalidField("REQUIRED", "title", message, limit=limit)
        if changes["title"] is not None:
            changes["title"] = checked_text("title", changes["title"], LONGEST_TITLE, required=True)
            require_allowed("title", changes["title"])
        song = await self._shelf.update(account.id, id_of_song(request.song_id), **changes)
        return pb.UpdateSongResponse(song=song_message(_found(song, request.song_id)))

    async def retry(self, account: Account, request: pb.RetrySongRequest) -> pb.RetrySongResponse:
        """Raises FailedPrecondition (SONG_SUCCEEDED)."""
        account.require(Scope.WRITE)
        await self._shelf.retry(account.id, id_of_song(request.song_id))
        song = await song_of_account(self._store, account, request.song_id)
        require_no_success(song.state)
        return pb.RetrySongResponse(song=song_message(song))

    async def delete(self, account: Account, request: pb.DeleteSongRequest) -> pb.DeleteSongResponse:
        """Raises FailedPrecondition (SONG_PERMITTED)."""
        account.require(Scope.WRITE)
        deletable = await self._shelf.delete(account.id, id_of_song(request.song_id))
        if deletable is None:
            raise song_not_found(request.song_id)
        if not deletable:
            raise FailedPrecondition(
                "SONG_PERMITTED", "there is a permit to mint the song: it can be hidden, not deleted"
            )
        return pb.DeleteSongResponse()

    async def share(self, account: Account, request: pb.ShareSongRequest) -> pb.ShareSongResponse:
        """Raises FailedPrecondition as `require_done`."""
        account.require(Scope.WRITE)
        song_id = id_of_song(request.song_id)
        song = await self._shelf.share(account.id, song_id, secrets.token_urlsafe(16))
        if song is None:
            require_done(await song_of_account(self._store, account, request.song_id))
            raise song_not_found(request.song_id)
        url = f"{self._public_url}/v1/shared/{song.share_token}"
        return pb.ShareSongResponse(song=song_message(song), url=url)

    async def unshare(self, account: Account, request: pb.UnshareSongRequest) -> pb.UnshareSongResponse:
        account.require(Scope.WRITE)
        song = await self._shelf.unshare(account.id, id_of_song(request.song_id))
        return pb.UnshareSongResponse(song=song_message(_found(song, request.song_id)))

    async def family(self, account: Account, request: pb.GetFamilyRequest) -> pb.GetFamilyResponse:
        account.require(Scope.READ)
        members = await self._shelf.family(account.id, id_of_song(request.song_id))
        if not members:
            raise song_not_found(request.song_id)
        told = sorted(members[:LARGEST_FAMILY], key=lambda member: (member.created_at, member.id))
        return pb.GetFamilyResponse(
            members=map(_member_message, told), truncated=len(members) > LARGEST_FAMILY
        )


def require_no_success(state: State) -> None:
    """Raises FailedPrecondition (SONG_SUCCEEDED)."""
    if state is State.SUCCEEDED:
        raise FailedPrecondition("SONG_SUCCEEDED", "the song is done")


def _found(song: Song | None, song_id: str) -> Song:
    if song is None:
        raise song_not_found(song_id)
    return song


def _member_message(member: Member) -> pb.FamilyMember:
    message = pb.FamilyMember(
        song_id=str(member.id),
        source_song_id=str(member.source_song_id or ""),
        create_time=timestamp(member.created_at),
        deleted=member.deleted,
    )
    if not member.deleted:
        message.title = member.title
        message.state = pb.SongState.Value(f"SONG_STATE_{member.state}")
        message.task = next(iter(kept_edit(member.edit)), TEXT_TO_MUSIC)
        message.duration_s = member.duration_s
        message.favourite = member.favourite
    return message
