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
_THEME_FACTOR = 4.0  # and what says a word of the theme itself
_LONG_FACTOR = 6.0  # and long or short frames, where the song asks for them


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


@dataclass(frozen=True)
class Spot:
    """What one line has to be: its role's letter, and what must be said in it.

    `phrase` is what {theme} stands for, `call` what {call} does; `word` (lower case, may be several) is
    said by the line's `by`: its "ending", a "filler", or the "frame" itself.
    """

    role: str
    phrase: str = ""
    call: str = ""
    word: str = ""
    by: str = ""


class Source:
    """What a spot can draw from: endings by their sound, and the frames that each completes."""

    def __init__(self, palette: "Palette", spot: Spot) -> None:
        self._palette, self._spot = palette, spot
        self._frames: dict[tuple[str, bool], Urn[Frame]] = {}
        self.fillers = palette.fillers
        if spot.by == "filler":
            self.fillers = palette.fillers | {
                kind: found
                for kind, urn in palette.fillers.items()
                if (found := Urn.of((e, 1.0) for e in urn.items if says(e.text, spot.word))).items
            }
        self.endings = {
            key: found
            for key, endings in palette.endings.items()
            if (found := tuple((e, weight) for e, weight in endings if self._takes(e)))
        }

    def frames(self, ending: Ending) -> Urn[Frame]:
        """Frames of the spot's role that the ending completes."""
        use = ending.kind, ending.fits_anyone
        if use not in self._frames:
            self._frames[use] = Urn.of(
                (frame, self._palette.weight(frame))
                for frame in self._palette.words.frames.get((self._spot.role, *use), ())
                if self._fits(frame)
            )
        return self._frames[use]

    def _fits(self, frame: Frame) -> bool:
        if self._spot.by == "frame":
            return says(self._palette.plan.speaker.say(frame.text), self._spot.word)
        if self._spot.by == "filler":
            return any(self.fillers[kind] is not self._palette.fillers[kind] for kind in frame.fillers)
        return True

    def _takes(self, ending: Ending) -> bool:
        if self._spot.by == "ending" and not says(
            self._palette.plan.speaker.say(ending.text), self._spot.word
        ):
            return False
        return bool(self.frames(ending).items)


class Palette:
    """What one song draws from."""

    def __init__(self, words: Bank, plan: SongPlan) -> None:
        self.plan = plan
        self.words = words
        # Most of the bank shares a few hundred sets of tags.
        self.liking = cache(plan.taste.liking)
        self.fillers = {
            kind: Urn.of(
                (entry, self.weight(entry) * (_ANCHOR_FACTOR if entry.text in plan.anchors else 1.0))
                for entry in entries
            )
            for kind, entries in words.fillers.items()
        }
        self.endings = {
            key: tuple((e, weight) for e in endings if (weight := self.weight(e)) > 0)
            for key, endings in words.endings.items()
        }
        self.leads = {count: urn for count, urn in self._leads().items() if urn.items}
        self.source = cache(lambda spot: Source(self, spot))

    def weight(self, piece: Ending | Entry | Frame) -> float:
        """How likely a piece is drawn: 0 for one that this song cannot say."""
        weight = self.liking(piece.tags)
        if not weight or self.plan.avoided.in_text(self.plan.speaker.say(piece.text)):
            return 0.0
        if isinstance(piece, Frame):
            if not all(self.fillers[kind].items for kind in piece.fillers):
                return 0.0
            return weight * (_LONG_FACTOR if piece.tags & {"rap", "short"} else 1.0)
        return weight * (_THEME_FACTOR if self.plan.is_own(piece.text) else 1.0)

    def _leads(self) -> dict[int, Urn[Entry]]:
        by_count: dict[int, list[Entry]] = defaultdict(list)
        for lead in self.words.leads:
            by_count[syllables(self.plan.speaker.say(lead.text))].append(lead)
        return {
            count: Urn.of((lead, self.weight(lead)) for lead in leads) for count, leads in by_count.items()
        }


def says(text: str, phrase: str) -> bool:
    """Whether a text has the words of a phrase (lower case), in a row; slots that are open say nothing."""
    wanted, said = phrase.split(), pronunciation.words(SLOT.sub(" . ", text))
    return any(said[i : i + len(wanted)] == wanted for i in range(len(said) - len(wanted) + 1))


@lru_cache(maxsize=65_536)
def syllables(text: str) -> int:
    """Syllables of a piece of a line; slots that are still open count none."""
    return pronunciation.syllables(SLOT.sub(lambda m: m[1] if m[1] in SPEAKER else " ", text))
