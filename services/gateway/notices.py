"""Wake-ups: one LISTEN connection per process, and whoever waits for news of a song.

A notice carries nothing that anyone relies on; it only says "look again". Without LISTEN, or while its
connection is down, everyone looks again after a while on their own.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import asyncpg

_log = logging.getLogger(__name__)

CHANNEL = "gateway_songs"
# Besides a song's states (see models.State): audio was written.
AUDIO = "AUDIO"
# And: something is to be sent to a webhook.
WEBHOOK = "WEBHOOK"
# While notices arrive, looking anyway is only the safety net.
SAFETY_FACTOR = 10
RECONNECT_S = 0.5
# A connection whose peer vanished without a word is found out by asking.
CHECK_S = 15.0


class Subscription:
    """News of one song, of some, or of all. Subscribe first, then look, then wait: nothing falls between."""

    def __init__(self, notices: "Notices", kinds: frozenset[str]) -> None:
        self._notices = notices
        self._kinds = kinds
        self._news = asyncio.Event()

    def tell(self, kind: str | None) -> None:
        """`kind` None: something may have been missed."""
        if kind is None or not self._kinds or kind in self._kinds:
            self._news.set()

    @property
    def patience_s(self) -> float:
        """Seconds after which it is time to look anyway."""
        return self._notices.patience_s

    async def wait(self, at_most_s: float | None = None) -> bool:
        """True when there is news since the last wait, False when it is time to look anyway."""
        patience_s = self.patience_s if at_most_s is None else at_most_s
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._news.wait()
        told = self._news.is_set()
        self._news.clear()
        return told


class Notices:
    """Fans the database's notices out to this process."""

    def __init__(self, dsn: str, *, poll_s: float, listen: bool = True) -> None:
        self._dsn = dsn
        self._listen = listen
        self._listening = False
        self._poll_s = poll_s
        self._of_song: dict[UUID | None, set[Subscription]] = defaultdict(set)

    @property
    def patience_s(self) -> float:
        return self._poll_s * SAFETY_FACTOR if self._listening else self._poll_s

    @contextmanager
    def subscribe(self, song_id: UUID | None, *kinds: str) -> Iterator[Subscription]:
        """News of `song_id` (None: any song), of these kinds (none given: of every kind)."""
        with self.subscribe_to_all((song_id,), *kinds) as subscription:
            yield subscription

    @contextmanager
    def subscribe_to_all(self, song_ids: Collection[UUID | None], *kinds: str) -> Iterator[Subscription]:
        """News of any of these songs."""
        subscription = Subscription(self, frozenset(kinds))
        for song_id in song_ids:
            self._of_song[song_id].add(subscription)
        try:
            yield subscription
        finally:
            for song_id in song_ids:
                self._of_song[song_id].discard(subscription)
                if not self._of_song[song_id]:
                    del self._of_song[song_id]

    def tell(self, kind: str) -> None:
        """News that this process makes itself, for those who wait for news of any song."""
        for subscription in self._of_song.get(None, ()):
            subscription.tell(kind)

    def wake_everyone(self) -> None:
        for subscriptions in self._of_song.values():
            for subscription in subscriptions:
                subscription.tell(None)

    async def run(self) -> None:
        """Listens until cancelled; returns at once where LISTEN is off."""
        while self._listen:
            try:
                await self._hear_until_broken()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.warning("not listening", extra={"error": f"{type(error).__name__}: {error}"})
            await asyncio.sleep(RECONNECT_S)

    async def _hear_until_broken(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=5.0, command_timeout=5.0)
        try:
            broken = asyncio.Event()
            connection.add_termination_listener(lambda _: broken.set())
            await connection.add_listener(CHANNEL, self._on_notice)
            self._listening = True
            self.wake_everyone()  # for what was said before we listened
            while not broken.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_S):
                        await broken.wait()
                if not broken.is_set():
                    await connection.execute("SELECT 1")
        finally:
            self._listening = False
            connection.terminate()
            self.wake_everyone()  # their patience has become shorter

    def _on_notice(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        kind, _, name = payload.partition(" ")
        try:
            song_id = UUID(name)
        except ValueError:  # anyone with the database's password can NOTIFY
            return
        for key in (song_id, None):
            for subscription in self._of_song.get(key, ()):
                subscription.tell(kind)
