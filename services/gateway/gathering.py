"""Questions that come while one is being answered are asked together next: the busier, the fewer statements.

Knows nothing of what is asked. A question is never part of an answer that was begun before it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")

# So that nobody waits for a statement as long as a crowd.
MOST_AT_ONCE = 64


class Gathering(Generic[Question, Answer]):
    def __init__(self, answer: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]) -> None:
        """`answer` gives one answer for each question, in their order."""
        self._answer = answer
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """Raises what `answer` raised for all that were asked together."""
        coming: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, coming))
        if self._asking is None:
            # In no call's context: what is asked is everybody's.
            self._asking = asyncio.create_task(self._ask(), context=Context())
        return await coming

    async def _ask(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await self._ask_together([(q, coming) for q, coming in asked if not coming.done()])
        finally:
            self._asking = None
            for _, coming in self._waiting:  # we were cancelled: the loop is ending
                coming.cancel()

    async def _ask_together(self, asked: Sequence[tuple[Question, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._answer([question for question, _ in asked])
        except BaseException as error:
            for _, coming in asked:
                if isinstance(error, Exception) and not coming.done():
                    coming.set_exception(error)
                coming.cancel()
            if not isinstance(error, Exception):
                raise
            return
        for (_, coming), answer in zip(asked, answers, strict=True):
            if not coming.done():  # who asked has gone
                coming.set_result(answer)
