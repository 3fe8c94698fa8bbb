"""Many listeners of one song in the making, on a real database: random songs, speeds and moves.

Each hears exactly the song from its offset on, or is told why not.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from deploy.local.postgres import Database as Server
from services.common.errors import Aborted, ServiceError
from services.common.migrations import migrate
from services.gateway.accounts import DEVELOPMENT_ACCOUNT
from services.gateway.audio import feed as feed_module
from services.gateway.audio.chunks import Chunks, Hearing
from services.gateway.audio.download import Files
from services.gateway.audio.feed import Feeds
from services.gateway.audio.relay import Audio, Relay
from services.gateway.audio.workbench import Workbench
from services.gateway.database import MIGRATIONS, SCHEMA, open_database
from services.gateway.models import Chunk, NewSong, Progress, Song
from services.gateway.notices import Notices
from services.gateway.objects import Objects
from services.gateway.store import Store
from services.gateway.work.queue import Queue
from tests.gateway.mesh import eventually
from tests.gateway.test_queue import LIMITS, RESULT

ACCOUNT = DEVELOPMENT_ACCOUNT.id


class CountedChunks(Chunks):
    """Counts how often the table is read."""

    heard = pieces = 0

    async def hear(self, *arguments: Any) -> Hearing | None:
        self.heard += 1
        return await super().hear(*arguments)

    async def piece(self, *arguments: Any) -> Chunk:
        self.pieces += 1
        return await super().piece(*arguments)


@dataclass(frozen=True)
class Replica:
    relay: Relay
    feeds: Feeds
    chunks: CountedChunks


@dataclass
class Studio:
    """A song's maker, and the replicas that it is heard at."""

    store: Store
    queue: Queue
    objects: Objects
    replicas: list[Replica]
    # What each attempt has played, whether it came to its end or not.
    played: dict[int, bytes] = field(default_factory=dict)

    async def create(self) -> Song:
        new = NewSong(
            id=uuid4(), account_id=ACCOUNT, request_id=None, request_digest="", prompt="x", title="",
            given_lyrics="", language="", instrumental=True, duration_s=5.0, seed=7, creator_address="",
            reveal_prompt=False,
        )  # fmt: skip
        await self.store.enter_account(ACCOUNT, "")
        return await self.store.create(new)

    async def play(self, audio: bytes, draw: Random, *, until: int, longest: int, pause_s: float) -> Song:
        """Begins an attempt and writes its audio up to byte `until`, in pieces of any length."""
        song = None
        async with asyncio.timeout(5.0):
            while song is None:  # its backoff
                song = await self.queue.claim()
        self.played[song.attempt] = audio
        await self.write(song, draw, 0, until=until, longest=longest, pause_s=pause_s)
        return song

    async def write(
        self, song: Song, draw: Random, position: int, *, until: int, longest: int, pause_s: float
    ) -> None:
        """Goes on with an attempt at byte `position`."""
        audio, previous = self.played[song.attempt], None
        progress = Progress(stage="rendering", media_type="audio/mpeg", stream_bytes=len(audio))
        while position < until:
            chunks = []
            for _ in range(draw.randint(1, 4)):
                if position < until:
                    data = audio[position : min(until, position + draw.randint(1, longest))]
                    chunks.append(Chunk(position, data))
                    position += len(data)
            await self.queue.record(song.id, song.attempt, progress, chunks, previous, changed=True)
            previous = chunks[-1].offset
            await asyncio.sleep(draw.uniform(0, pause_s))

    async def finish(self, song: Song) -> None:
        audio = self.played[song.attempt]
        digest = hashlib.sha256(audio).digest()
        await self.objects.put(audio, digest)
        result = replace(RESULT, audio_sha256=digest, audio_bytes=len(audio))
        await self.queue.finish(song.id, song.attempt, result)


