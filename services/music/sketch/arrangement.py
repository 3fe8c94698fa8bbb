"""A take, bar by bar: which plan each bar is played by, and what it holds; where the blocks lie in samples.

Blocks are numbered as bars are, with the prelude before the first and the ending behind the last. Plays
nothing.
"""

from dataclasses import replace
from functools import cached_property

from services.music.sketch.composer import write_bar
from services.music.sketch.leads import voice
from services.music.sketch.mastering import fade_samples
from services.music.sketch.plan import Plan, arranged
from services.music.sketch.randomness import Renewal, Seeds
from services.music.sketch.score import Bar, Phrase
from services.music.sketch.takes import PRELUDE, Take
from services.music.sketch.varying import renewed
from services.music.splice import FADE_SAMPLES


class Arrangement:
    def __init__(self, take: Take) -> None:
        self.take = take
        self._plans: dict[tuple[int, ...], Plan] = {}

    @cached_property
    def _first(self) -> Plan:
        return arranged(self.take.seed, self.take.reading, self.take.form)

    @cached_property
    def throughout(self) -> Plan:
        """The plan of what no change of some bars has touched."""
        whole = self.take.every_bar
        return self._under(tuple(i for i, change in enumerate(self.take.changes) if change.bars == whole))

    @property
    def blocks(self) -> range:
        """Without those that are empty."""
        clock = self.take.form.clock
        return range(PRELUDE if clock.origin else 0, clock.bars + (clock.at(clock.bars) < clock.total))

    def span(self, number: int) -> range:
        """The samples of a block."""
        clock = self.take.form.clock
        start = 0 if number == PRELUDE else clock.at(number)
        stop = clock.total if number >= clock.bars else min(clock.at(number + 1), clock.total)
        return range(start, stop)

    @property
    def fade(self) -> int:
        """How much of the end dies away: of an ending most, of what leads on no more than a click needs."""
        clock = self.take.form.clock
        ending = clock.total - clock.at(clock.bars)
        return fade_samples(ending) if ending > 0 else min(FADE_SAMPLES, clock.total)

    def plan(self, number: int) -> Plan:
        return self._under(tuple(i for i, change in enumerate(self.take.changes) if change.covers(number)))

    def bar(self, number: int) -> Bar:
        plan = self.plan(number)
        if number == PRELUDE:
            return self._pickup(plan)
        bar = write_bar(plan, number)
        return bar if self.take.words is None else replace(bar, phrases=self.phrases(number))

    def phrases(self, number: int) -> tuple[Phrase, ...]:
        """The sung lines that begin in a bar."""
        if not 0 <= number < self.take.form.clock.bars:
            return ()
        plan = replace(self.plan(number), form=self.take.sung)
        return tuple(voice(plan, plan.form.section_of(number), number))

    def _under(self, changes: tuple[int, ...]) -> Plan:
        if not changes:
            return self._first
        if changes not in self._plans:
            made = [self.take.changes[i] for i in changes]
            seeds = tuple(Renewal(change.seed, change.variance) for change in made)
            readings = [change.reading for change in made if change.reading]
            reading = readings[-1] if readings else self.take.reading
            self._plans[changes] = renewed(self._first, reading, Seeds(self.take.seed, seeds))
        return self._plans[changes]

    def _pickup(self, plan: Plan) -> Bar:
        """What leads into the first bar: the end of a bar like it, drums alone where there are some."""
        clock = plan.form.clock
        if not clock.bars:
            return Bar()
        bar, length = write_bar(plan, 0), clock.at(1) - clock.at(0)
        strokes = tuple(
            replace(stroke, at=stroke.at - length) for stroke in bar.strokes if stroke.at >= length
        )
        tones = tuple(replace(tone, at=tone.at - length) for tone in bar.tones if tone.at >= length)
        return (
            Bar((), strokes, (), tuple(s.at for s in strokes if s.piece == "kick")) if strokes else Bar(tones)
        )
