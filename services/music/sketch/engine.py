"""The engine `sketch`, bar by bar: plan, sound check, then each bar written, played, mixed and mastered.

Memory does not grow with the song. Knows the order of work; the music is in the modules beside it.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np

from services.common.provenance import version_digest
from services.music.engine import (
    Audio,
    EngineInfo,
    Event,
    Finished,
    Progress,
    Reading,
    RenderCancelled,
    RenderRequest,
    Started,
)
from services.music.sketch.composer import fullest_bars, write_bar
from services.music.sketch.drumkit import Drummer
from services.music.sketch.instruments import Player
from services.music.sketch.mastering import Master, fade_samples
from services.music.sketch.mixer import Mixer, Stereo
from services.music.sketch.plan import Plan, make_plan
from services.music.sketch.room import Room
from services.music.sketch.score import Bar

# Part of every attestation, as the weights digest: change it with anything that changes a sample.
VERSION = "2.0.0"


class SketchEngine:
    info = EngineInfo("sketch", VERSION, ai=False, weights_digest=version_digest(VERSION))

    def warm_up(self) -> None:
        """Load tables and code paths, so that the first song starts as fast as the second."""
        request = RenderRequest(prompt="", lyrics=(), language="", duration_s=5.0, seed=0)
        for _ in self.render(request, lambda: False):
            pass

    def memory(self) -> None:
        """It uses none but the machine's own."""

    def render(self, request: RenderRequest, cancelled: Callable[[], bool]) -> Iterator[Event]:
        yield Started(request.samples)
        yield Progress("composing", 0, 1)
        plan = make_plan(request.prompt, request.lyrics, request.samples, request.seed, request.stated)
        yield Progress("composing", 1, 1)
        yield from _played(plan, cancelled)
        reading = plan.reading
        yield Finished(
            plan.state(VERSION),
            Reading(
                genre=reading.genre.name,
                mood=reading.mood,
                tempo_bpm=round(plan.form.clock.tempo_bpm, 3),
                key=str(reading.key),
                instruments=reading.instruments,
            ),
        )


def _played(plan: Plan, cancelled: Callable[[], bool]) -> Iterator[Event]:
    clock, genre = plan.form.clock, plan.reading.genre
    player, drummer = Player(plan.seed), Drummer(genre.kit, plan.seed)
    room = Room(*genre.room, plan.seed)

    def new_mixer() -> Mixer:
        return Mixer(genre, player, drummer, room, plan.seed, clock.step_s)

    master = Master(
        genre,
        plan.reading.brightness,
        plan.seed,
        clock.total,
        fade_samples(clock.total - clock.at(clock.bars)),
    )
    bounds = [*(clock.at(bar) for bar in range(clock.bars + 1)), clock.total]

    def sound(mixer: Mixer, bar: Bar, number: int) -> Stereo:
        return mixer.block(bar, bounds[number], bounds[number + 1] - bounds[number])

    sound_check = new_mixer()
    first, last = fullest_bars(plan)
    if first:  # a line that is sung there may begin with a breath before
        sound(sound_check, Bar(phrases=write_bar(plan, first - 1).phrases), first - 1)
    if first == last:  # once to fill the room, as in the song; its notes are then in the cache
        sound(sound_check, write_bar(plan, first), first)
    fullest = [sound(sound_check, write_bar(plan, number), number) for number in range(first, last + 1)]
    master.set_level(np.concatenate(fullest))
    mixer, steps, began = new_mixer(), clock.bars + 1, time.monotonic()
    yield Progress("rendering", 0, steps)
    for bar in range(steps):
        if cancelled():
            raise RenderCancelled
        yield Audio(master.block(sound(mixer, write_bar(plan, bar), bar)))
        # by samples, not bars: the ending is longer or shorter than a bar
        left = (clock.total - bounds[bar + 1]) / bounds[bar + 1]
        yield Progress("rendering", bar + 1, steps, (time.monotonic() - began) * left)
    yield Audio(master.flush())