@asynccontextmanager
async def studio(
    server: Server, folder: Path, replicas: int, *, listen: bool = True
) -> AsyncIterator[Studio]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(server.gateway_dsn, connections=8))
        await database.value("TRUNCATE songs, audio_chunks, accounts CASCADE")
        store = Store(database)
        objects = Objects.open(f"file://{folder}", database, grace_s=60.0)
        files, opened = Files(objects, Workbench()), []
        for _ in range(replicas):
            notices = Notices(server.gateway_dsn, poll_s=0.02, listen=listen)
            running = asyncio.create_task(notices.run())
            stack.push_async_callback(partial(asyncio.gather, running, return_exceptions=True))
            stack.callback(running.cancel)
            chunks, draining = CountedChunks(database), asyncio.Event()
            feeds = Feeds(chunks, notices, draining)
            opened.append(Replica(Relay(store, feeds, files, draining), feeds, chunks))
        yield Studio(store, Queue(database, LIMITS), objects, opened)


@pytest.fixture(scope="module")
def server(new_database: Callable[[], Server]) -> Server:
    made = new_database()
    asyncio.run(migrate(made.gateway_dsn, SCHEMA, MIGRATIONS))
    return made


@dataclass
class Heard:
    """What one listener got, over all of its connections."""

    offset: int
    attempt: int = 0
    data: bytes = b""

    async def from_(self, audio: Audio, draw: Random, slowness_s: float, leave_after: int | None) -> bool:
        """Listens until the end (True), or leaves. Raises what ended it."""
        async with aclosing(audio):
            async for part in audio:
                if isinstance(part, pb.AudioHeader):
                    assert self.attempt in (0, part.attempt)
                    self.attempt = part.attempt
                    continue
                assert part.offset == self.offset + len(self.data)
                self.data += part.data
                if leave_after is not None and len(self.data) >= leave_after:
                    return False
                if slowness_s:
                    await asyncio.sleep(draw.uniform(0, slowness_s))
        return True


async def listen(studio: Studio, song: Song, draw: Random, size: int) -> ServiceError | None:
    """One listener: any offset, any speed, comes at any time, moves to another replica now and then."""
    await asyncio.sleep(draw.uniform(0, 0.5))
    offset = draw.choice([0, 0, draw.randrange(size), size, size + 1])
    heard, slowness_s = Heard(offset), draw.choice([0.0, 0.0, 0.005, 0.05])
    while True:
        leave_after = len(heard.data) + draw.randrange(1, size) if draw.random() < 0.5 else None
        relay = draw.choice(studio.replicas).relay
        audio = relay.live(song, offset + len(heard.data), heard.attempt)
        try:
            ended = await heard.from_(audio, draw, slowness_s, leave_after)
        except ServiceError as error:
            if isinstance(error, Aborted):
                assert heard.attempt
            # Whatever it was, what was heard was of one attempt.
            if heard.attempt:
                assert studio.played[heard.attempt][offset:].startswith(heard.data)
            return error
        if ended:
            assert heard.data == studio.played[heard.attempt][offset:]
            assert heard.attempt == max(studio.played)
            return None


