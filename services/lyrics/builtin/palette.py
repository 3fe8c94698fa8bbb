"""The bank under one song's taste: what may be drawn, how likely, and how many syllables it sings.

Knows weights and syllables. Keeps no memory of what was drawn.
"""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
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
        taste = plan.taste
        self.fillers = {
            kind: Urn.of(
                (entry, taste.liking(entry.tags) * (_ANCHOR_FACTOR if entry.text in plan.anchors else 1.0))
                for entry in entries
            )
            for kind, entries in words.fillers.items()
        }
        self.endings = {
            key: tuple((e, liking) for e in endings if (liking := taste.liking(e.tags)) > 0)
            for key, endings in words.endings.items()
        }
        self.leads = {count: urn for count, urn in self._leads().items() if urn.items}
        self._frames: dict[tuple[str, str, bool], Urn[Frame]] = {}

    def frames(self, role: str, ending: Ending) -> Urn[Frame]:
        """Frames of a role that the ending completes."""
        key = role, ending.kind, ending.fits_anyone
        if key not in self._frames:
            self._frames[key] = Urn.of(
                (frame, self.plan.taste.liking(frame.tags) * (_RAP_FACTOR if "rap" in frame.tags else 1.0))
                for frame in self._words.frames.get(role, ())
                if frame.takes(ending)
            )
        return self._frames[key]

    def rhymes(self, role: str, needed: int) -> dict[RhymeKey, float]:
        """Sounds with more than `needed` end words for a role that truly rhyme, with their weight."""
        found = {}
        for key, endings in self.endings.items():
            usable = [(ending, liking) for ending, liking in endings if self.frames(role, ending).items]
            if len({ending.onset for ending, _ in usable}) > needed:
                found[key] = sum(liking for _, liking in usable) ** 0.5
        return found

    def _leads(self) -> dict[int, Urn[Entry]]:
        by_count: dict[int, list[Entry]] = defaultdict(list)
        for lead in self._words.leads:
            by_count[syllables(self.plan.speaker.say(lead.text))].append(lead)
        return {count: Urn.of((lead, 1.0) for lead in leads) for count, leads in by_count.items()}


@lru_cache(maxsize=16_384)
def syllables(text: str) -> int:
    """Syllables of a piece of a line; slots that are still open count none."""
    return pronunciation.syllables(SLOT.sub(lambda m: m[1] if m[1] in SPEAKER else " ", text))
