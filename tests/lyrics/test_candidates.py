"""Candidates of an engine that writes what its seed says: order, refusals, and what is left behind."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from services.common.errors import FailedPrecondition
from services.lyrics import candidates
from services.lyrics.document import Line, LyricDocument, Section, SectionTag
from services.lyrics.engine import Brief, Event, Finished, LyricistInfo, Planned
from services.lyrics.review import Review, review

BRIEF = Brief("rain", 5, 30.0)
POOR = ("la", "the moon", "something else that is far too long")
GOOD = ("Rain comes down and the night is long", "Sing with me and I'll sing your song")


@dataclass
class Notebook:
    """An engine whose songs are written down by seed; seeds that are not cannot meet the brief."""

    songs: dict[int, tuple[str, ...]]
    open: int = 0
    most: int = 0
    begun: list[int] = field(default_factory=list)
    info: LyricistInfo = field(
        default_factory=lambda: LyricistInfo("notebook", "1", ai=False, languages=frozenset(["en"]))
    )

    async def write(self, brief: Brief) -> AsyncGenerator[Event, None]:
        self.begun.append(brief.seed)
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await asyncio.sleep(0.01)
            if brief.seed not in self.songs:
                raise FailedPrecondition("BRIEF_UNMET", "not in the notebook", metadata={"field": "theme"})
            words = self.songs[brief.seed]
            yield Planned(len(words))
            section = Section(SectionTag.CHORUS, tuple(map(Line, words)))
            yield Finished(LyricDocument((section,), "en", seed=brief.seed))
        finally:
            self.open -= 1


async def judge(document: LyricDocument) -> Review:
    return review(document, 30.0)


def seeds(count: int) -> list[int]:
    return [candidates.seed_of(BRIEF.seed, number) for number in range(count)]


async def chosen(engine: Notebook, count: int, at_once: int) -> int:
    events = [event async for event in candidates.write(engine, BRIEF, count, at_once, judge)]
    last, judged = events[-1]
    assert isinstance(last, Finished)
    assert judged == await judge(last.document)
    assert [judged for _, judged in events[:-1]] == [None] * (len(events) - 1)
    return last.document.seed


async def test_best_wins_and_of_equals_the_first() -> None:
    first, second, third = seeds(3)
    assert await chosen(Notebook({first: POOR, second: GOOD, third: GOOD}), 3, 3) == second
    assert await chosen(Notebook({first: GOOD, second: GOOD, third: POOR}), 3, 1) == first


async def test_as_many_are_written_at_once_as_may_be() -> None:
    engine = Notebook(dict.fromkeys(seeds(6), GOOD))
    await chosen(engine, 6, 2)
    assert (engine.most, sorted(engine.begun)) == (2, sorted(seeds(6)))


async def test_candidate_that_cannot_meet_the_brief_is_left_out_unless_none_can() -> None:
    assert await chosen(Notebook({seeds(3)[2]: POOR}), 3, 3) == seeds(3)[2]
    with pytest.raises(FailedPrecondition, match="BRIEF_UNMET"):
        await chosen(Notebook({}), 3, 3)


async def test_leaving_early_ends_every_candidate() -> None:
    engine = Notebook(dict.fromkeys(seeds(8), GOOD))
    async with aclosing(candidates.write(engine, BRIEF, 8, 2, judge)) as events:
        async for event, _ in events:
            assert isinstance(event, Planned)
            break
    assert engine.open == 0
    assert len(engine.begun) < 8