@pytest.mark.parametrize("seed", range(8))
async def test_listeners_hear_the_song_from_their_offset_on_or_why_not(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    draw = Random(seed)
    # Small, so that the slow and the late fall behind; and pieces that do not fit to anything.
    monkeypatch.setattr(feed_module, "WINDOW_BYTES", draw.choice([1, 5_000, 40_000, 1 << 20]))
    monkeypatch.setattr(feed_module, "PIECE_BYTES", draw.choice([777, 10_000, 300_000]))
    size = draw.randint(100_000, 400_000)
    async with studio(server, tmp_path, replicas=2, listen=seed % 4 != 3) as room:
        song = await room.create()
        listening = [asyncio.create_task(listen(room, song, Random(f"{seed} {n}"), size)) for n in range(40)]
        await asyncio.sleep(0.1)
        ends = [draw.randint(1, size) for _ in range(draw.randint(0, 2))]
        for end in ends:  # attempts that come to nothing
            attempt = await room.play(draw.randbytes(size), draw, until=end, longest=20_000, pause_s=0.02)
            if draw.random() < 0.7:  # the next one begins before anyone has seen it wait
                await room.queue.give_back(attempt.id, attempt.attempt, 0.0)
            else:
                await room.queue.fail_attempt(attempt.id, attempt.attempt, "ENGINE_DIED", "it died")
        last = await room.play(draw.randbytes(size), draw, until=size, longest=20_000, pause_s=0.02)
        await room.finish(last)
        async with asyncio.timeout(20.0):
            outcomes = await asyncio.gather(*listening)
        reasons = {error.reason for error in outcomes if error is not None}
        assert reasons <= {"ATTEMPT_ENDED", "OUT_OF_RANGE"}
        if not ends:
            assert "ATTEMPT_ENDED" not in reasons
        assert any(error is None for error in outcomes)
        assert [len(replica.feeds) for replica in room.replicas] == [0, 0]


async def test_the_table_is_read_once_for_all_listeners(server: Server, tmp_path: Path) -> None:
    draw, size = Random(9), 1_000_000
    async with studio(server, tmp_path, replicas=1) as room:
        song = await room.create()
        (replica,) = room.replicas
        heard = [Heard(0) for _ in range(200)]
        listening = [
            asyncio.create_task(one.from_(replica.relay.live(song, 0, 0), draw, 0.0, None)) for one in heard
        ]
        audio = draw.randbytes(size)
        playing = await room.play(audio, draw, until=size, longest=20_000, pause_s=0.01)
        await room.finish(playing)
        await asyncio.gather(*listening)
        assert all(one.data == audio for one in heard)
        # 200 listeners would read each of 100 chunks for themselves: 20,000 times.
        assert replica.chunks.heard < 400
        assert replica.chunks.pieces < 20


async def test_who_comes_late_shares_what_is_older_than_the_window(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "WINDOW_BYTES", 50_000)
    monkeypatch.setattr(feed_module, "PIECE_BYTES", 100_000)
    draw, size = Random(10), 1_000_000
    audio = draw.randbytes(size)
    async with studio(server, tmp_path, replicas=1) as room:
        song = await room.create()
        (replica,) = room.replicas
        playing = await room.play(audio, draw, until=size, longest=20_000, pause_s=0.0)
        heard = [Heard(draw.randrange(size)) for _ in range(100)]
        listening = [
            asyncio.create_task(one.from_(replica.relay.live(song, one.offset, 0), draw, 0.0, None))
            for one in heard
        ]

        async def all_heard() -> bool:
            return all(one.offset + len(one.data) == size for one in heard)

        await eventually(all_heard)
        await room.finish(playing)
        await asyncio.gather(*listening)
        assert all(one.data == audio[one.offset :] for one in heard)
        # 10 pieces; nobody is slow, so few of them are let go of and read again
        assert replica.chunks.pieces < 60


async def test_a_piece_that_has_grown_is_read_again_though_someone_still_holds_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "WINDOW_BYTES", 1)
    draw, size = Random(12), 200_000
    async with studio(server, tmp_path, replicas=1) as room:
        song = await room.create()
        audio = draw.randbytes(size)
        playing = await room.play(audio, draw, until=100_000, longest=9_000, pause_s=0.0)
        with room.replicas[0].feeds.join(song.id) as feed:
            await feed.now()
            held = await feed.read(playing.attempt, 0)
            assert held == Chunk(0, audio[:100_000])
            await room.write(playing, draw, 100_000, until=180_000, longest=9_000, pause_s=0.0)

            async def grown() -> bool:
                return await feed.read(playing.attempt, 179_999) is not None

            await eventually(grown)
            assert await feed.read(playing.attempt, 100_000) == Chunk(0, audio[:180_000])


async def test_audio_that_the_database_has_lost_ends_with_its_attempt(server: Server, tmp_path: Path) -> None:
    draw, size = Random(11), 200_000
    async with studio(server, tmp_path, replicas=1) as room:
        song = await room.create()
        (replica,) = room.replicas
        heard = Heard(0)
        listening = asyncio.create_task(heard.from_(replica.relay.live(song, 0, 0), draw, 0.0, None))
        lost = await room.play(draw.randbytes(size), draw, until=size // 2, longest=20_000, pause_s=0.01)
        async with open_database(server.gateway_dsn, connections=1) as database:
            await database.value("TRUNCATE audio_chunks")  # as a crash of the server does
        await asyncio.sleep(0.1)
        assert not listening.done()
        late = asyncio.create_task(Heard(0).from_(replica.relay.live(song, 0, 0), draw, 0.0, None))
        await room.queue.fail_attempt(lost.id, lost.attempt, "CHUNKS_LOST", "gone")
        with pytest.raises(Aborted, match="ATTEMPT_ENDED"):
            await listening
        assert heard.data == room.played[lost.attempt][: size // 2]
        late.cancel()
