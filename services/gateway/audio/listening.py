"""Hearing a song: its audio from any byte on, and finished songs as files.

The use cases behind both faces, one method for each RPC. Knows no transport.
"""

import asyncio
from contextlib import aclosing

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.audio.download import Download, open_download
from services.gateway.audio.relay import Audio, Relay, past_the_end
from services.gateway.lookup import AUDIO_FORMATS, chosen, id_of_song, song_of_account
from services.gateway.models import Account, AudioFormat, Scope, Song
from services.gateway.notices import Notices
from services.gateway.objects import Objects
from services.gateway.store import Store

# PostgreSQL's bigint
LARGEST_OFFSET = 2**63 - 1


class Listening:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), and NotFound (SONG_NOT_FOUND)."""

    def __init__(self, store: Store, objects: Objects, notices: Notices, draining: asyncio.Event) -> None:
        self._store, self._objects = store, objects
        self._relay = Relay(store, objects, notices, draining)

    async def stream(self, account: Account, request: pb.StreamAudioRequest) -> Audio:
        """Audio from an offset on. See Relay for what it raises; InvalidField for an unknown format."""
        account.require(Scope.READ)
        song_id = id_of_song(request.song_id)
        audio_format = chosen(request.format, AUDIO_FORMATS, "mp3, wav or flac")
        if request.offset > LARGEST_OFFSET:
            raise past_the_end(request.offset, LARGEST_OFFSET)
        if audio_format is AudioFormat.MP3:
            audio = self._relay.live(account.id, song_id, request.offset, request.attempt)
        else:
            audio = self._relay.file(account.id, song_id, audio_format, request.offset, request.attempt)
        async with aclosing(audio):
            async for response in audio:
                yield response

    async def shared(self, song: Song, request: pb.StreamAudioRequest) -> Audio:
        """The audio of a shared song, which is done, from an offset on. Raises as `stream`."""
        audio_format = chosen(request.format, AUDIO_FORMATS, "mp3, wav or flac")
        file = self._relay.file(song.account_id, song.id, audio_format, request.offset, request.attempt)
        async with aclosing(file) as audio:
            async for response in audio:
                yield response

    async def download(
        self, account: Account, song_id: str, audio_format: AudioFormat
    ) -> tuple[Song, Download]:
        """A finished song as a file of which any byte range can be read. Raises as `open_download`."""
        account.require(Scope.READ)
        song = await song_of_account(self._store, account, song_id)
        return song, await open_download(song, audio_format, self._objects)
