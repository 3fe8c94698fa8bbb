"""From takes to samples: any stretch of a song, as it would be within the whole song.

Each stretch is begun a while earlier than it is heard, so that what rings into it is there. Memory does not
grow with the song. Knows blocks, mixers and the master; no edits and no events.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from services.music.engine import Pcm
from services.music.sketch.arrangement import Arrangement
from services.music.sketch.composer import fullest_bars, reserve
from services.music.sketch.drumkit import Drummer
from services.music.sketch.instruments import Player
from services.music.sketch.mastering import LATENCY, Master
from services.music.sketch.mixer import Mixer, Stereo
from services.music.sketch.plan import Plan
from services.music.sketch.randomness import Seed
from services.music.sketch.room import Room
from services.music.sketch.score import Bar
from services.music.sketch.takes import Song, Take
from services.music.sketch.tones import RATE

# The longest that anything rings behind the bar that it began in, the room aside.
_RINGING_S = 6.0

_Sounds = tuple[Player, Drummer, Room]
# What bars that sound alike have in common.
_Alike = tuple[Seed, str]


@dataclass(frozen=True)
class Block:
    """Work for a listener: what is heard of one block, which may be nothing yet."""

    pcm: Pcm
    samples: int  # that were worked on


class Performance:
    """A take that can be played from anywhere to anywhere, as often as is wanted."""

    def __init__(self, take: Take) -> None:
        self.arrangement = Arrangement(take)
        self._sounds: dict[_Alike, _Sounds] = {}
        self._level = take.level

    @property
    def ringing(self) -> int:
        """Samples by which all that was struck before has died away."""
        return round((_RINGING_S + self.arrangement.throughout.reading.genre.room[0]) * RATE)

    def level(self) -> float:
        """The take's own, or that of a sound check."""
        if self._level is None:
            self._level = self._checked()
        return self._level

    def window(self, start: int, stop: int) -> range:
        """The blocks that are to be played for samples `start` to `stop`."""
        blocks, span = self.arrangement.blocks, self.arrangement.span
        first = next(
            (n for n in reversed(blocks) if span(n).start <= max(start - self.ringing, 0)), blocks[0]
        )
        last = next((n for n in blocks if span(n).stop >= stop + LATENCY), blocks[-1])
        return range(first, last + 1)

    def played(self, start: int, stop: int) -> Iterator[Block]:
        arrangement, window = self.arrangement, self.window(start, stop)
        desk, master, at = _Desk(self), self._master(window.start), arrangement.span(window.start).start
        for number in window:
            pcm = master.block(desk.block(number))
            if number == arrangement.blocks[-1]:
                pcm = np.concatenate((pcm, master.flush()))
            heard = pcm[max(start - at, 0) : max(stop - at, 0)]
            at += len(pcm)
            yield Block(heard, len(arrangement.span(number)))

    def sounds(self, plan: Plan) -> _Sounds:
        """Players, drums and room of a plan: the same for all bars that sound alike."""
        genre, key = plan.reading.genre, _alike(plan)
        if key not in self._sounds:
            self._sounds[key] = (
                Player(plan.seed), Drummer(genre.kit, plan.seed), Room(*genre.room, plan.seed)
            )  # fmt: skip
        return self._sounds[key]

    def forget(self, alike: _Alike | None = None) -> None:
        """Lets go of sounds, by default of all: they can be made again, and take a good deal of memory."""
        if alike is None:
            self._sounds.clear()
        else:
            self._sounds.pop(alike, None)

    def _master(self, first: int) -> Master:
        arrangement = self.arrangement
        master = self._unleveled(arrangement.span(first).start)
        master.level = self.level()
        return master

    def _unleveled(self, start: int) -> Master:
        reading, take = self.arrangement.throughout.reading, self.arrangement.take
        genre, brightness = reading.genre, reading.brightness
        return Master(genre, brightness, take.seed, take.samples, self.arrangement.fade, start)

    def _checked(self) -> float:
        """By what the take is throughout: some bars that were repainted do not make the others softer."""
        take = self.arrangement.take
        if take.changes != take.throughout:
            return Performance(replace(take, changes=take.throughout)).level()
        desk, arrangement = _Desk(self), self.arrangement
        first, last = fullest_bars(arrangement.throughout)
        if first:  # a line that is sung there may begin with a breath before
            desk.block(first - 1, Bar(phrases=arrangement.bar(first - 1).phrases))
        if first == last:  # once to fill the room, as in the song; its notes are then in the cache
            desk.block(first)
        master = self._unleveled(0)
        fullest = np.concatenate([desk.block(number) for number in range(first, last + 1)])
        master.set_level(fullest, reserve(arrangement.throughout))
        return master.level


def _alike(plan: Plan) -> _Alike:
    return plan.seed, plan.reading.genre.name


class _Desk:
    """The mixers of a take: one for all bars that sound alike, each until it has rung out."""

    def __init__(self, performance: Performance) -> None:
        self._performance, self._arrangement = performance, performance.arrangement
        self._mixers: dict[_Alike, tuple[Mixer, int]] = {}

    def block(self, number: int, bar: Bar | None = None) -> Stereo:
        span, plan = self._arrangement.span(number), self._arrangement.plan(number)
        key = _alike(plan)
        mixer, _ = self._mixers.get(key) or (self._mixer(plan), 0)
        self._mixers[key] = mixer, span.stop + self._performance.ringing
        bar = self._arrangement.bar(number) if bar is None else bar
        mixed = mixer.block(bar, span.start, len(span))
        for other, (ringing, until) in list(self._mixers.items()):
            if span.start >= until:
                del self._mixers[other]
                self._performance.forget(other)
            elif other != key:
                mixed = mixed + ringing.block(Bar(), span.start, len(span))
        return mixed

    def _mixer(self, plan: Plan) -> Mixer:
        player, drummer, room = self._performance.sounds(plan)
        return Mixer(plan.reading.genre, player, drummer, room, plan.seed, plan.form.clock.step_s)


class Playing:
    """A song to be played."""

    def __init__(self, song: Song) -> None:
        self._song = song
        self._performances = [(at, Performance(take)) for at, take in song.placed()]

    @property
    def song(self) -> Song:
        """The song, with the level of every take."""
        takes = [replace(p.arrangement.take, level=p.level()) for _, p in self._performances]
        return replace(self._song, takes=tuple(takes))

    @property
    def arrangements(self) -> list[tuple[int, Arrangement]]:
        return [(at, performance.arrangement) for at, performance in self._performances]

    def blocks(self, start: int, stop: int) -> list[int]:
        """The samples of every block that is worked on for a stretch of the song."""
        return [
            len(performance.arrangement.span(number))
            for performance, first, last in self._parts(start, stop)
            for number in performance.window(first, last)
        ]

    def played(self, start: int, stop: int) -> Iterator[Block]:
        """A stretch of the song; the samples of all its blocks add up to it."""
        for performance, first, last in self._parts(start, stop):
            for _, other in self._performances:
                if other is not performance:
                    other.forget()
            yield from performance.played(first, last)

    def _parts(self, start: int, stop: int) -> Iterator[tuple[Performance, int, int]]:
        for at, performance in self._performances:
            end = at + performance.arrangement.take.samples
            if start < end and at < stop:
                yield performance, max(start, at) - at, min(stop, end) - at
