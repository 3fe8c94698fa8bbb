"""Hearing a song: its audio from any byte on, and finished songs as files.

The use cases behind both faces. Knows no transport. Who may hear a song is asked once, when it is looked up.
"""

import asyncio
from contextlib import aclosing

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.audio.chunks import Chunks
from services.gateway.audio.download import Download, Files
from services.gateway.audio.feed import Feeds
from services.gateway.audio.relay import Audio, Relay, past_the_end
from services.gateway.audio.signed_urls import SignedUrls
from services.gateway.lookup import AUDIO_FORMATS, chosen, song_of_account
from services.gateway.messages import timestamp
from services.gateway.models import Account, AudioFormat, Scope, Song
from services.gateway.notices import Notices
from services.gateway.store import Store

# PostgreSQL's bigint
LARGEST_OFFSET = 2**63 - 1


class Listening:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), and NotFound (SONG_NOT_FOUND)."""

    def __init__(
        self,
        store: Store,
        chunks: Chunks,
        files: Files,
        notices: Notices,
        signed_urls: SignedUrls,
        draining: asyncio.Event,
    ) -> None:
        self._store, self._files, self._signed_urls = store, files, signed_urls
        self._relay = Relay(store, Feeds(chunks, notices, draining), files, draining)

    async def song(self, account: Account, song_id: str) -> Song:
        """A song that the account may hear."""
        account.require(Scope.READ)
        return await song_of_account(self._store, account, song_id)

    async def stream(self, song: Song, request: pb.StreamAudioRequest) -> Audio:
        """Audio from an offset on. See Relay for what it raises; InvalidField for an unknown format."""
        audio_format = chosen(request.format, AUDIO_FORMATS, "mp3, wav or flac")
        if request.offset > LARGEST_OFFSET:
            raise past_the_end(request.offset, LARGEST_OFFSET)
        if audio_format is AudioFormat.MP3:
            audio = self._relay.live(song, request.offset, request.attempt)
        else:
            audio = self._relay.file(song, audio_format, request.offset, request.attempt)
        async with aclosing(audio):
            async for part in audio:
                yield part

    async def done(self, song: Song) -> Song:
        """The song, once it is done. Raises as Relay."""
        return await self._relay.done(song)

    async def download(self, song: Song, audio_format: AudioFormat) -> Download:
        """A finished song as a file of which any byte range can be read. Raises as Files."""
        return await self._files.open(song, audio_format)

    async def sign_url(self, account: Account, request: pb.SignAudioUrlRequest) -> pb.SignAudioUrlResponse:
        audio_format = chosen(request.format, AUDIO_FORMATS, "mp3, wav or flac")
        song = await self.song(account, request.song_id)
        url, expires_at = self._signed_urls.sign(account.id, song.id, audio_format)
        return pb.SignAudioUrlResponse(url=url, expire_time=timestamp(expires_at))

    def bearer(self, song_id: str, audio_format: AudioFormat, params: dict[str, str]) -> Account:
        """For whom a signed URL speaks, and for nothing but this audio. Raises as SignedUrls."""
        return self._signed_urls.bearer(song_id, audio_format, params)
