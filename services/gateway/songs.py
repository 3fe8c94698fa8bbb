"""What an account can do with songs: the use cases behind both faces, one method for each RPC.

Every method takes the account and sees that account's songs only. Knows no transport: requests come in as
the protos have them, errors go out as ServiceError.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import AlreadyExists, FailedPrecondition, InvalidField, Unavailable
from services.gateway.creation import new_song
from services.gateway.database import patiently
from services.gateway.download import Download, open_download, require_done
from services.gateway.edits import LONGEST_CHAIN
from services.gateway.lyricist import Lyricist
from services.gateway.messages import (
    finding_message,
    ipfs_uri,
    permit_message,
    song_message,
)
from services.gateway.mint import MintFunctions
from services.gateway.models import Account, AudioFormat, PermitFormat, Song, State
from services.gateway.notices import Notices
from services.gateway.objects import Objects
from services.gateway.pages import page_token, read_page_token
from services.gateway.relay import SONG_ID_LIMIT, Audio, Relay, past_the_end, song_not_found
from services.gateway.review import LONGEST_PROMPT, admit, checked_text, review
from services.gateway.saving import Saver, permit_has_expired
from services.gateway.store import Store

DEFAULT_PAGE, LARGEST_PAGE = 20, 100
# PostgreSQL's bigint
LARGEST_OFFSET = 2**63 - 1

# CIDv1 in lower base32, as all of ours are
_CID = re.compile(r"b[a-z2-7]{1,128}", re.ASCII)

_Format = TypeVar("_Format", AudioFormat, PermitFormat)
_AUDIO_FORMATS: Mapping[int, AudioFormat] = {
    pb.AUDIO_FORMAT_UNSPECIFIED: AudioFormat.MP3,
    pb.AUDIO_FORMAT_MP3: AudioFormat.MP3,
    pb.AUDIO_FORMAT_WAV: AudioFormat.WAV,
    pb.AUDIO_FORMAT_FLAC: AudioFormat.FLAC,
}
_PERMIT_FORMATS: Mapping[int, PermitFormat] = {
    pb.PERMIT_FORMAT_UNSPECIFIED: PermitFormat.EIP712,
    pb.PERMIT_FORMAT_EIP712: PermitFormat.EIP712,
    pb.PERMIT_FORMAT_PACKED: PermitFormat.PACKED,
}


class Songs:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), and NotFound (SONG_NOT_FOUND) for a song."""

    def __init__(
        self,
        store: Store,
        objects: Objects,
        notices: Notices,
        saver: Saver,
        lyricist: Lyricist,
        abi_file: Path,
        draining: asyncio.Event,
    ) -> None:
        self._store, self._objects, self._notices, self._saver = store, objects, notices, saver
        self._relay = Relay(store, objects, notices, draining)
        self._lyricist, self._abi_file = lyricist, abi_file
        self._draining = draining

    async def review(self, account: Account, request: pb.ReviewPromptRequest) -> pb.ReviewPromptResponse:
        findings = review(checked_text("prompt", request.prompt, LONGEST_PROMPT, required=True))
        return pb.ReviewPromptResponse(
            allowed=not any(f.refuses for f in findings), findings=map(finding_message, findings)
        )

    async def create(self, account: Account, request: pb.CreateSongRequest) -> pb.CreateSongResponse:
        source = await self._source(account, request) if request.source_song_id else None
        new = new_song(account, request, source)
        findings = admit(new.prompt)
        if request.lyrics:
            await self._lyricist.check(new.given_lyrics, new.duration_s)
        song = await self._store.create(new)
        if song.request_digest != new.request_digest:
            raise AlreadyExists(
                "REQUEST_ID_REUSED",
                "request_id was used for another request",
                metadata={"field": "request_id", "song_id": str(song.id)},
            )
        return pb.CreateSongResponse(song=song_message(song), findings=map(finding_message, findings))

    async def get(self, account: Account, request: pb.GetSongRequest) -> pb.GetSongResponse:
        return pb.GetSongResponse(song=song_message(await self._song(account, request.song_id)))

    async def list(self, account: Account, request: pb.ListSongsRequest) -> pb.ListSongsResponse:
        size = request.page_size or DEFAULT_PAGE
        if size > LARGEST_PAGE:
            raise InvalidField(
                "OUT_OF_RANGE", "page_size", f"page_size is {size}", limit=f"1 to {LARGEST_PAGE}"
            )
        after = read_page_token(request.page_token) if request.page_token else None
        songs = await self._store.page(account.id, size + 1, after)
        page, more = songs[:size], len(songs) > size
        return pb.ListSongsResponse(
            songs=map(song_message, page),
            next_page_token=page_token(page[-1].created_at, page[-1].id) if more else "",
        )

    async def watch(
        self, account: Account, request: pb.WatchSongRequest
    ) -> AsyncGenerator[pb.WatchSongResponse]:
        """The song now, unless its revision was seen already, then after every change until it has ended.

        Raises:
            Unavailable: this replica is draining; ask another with the last revision seen.
        """
        seen = request.after_revision
        song_id = _uuid(request.song_id)
        with self._notices.subscribe(song_id, *State) as news:
            while True:
                song = await patiently(lambda: self._song(account, request.song_id))
                if song.revision != seen:
                    seen = song.revision
                    yield pb.WatchSongResponse(song=song_message(song))
                if song.state.ended:
                    return
                if self._draining.is_set():
                    raise Unavailable("DRAINING", "ask another replica", retry_delay_s=0.5)
                await news.wait()

    async def stream(self, account: Account, request: pb.StreamAudioRequest) -> Audio:
        """Audio from an offset on. See Relay for what it raises; InvalidField for an unknown format."""
        song_id = _uuid(request.song_id)
        audio_format = _chosen(request.format, _AUDIO_FORMATS, "mp3, wav or flac")
        if request.offset > LARGEST_OFFSET:
            raise past_the_end(request.offset, LARGEST_OFFSET)
        if audio_format is AudioFormat.MP3:
            audio = self._relay.live(account.id, song_id, request.offset, request.attempt)
        else:
            audio = self._relay.file(account.id, song_id, audio_format, request.offset, request.attempt)
        async with aclosing(audio):
            async for response in audio:
                yield response

    async def download(
        self, account: Account, song_id: str, audio_format: AudioFormat
    ) -> tuple[Song, Download]:
        """A finished song as a file of which any byte range can be read. Raises as `open_download`."""
        song = await self._song(account, song_id)
        return song, await open_download(song, audio_format, self._objects)

    async def cancel(self, account: Account, request: pb.CancelSongRequest) -> pb.CancelSongResponse:
        await self._store.cancel(account.id, _uuid(request.song_id))
        return pb.CancelSongResponse(song=song_message(await self._song(account, request.song_id)))

    async def save(self, account: Account, request: pb.SaveSongRequest) -> pb.SaveSongResponse:
        permit_format = _chosen(request.format, _PERMIT_FORMATS, "EIP712 or PACKED")
        song = await self._saver.save(await self._song(account, request.song_id), permit_format)
        return pb.SaveSongResponse(song=song_message(song), permit=permit_message(song))

    async def mint(self, account: Account, request: pb.GetMintRequest) -> pb.GetMintResponse:
        song = await self._song(account, request.song_id)
        if song.saved_at is None:
            raise FailedPrecondition("NOT_SAVED", "the song is not saved; save it first")
        if permit_has_expired(song):
            raise FailedPrecondition("PERMIT_EXPIRED", "the permit has expired; save the song again")
        functions = await asyncio.to_thread(MintFunctions.load, self._abi_file)
        return pb.GetMintResponse(
            chain_id=song.chain_id,
            contract=song.contract,
            calldata=f"0x{functions.calldata(song).hex()}",
            creator=song.creator_address,
            token_id=f"0x{(song.audio_sha256 or b'').hex()}",
            metadata_uri=ipfs_uri(song.metadata_cid),
            permit=permit_message(song),
        )

    async def pinned(self, cid: str) -> Download | None:
        """A pinned file, for everyone: what is pinned is public."""
        pin = await self._store.pinned(cid) if _CID.fullmatch(cid) else None
        if pin is None:
            return None

        def read(start: int, end: int) -> AsyncIterator[bytes]:
            return self._objects.read(pin.object_key, start, end)

        return Download(pin.media_type, pin.cid, pin.bytes, read)

    async def _source(self, account: Account, request: pb.CreateSongRequest) -> Song:
        """The song that is to be changed.

        Raises:
            NotFound: SONG_NOT_FOUND.
            FailedPrecondition: as `require_done`; CHAIN_TOO_LONG.
        """
        source = await self._song(account, request.source_song_id, "source_song_id")
        require_done(source)
        if len(await self._store.chain(source.id)) > LONGEST_CHAIN:
            limit = f"at most {LONGEST_CHAIN} songs, of which each was made from the next"
            raise FailedPrecondition(
                "CHAIN_TOO_LONG",
                "the song has been changed too often to be changed again",
                metadata={"field": "source_song_id", "limit": limit},
            )
        return source

    async def _song(self, account: Account, song_id: str, field: str = "song_id") -> Song:
        song = await self._store.get(account.id, _uuid(song_id, field))
        if song is None:
            raise song_not_found(song_id, field)
        return song


def _uuid(song_id: str, field: str = "song_id") -> UUID:
    """Raises InvalidField (REQUIRED) for none, NotFound for what cannot be a song's id."""
    if not song_id:
        raise InvalidField("REQUIRED", field, f"{field} is missing", limit=SONG_ID_LIMIT)
    try:
        found = UUID(song_id)
    except ValueError:
        raise song_not_found(song_id[:64], field) from None
    if str(found) != song_id:  # UUID() also takes braces, urn: and capitals
        raise song_not_found(song_id[:64], field)
    return found


def _chosen(value: int, known: Mapping[int, _Format], names: str) -> _Format:
    """Raises InvalidField (UNKNOWN_VALUE) for a number that is none of the known formats."""
    if value not in known:
        raise InvalidField("UNKNOWN_VALUE", "format", f"format {value} is not known", limit=names)
    return known[value]
