"""Songs that were shared, for anyone who has their token: what may be known of them, and their audio.

Knows no account.
"""

import re

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import NotFound
from services.gateway.messages import song_message, timestamp
from services.gateway.models import Song
from services.gateway.shelf import Shelf

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class Sharing:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), and NotFound (SHARE_NOT_FOUND)."""

    def __init__(self, shelf: Shelf, public_url: str) -> None:
        self._shelf, self._public_url = shelf, public_url.rstrip("/")

    async def get(self, request: pb.GetSharedSongRequest) -> pb.GetSharedSongResponse:
        song = await self.song(request.share_token)
        whole = song_message(song)
        return pb.GetSharedSongResponse(
            song=pb.SharedSong(
                title=song.title,
                prompt=song.prompt if song.reveal_prompt else "",
                duration_s=song.audio_duration_s,
                engine=song.engine,
                procedural=whole.procedural,
                lyrics=whole.lyrics if whole.HasField("lyrics") else None,
                music=whole.music,
                audio=whole.audio,
                create_time=timestamp(song.created_at),
                audio_url=f"{self._public_url}/v1/shared/{song.share_token}/audio",
            )
        )

    async def song(self, token: str) -> Song:
        """The song, which is done."""
        song = await self._shelf.shared(token) if _TOKEN.fullmatch(token) else None
        if song is None:
            limit = "the token of a song that is shared"
            metadata = {"field": "share_token", "limit": limit}
            raise NotFound("SHARE_NOT_FOUND", "nothing is shared under this token", metadata=metadata)
        return song
