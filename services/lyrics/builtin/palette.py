"""The bank under one song's taste: what may be drawn, how likely, and how many syllables it sings.

Knows weights and syllables. Keeps no memory of what was drawn.
"""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from typing import Generic, TypeVar

from services.lyrics import pronunciation
from services.lyrics.builtin.bank import SLOT, SPEAKER, Bank, Ending, Entry, Frame, RhymeKey
from services.lyrics.builtin.plan import SongPlan

_Item = TypeVar("_Item", Ending, Entry, Frame)

_ANCHOR_FACTOR = 5.0  # how much likelier the song's own words are than others of their kind
_RAP_FACTOR = 6.0


@dataclass(frozen=True)
class Urn(Generic[_Item]):
    """Things to draw from, with the running sums of their weights."""

    items: tuple[_Item, ...]
    sums: tuple[float, ...]

    def draw(self, rng: random.Random) -> _Item:
        return rng.choices(self.items, cum_weights=self.sums)[0]

    @classmethod
    def of(cls, weighted: Iterable[tuple[_Item, float]]) -> "Urn[_Item]":
        kept = [(item, weight) for item, weight in weighted if weight > 0]
        return cls(tuple(item for item, _ in kept), tuple(accumulate(weight for _, weight in kept)))


class Palette:
    """What one song draws from."""

    def __init__(self, words: Bank, plan: SongPlan) -> None:
        self.plan = plan
        self._words = words
        # Most of the bank shares a few hundred sets of tags.
        self.liking = cache(plan.taste.liking)
        self.fillers = {
            kind: Urn.of(
                (entry, self.liking(entry.tags) * (_ANCHOR_FACTOR if entry.text in plan.anchors else 1.0))
                for entry in entries
            )
            for kind, entries in words.fillers.items()
        }
        self.endings = {
            key: tuple((e, liking) for e in endings if (liking := self.liking(e.tags)) > 0)
            for key, endings in words.endings.items()
        }
        self.leads = {count: urn for count, urn in self._leads().items() if urn.items}
        self._frames: dict[tuple[str, str, bool], Urn[Frame]] = {}
        self._rhymes: dict[tuple[str, int], dict[RhymeKey, float]] = {}
        self._usable: dict[str, dict[RhymeKey, tuple[tuple[Ending, float], ...]]] = {}

    def frames(self, role: str, ending: Ending) -> Urn[Frame]:
        """Frames of a role that the ending completes."""
        return self._frames_for(role, ending.kind, ending.fits_anyone)

    def usable(self, role: str) -> dict[RhymeKey, tuple[tuple[Ending, float], ...]]:
        """By sound, the endings that some frame of a role leads to, with their weights."""
        if role not in self._usable:
            uses = {use[1:] for use in self._words.frames if use[0] == role and self._frames_for(*use).items}
            self._usable[role] = {
                key: tuple((e, weight) for e, weight in endings if (e.kind, e.fits_anyone) in uses)
                for key, endings in self.endings.items()
            }
        return self._usable[role]

    def _frames_for(self, role: str, kind: str, fits_anyone: bool) -> Urn[Frame]:
        use = role, kind, fits_anyone
        if use not in self._frames:
            self._frames[use] = Urn.of(
                (frame, self.liking(frame.tags) * (_RAP_FACTOR if "rap" in frame.tags else 1.0))
                for frame in self._words.frames.get(use, ())
            )
        return self._frames[use]

    def rhymes(self, role: str, needed: int) -> dict[RhymeKey, float]:
        """Sounds with more than `needed` end words for a role that truly rhyme, with their weight."""
        if (role, needed) not in self._rhymes:
            self._rhymes[role, needed] = {
                key: sum(weight for _, weight in endings) ** 0.5
                for key, endings in self.usable(role).items()
                if len(endings) > needed and len({ending.onset for ending, _ in endings}) > needed
            }
        return self._rhymes[role, needed]

    def _leads(self) -> dict[int, Urn[Entry]]:
        by_count: dict[int, list[Entry]] = defaultdict(list)
        for lead in self._words.leads:
            by_count[syllables(self.plan.speaker.say(lead.text))].append(lead)
        return {count: Urn.of((lead, 1.0) for lead in leads) for count, leads in by_count.items()}


@lru_cache(maxsize=16_384)
def syllables(text: str) -> int:
    """Syllables of a piece of a line; slots that are still open count none."""
    return pronunciation.syllables(SLOT.sub(lambda m: m[1] if m[1] in SPEAKER else " ", text))
