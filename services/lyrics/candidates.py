"""Several documents for one brief, of which the review takes the best.

Knows seeds, order and who may write at once. The words are the engine's, the judgement is the review's.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from services.common.errors import FailedPrecondition
from services.lyrics.document import LyricDocument
from services.lyrics.engine import Brief, Engine, Event, Finished, Planned
from services.lyrics.review import Review

Judge = Callable[[LyricDocument], Awaitable[Review]]


@dataclass(frozen=True)
class _Written:
    """All events of one candidate, and what the review says of it."""

    events: tuple[Event, ...]
    review: Review


def seed_of(seed: int, number: int) -> int:
    """Seed of candidate `number`, from 0: the first has the brief's own, so that it is the song that one
    candidate alone would be."""
    if number == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"candidate {number} of {seed}".encode()).digest()[:4])


async def write(
    engine: Engine, brief: Brief, count: int, at_once: int, judge: Judge
) -> AsyncGenerator[tuple[Event, Review | None], None]:
    """The events of the best of `count` documents; the last has its review.

    `at_once` of them are written side by side. While there are several, `Planned` comes whenever one is
    done, and nothing else before all are. A candidate that cannot meet the brief is left out.

    Raises:
        services.common.errors.ServiceError: the engine's; FailedPrecondition where no candidate is left.
    """
    if count == 1:
        async with aclosing(engine.write(brief)) as events:
            async for event in events:
                yield event, await judge(event.document) if isinstance(event, Finished) else None
        return
    free = asyncio.Semaphore(at_once)

    async def attempt(number: int) -> _Written | FailedPrecondition:
        own = replace(brief, seed=seed_of(brief.seed, number))
        async with free:
            try:
                return await _written(engine, own, judge)
            except FailedPrecondition as error:
                return error

    tasks = [asyncio.create_task(attempt(number)) for number in range(count)]
    try:
        for done in asyncio.as_completed(tasks):
            if isinstance(one := await done, _Written):
                yield _planned(one), None
        outcomes = [
            task.result() for task in tasks
        ]  # in the order of their numbers: the first of equals wins
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    songs = [outcome for outcome in outcomes if isinstance(outcome, _Written)]
    if not songs:
        raise next(outcome for outcome in outcomes if isinstance(outcome, FailedPrecondition))
    best = max(songs, key=lambda song: song.review.rank)
    for event in best.events:
        yield event, best.review if isinstance(event, Finished) else None


async def _written(engine: Engine, brief: Brief, judge: Judge) -> _Written:
    async with aclosing(engine.write(brief)) as stream:
        events = tuple([event async for event in stream])
    finished = next(event for event in events if isinstance(event, Finished))
    return _Written(events, await judge(finished.document))


def _planned(song: _Written) -> Planned:
    return next(event for event in song.events if isinstance(event, Planned))
