"""Songs: asking for them, following them, changing them."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Unpack

from acesteps.aio.calls import AsyncCalls
from acesteps.errors import SongFailed
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.orders import STATES, SongFields, State, has_ended, new_request_id, song_order

Seen = Callable[[pb.Song], None]


class AsyncSongs(AsyncCalls):
    """Every method raises AcestepsError."""

    async def review(self, prompt: str) -> pb.ReviewPromptResponse:
        """Whether the prompt may be made into a song, and what would make it better."""
        return await self._call(self._stub.ReviewPrompt, pb.ReviewPromptRequest(prompt=prompt))

    async def create(
        self, prompt: str = "", *, request_id: str = "", **fields: Unpack[SongFields]
    ) -> pb.CreateSongResponse:
        """Put a song into the queue: from nothing, or an edit of `source_song_id`.

        The same `request_id` gives the same song; without one, it is drawn for this call, so that a
        repeat within it makes no second song.
        """
        request = song_order(prompt, request_id or new_request_id(), **fields)
        return await self._call(self._stub.CreateSong, request)

    async def make(
        self,
        prompt: str = "",
        *,
        request_id: str = "",
        on_change: Seen = lambda song: None,
        **fields: Unpack[SongFields],
    ) -> pb.Song:
        """Create a song and wait for it; `on_change` sees every change. Raises SongFailed."""
        created = await self.create(prompt, request_id=request_id, **fields)
        return await self.finish(created.song.id, on_change=on_change)

    async def finish(self, song_id: str, *, on_change: Seen = lambda song: None) -> pb.Song:
        """The song once it is made; `on_change` sees every change. Raises SongFailed."""
        song = pb.Song()
        async with aclosing(self.watch(song_id)) as changes:
            async for song in changes:
                on_change(song)
        if song.state != pb.SONG_STATE_SUCCEEDED:
            raise SongFailed(song)
        return song

    async def watch(self, song_id: str, *, after_revision: int = 0) -> AsyncGenerator[pb.Song, None]:
        """The song as it is, then after every change until it has ended; goes on by itself where it broke.

        `after_revision` is the last that was seen: the first song to come is a newer one.
        """
        revision = after_revision

        def request() -> pb.WatchSongRequest:
            return pb.WatchSongRequest(song_id=song_id, after_revision=revision)

        async with aclosing(self._follow(self._stub.WatchSong, request)) as answers:
            async for answer in answers:
                revision = answer.song.revision
                yield answer.song
                if has_ended(answer.song):
                    return

    async def get(self, song_id: str) -> pb.Song:
        answer = await self._call(self._stub.GetSong, pb.GetSongRequest(song_id=song_id))
        return answer.song

    async def list(
        self,
        *,
        states: Sequence[State] = (),
        query: str = "",
        favourite: bool | None = None,
        hidden: bool = False,
        batch_id: str = "",
        minted: bool | None = None,
        page_size: int = 0,
    ) -> AsyncGenerator[pb.Song, None]:
        """The account's songs that match, newest first; pages are asked for as they are needed.

        Args:
            states: any of these; none means all
            query: words that title or prompt must hold
            favourite: only favourites, or only others
            hidden: only what is hidden; else only what is not
            minted: only songs that are MINTED on the chain, or only others
        """
        request = pb.ListSongsRequest(
            page_size=page_size,
            states=[STATES[state] for state in states],
            query=query,
            favourite=favourite,
            hidden=hidden,
            batch_id=batch_id,
            minted=minted,
        )
        while True:
            page = await self._call(self._stub.ListSongs, request)
            for song in page.songs:
                yield song
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def update(
        self,
        song_id: str,
        *,
        title: str | None = None,
        favourite: bool | None = None,
        hidden: bool | None = None,
    ) -> pb.Song:
        """Change what is given; the rest stays."""
        request = pb.UpdateSongRequest(song_id=song_id, title=title, favourite=favourite, hidden=hidden)
        return (await self._call(self._stub.UpdateSong, request)).song

    async def cancel(self, song_id: str) -> pb.Song:
        """Stop a song; one that has ended stays as it is."""
        return (await self._call(self._stub.CancelSong, pb.CancelSongRequest(song_id=song_id))).song

    async def retry(self, song_id: str) -> pb.Song:
        """Put a failed or cancelled song into the queue again."""
        return (await self._call(self._stub.RetrySong, pb.RetrySongRequest(song_id=song_id))).song

    async def delete(self, song_id: str) -> None:
        """Delete a song for good. FailedPrecondition SONG_PERMITTED: it can only be hidden."""
        await self._call(self._stub.DeleteSong, pb.DeleteSongRequest(song_id=song_id))

    async def share(self, song_id: str) -> pb.ShareSongResponse:
        """A link under which anyone can see and hear the song."""
        return await self._call(self._stub.ShareSong, pb.ShareSongRequest(song_id=song_id))

    async def unshare(self, song_id: str) -> pb.Song:
        """Take the link back."""
        return (await self._call(self._stub.UnshareSong, pb.UnshareSongRequest(song_id=song_id))).song

    async def shared(self, share_token: str) -> pb.SharedSong:
        """A shared song, for anyone who has its token."""
        request = pb.GetSharedSongRequest(share_token=share_token)
        return (await self._call(self._stub.GetSharedSong, request)).song

    async def family(self, song_id: str) -> pb.GetFamilyResponse:
        """The first song that this one comes from, and all that was made from that."""
        return await self._call(self._stub.GetFamily, pb.GetFamilyRequest(song_id=song_id))
