"""Questions that are asked together: who is answered when, and what one asker does to the others."""

import asyncio
from collections.abc import Sequence

import pytest

from services.gateway.gathering import MOST_AT_ONCE, Gathering


class Oracle:
    """Doubles numbers, each batch once it is let; raises for those that hold a negative one."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.let = asyncio.Semaphore(0)
        self.gathering = Gathering(self._answer)

    async def _answer(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        await self.let.acquire()
        if min(numbers) < 0:
            raise ValueError("negative")
        return [2 * number for number in numbers]

    def ask(self, *numbers: int) -> list[asyncio.Task[int]]:
        return [asyncio.create_task(self.gathering.ask(number)) for number in numbers]

    async def begun(self, batches: int) -> None:
        async with asyncio.timeout(5.0):
            while len(self.batches) < batches:  # noqa: ASYNC110  # what it asks sets no event
                await asyncio.sleep(0)


@pytest.fixture
async def oracle() -> Oracle:
    return Oracle()


async def test_what_is_asked_while_an_answer_is_under_way_is_asked_together_next(oracle: Oracle) -> None:
    first = oracle.ask(1)
    await oracle.begun(1)
    later = oracle.ask(2, 3, 4)
    await asyncio.sleep(0)
    oracle.let.release()
    oracle.let.release()
    assert await asyncio.gather(*first, *later) == [2, 4, 6, 8]
    assert oracle.batches == [[1], [2, 3, 4]]


async def test_a_crowd_is_asked_in_parts(oracle: Oracle) -> None:
    asked = oracle.ask(*range(2 * MOST_AT_ONCE + 1))
    for _ in range(3):
        oracle.let.release()
    assert await asyncio.gather(*asked) == [2 * number for number in range(2 * MOST_AT_ONCE + 1)]
    assert [len(batch) for batch in oracle.batches] == [MOST_AT_ONCE, MOST_AT_ONCE, 1]


async def test_an_error_reaches_all_who_asked_together_and_nobody_after(oracle: Oracle) -> None:
    wrong = oracle.ask(-1, 5)
    await oracle.begun(1)
    right = oracle.ask(6)
    await asyncio.sleep(0)
    oracle.let.release()
    oracle.let.release()
    assert [type(e) for e in await asyncio.gather(*wrong, return_exceptions=True)] == [ValueError] * 2
    assert await asyncio.gather(*right) == [12]


async def test_whoever_leaves_takes_nobody_elses_answer_along(oracle: Oracle) -> None:
    staying, leaving = oracle.ask(1, 2)
    await oracle.begun(1)
    waiting, gone = oracle.ask(3, 4)
    await asyncio.sleep(0)
    leaving.cancel()
    gone.cancel()
    await asyncio.sleep(0)
    oracle.let.release()
    oracle.let.release()
    assert await asyncio.gather(staying, waiting) == [2, 6]
    assert oracle.batches == [[1, 2], [3]]


async def test_it_answers_again_after_a_silence(oracle: Oracle) -> None:
    for number in (1, 2):
        (asked,) = oracle.ask(number)
        oracle.let.release()
        assert await asked == 2 * number
