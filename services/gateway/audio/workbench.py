"""What is worked out from finished songs: one thing at a time for each song, two in all, the latest kept.

Knows no song's sound: only whose turn it is.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

KEPT_BYTES = 32 << 20
AT_ONCE = 2

# The master's sha256, what is made of it, and how.
Key = tuple[bytes, str, tuple[int, ...]]


class Workbench:
    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._limit_bytes, self._size = kept_bytes, 0
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._hands = asyncio.Semaphore(AT_ONCE)

    async def get(self, key: Key, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """What was made under this key, or what `make` makes now. Raises what `make` raises."""
        if key in self._kept:
            return self._found(key)
        turn = self._turns.setdefault(key[0], asyncio.Lock())
        async with turn:
            if key in self._kept:  # by who was here before
                return self._found(key)
            async with self._hands:
                making = asyncio.ensure_future(make())
                try:
                    made = await asyncio.shield(making)
                finally:
                    await asyncio.wait({making})  # a thread runs on, though nobody waits for it
        self._keep(key, made)
        return made

    def _found(self, key: Key) -> bytes:
        self._kept.move_to_end(key)
        return self._kept[key]

    def _keep(self, key: Key, made: bytes) -> None:
        self._kept[key] = made
        self._size += len(made)
        while self._size > self._limit_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)
