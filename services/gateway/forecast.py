"""Whose turn comes when, and when it is over: the claims to come, played through ahead of time.

Knows the rule of the claim (`work.queue`) and how fast songs were made. Knows no database and no clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from uuid import UUID

from services.gateway.models import Place

# Songs that ended longer ago say nothing of how many are made at once today.
RECENT_S = 600.0


@dataclass(frozen=True)
class Waiting:
    """A song of the queue."""

    id: UUID
    account_id: UUID
    priority: int
    # seconds until it may be begun; less than 0: it has waited for so long
    due_in_s: float
    # seconds of audio
    duration_s: float


@dataclass(frozen=True)
class Making:
    """A song in the making. All in seconds."""

    account_id: UUID
    duration_s: float
    elapsed_s: float
    # the engine's own word; 0: none yet
    eta_s: float


@dataclass(frozen=True)
class Turns:
    """What counts of an account when it is its turn or not."""

    # songs in the making at once
    most: int
    # when it was served last, in seconds of any clock
    served_s: float


@dataclass(frozen=True)
class Made:
    """A song that was made. All in seconds."""

    making_s: float
    audio_s: float
    # since its end
    ago_s: float


@dataclass(frozen=True)
class Speed:
    # songs in the making at once
    slots: int
    # seconds of making for a second of audio; None: not measured yet
    pace: float | None


def speed_of(made: Sequence[Made], running: int) -> Speed:
    """As songs were made lately. `running`: songs in the making now."""
    audio_s = sum(song.audio_s for song in made)
    spans = [(s.ago_s, s.ago_s + s.making_s) for s in made if s.ago_s <= RECENT_S]
    # The most are in the making at the moment when one of them was begun.
    at_once = (sum(end < begun <= start for end, start in spans) for _, begun in spans)
    return Speed(
        slots=max(1, running, *at_once),
        pace=sum(song.making_s for song in made) / audio_s if audio_s else None,
    )


@dataclass
class _Line:
    """What waits of one account."""

    most: int
    served_s: float
    running: int = 0
    # heap of (-priority, due_in_s, id, duration_s)
    due: list[tuple[int, float, UUID, float]] = field(default_factory=list)
    # of its latest offer
    offer: int = 0


class _Offers:
    """The first song of every account that may have one more begun; the next claim is the least of them."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, float, float, UUID, int, _Line]] = []
        self._numbers = count(1)

    def renew(self, line: _Line) -> None:
        """Call it after every change of the line: what it offered before is void."""
        line.offer = next(self._numbers)
        if line.due and line.running < line.most:
            priority, due_in_s, song_id, _ = line.due[0]
            entry = (priority, line.running, line.served_s, due_in_s, song_id, line.offer, line)
            heappush(self._heap, entry)

    def take(self) -> _Line | None:
        while self._heap:
            *_, offer, line = heappop(self._heap)
            if offer == line.offer:
                return line
        return None


def forecast(
    waiting: Iterable[Waiting], making: Sequence[Making], accounts: Mapping[UUID, Turns], speed: Speed
) -> dict[UUID, Place]:
    """The place of every song that waits, if nothing is added, cancelled or failed.

    Takes O(n log n). `accounts`: those of all the songs.
    """
    pace, offers, places = speed.pace or 1.0, _Offers(), dict[UUID, Place]()
    lines = {id_: _Line(turns.most, turns.served_s) for id_, turns in accounts.items()}
    numbers, served = count(), count(1)
    last_served_s = max((turns.served_s for turns in accounts.values()), default=0.0)
    last_served_s = max(last_served_s, 0.0)  # never served is -inf
    # (when, number, whose)
    ends = [(_left_s(song, pace), next(numbers), lines[song.account_id]) for song in making]
    heapify(ends)
    for *_, line in ends:
        line.running += 1
    free = max(0, speed.slots - len(making))
    later = sorted(waiting, key=lambda song: song.due_in_s, reverse=True)
    wanted, now_s = len(later), 0.0
    while len(places) < wanted:
        while later and later[-1].due_in_s <= now_s:
            song = later.pop()
            line = lines[song.account_id]
            heappush(line.due, (-song.priority, song.due_in_s, song.id, song.duration_s))
            offers.renew(line)
        while free and (taken := offers.take()) is not None:
            _, _, song_id, duration_s = heappop(taken.due)
            end_s = now_s + duration_s * pace
            places[song_id] = Place(len(places) + 1, round(end_s, 1) if speed.pace else 0.0)
            taken.running, taken.served_s = taken.running + 1, last_served_s + next(served)
            offers.renew(taken)
            heappush(ends, (end_s, next(numbers), taken))
            free -= 1
        # Nothing more can be begun before one ends or becomes due.
        coming = [*(end for end, *_ in ends[:1]), *(song.due_in_s for song in later[-1:])]
        if not coming:
            break
        now_s = max(now_s, min(coming))
        while ends and ends[0][0] <= now_s:
            *_, line = heappop(ends)
            line.running, free = line.running - 1, free + 1
            offers.renew(line)
    return places


def _left_s(song: Making, pace: float) -> float:
    return song.eta_s or max(0.0, song.duration_s * pace - song.elapsed_s)
