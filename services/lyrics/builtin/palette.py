"""The bank under one song's taste: what may be drawn, how likely, and how many syllables it sings.

Knows weights and syllables. Keeps no memory of what was drawn.
"""

import random
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from typing import Generic, TypeVar

from services.lyrics import pronunciation
from services.lyrics.builtin.bank import SLOT, SPEAKER, Bank, Ending, Entry, Frame, code
from services.lyrics.builtin.plan import SongPlan

_Item = TypeVar("_Item", Ending, Entry, Frame)

_ANCHOR_FACTOR = 5.0  # how much likelier the song's own words are than others of their kind
_THEME_FACTOR = 4.0  # and what says a word of the theme itself
# By number of fillers: one in as many lines is a song's own to say.
_SHARES = (40, 12, 5)
_WHOLE_SHARES = (1500, 1500, 600)  # of lines that were written whole, which are drawn the most
_FILLINGS = 6  # tries to fill one with what is in the share
_CHORUS_SHARE, _ASIDE_SHARE = 2, 12  # of those that no verse says: choruses may be alike
_WHOLE_FACTOR = 300.0  # and lines that were written whole: they say one thing
_LONG_FACTOR = 6.0  # and long or short frames, where the song asks for them


@dataclass(frozen=True)
class Urn(Generic[_Item]):
    """Things to draw from, with the running sums of their weights."""

    items: tuple[_Item, ...]
    sums: tuple[float, ...]

    @property
    def total(self) -> float:
        return self.sums[-1] if self.sums else 0.0

    def draw(self, rng: random.Random) -> _Item:
        return self.items[min(bisect(self.sums, rng.random() * self.sums[-1]), len(self.items) - 1)]

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


@dataclass(frozen=True)
class Choice:
    """Endings of one sound with their weights; `words` is how many end words they have, `rhymes` how many
    of these truly rhyme with one another."""

    endings: tuple[tuple[Ending, float], ...]
    weight: float
    words: int
    rhymes: int

    @classmethod
    def of(cls, endings: tuple[tuple[Ending, float], ...]) -> "Choice":
        words, onsets = {ending.word for ending, _ in endings}, {ending.onset for ending, _ in endings}
        return cls(endings, sum(weight for _, weight in endings), len(words), len(onsets))


@dataclass(frozen=True)
class _Frames:
    """Frames for one use of endings: with nothing but the ending, by the part of the bank that they are
    in; and with fillers."""

    bare: Mapping[int, Urn[Frame]]
    other_bare: Urn[Frame]  # for the parts that `bare` does not have
    all_bare: Urn[Frame]
    filled: Urn[Frame]


class Source:
    """What a spot can draw from: endings by their sound, the frames that each completes, their fillers.

    A line is in a song's share of the bank when the codes of its pieces and of the seed, added up, leave no
    remainder; songs of different seeds so say different lines. Of lines with few pieces, which come up
    most, the share is smallest. What is drawn here is in the share, but for words that must be said.
    """

    def __init__(self, palette: "Palette", spot: Spot) -> None:
        self._palette, self._spot = palette, spot
        self._frames: dict[tuple[str, bool], _Frames] = {}
        self._told: dict[str, Urn[Entry]] = {}
        if spot.by == "filler":
            for kind, urn in palette.fillers.items():
                if (told := Urn.of((e, 1.0) for e in urn.items if says(e.text, spot.word))).items:
                    self._told[kind] = told
        self.endings = {
            key: Choice.of(found)
            for key, endings in palette.endings.items()
            if (found := tuple((e, weight) for e, weight in endings if self._takes(e)))
        }

    def draw(
        self, ending: Ending, rng: random.Random, *, shared: bool = True
    ) -> tuple[Frame, tuple[Entry, ...]] | None:
        """A frame that the ending completes, and what fills it; None when the draw leaves the share, which
        it may unless `shared`."""
        if ending.line and not self._told:
            return self._filled(ending, ending.line, rng)
        frame = ending.line or self._frame(ending, rng, shared=shared)
        if frame is None:
            return None
        number = self._palette.plan.share + code(ending.text) + code(frame.text)
        entries: list[Entry] = []
        for kind in frame.fillers:
            last = len(entries) == len(frame.fillers) - 1
            fillers = self._told.get(kind)
            if fillers is None and not (last and shared):
                fillers = self._palette.fillers[kind]
            if fillers is None:
                parts = _SHARES[min(len(frame.fillers), len(_SHARES) - 1)]
                fillers = self._palette.shared(kind, parts, -number % parts)
                # As if drawn from all of them and kept when in the share: a part without a word that suits
                # the song seldom gives one.
                if rng.random() * self._palette.fillers[kind].total >= parts * fillers.total:
                    return None
            entries.append(fillers.draw(rng))
            number += len(entries) * code(entries[-1].text)
        return frame, tuple(entries)

    def _filled(
        self, ending: Ending, line: Frame, rng: random.Random
    ) -> tuple[Frame, tuple[Entry, ...]] | None:
        """A whole line and what fills it, always in the song's share: such a line is known again at once."""
        palette, parts = self._palette, _WHOLE_SHARES[min(len(line.fillers), len(_WHOLE_SHARES) - 1)]
        for _ in range(_FILLINGS if len(line.fillers) > 1 else 1):
            number, entries = palette.plan.share + code(ending.text) + code(line.text), []
            for kind in line.fillers[:-1]:
                entries.append(palette.fillers[kind].draw(rng))
                number += len(entries) * code(entries[-1].text)
            if not line.fillers:
                return line, ()
            last = palette.shared(line.fillers[-1], parts, -number % parts)
            if last.total:
                return line, (*entries, last.draw(rng))
        return None

    def _frame(self, ending: Ending, rng: random.Random, *, shared: bool) -> Frame | None:
        frames = self._frames_for(ending)
        bare, filled = frames.all_bare, frames.filled
        if shared:
            number = self._palette.plan.share + code(ending.text)
            bare = frames.bare.get(-number % _SHARES[0], frames.other_bare)
        if not bare.total + filled.total:
            return None
        urn = bare if rng.random() * (bare.total + filled.total) < bare.total else filled
        return urn.draw(rng)

    def _frames_for(self, ending: Ending) -> "_Frames":
        use = ending.kind, ending.fits_anyone
        if use not in self._frames:
            spot, weight = self._spot, self._palette.weight
            fitting = [f for f in self._palette.words.frames.get((spot.role, *use), ()) if self._fits(f)]
            bare = [(f, weight(f)) for f in fitting if not f.fillers]
            # What must be said is said by whom it may: there are few such lines.
            free = bool(spot.phrase or spot.call or spot.by)
            all_bare = Urn.of(bare)
            parts: dict[int, list[tuple[Frame, float]]] = defaultdict(list)
            for frame, liked in bare:
                parts[code(frame.text) % _SHARES[0]].append((frame, liked))
            self._frames[use] = _Frames(
                {} if free else {part: Urn.of(found) for part, found in parts.items()},
                all_bare if free else Urn((), ()),
                all_bare,
                Urn.of((f, weight(f)) for f in fitting if f.fillers),
            )
        return self._frames[use]

    def _fits(self, frame: Frame) -> bool:
        if self._spot.by == "frame":
            return says(self._palette.say(frame.text), self._spot.word)
        return self._spot.by != "filler" or not self._told.keys().isdisjoint(frame.fillers)

    def _takes(self, ending: Ending) -> bool:
        if self._spot.by == "ending" and not says(self._palette.say(ending.text), self._spot.word):
            return False
        if ending.line:
            return self._takes_line(ending.line)
        frames = self._frames_for(ending)
        return bool(frames.filled.items or frames.all_bare.items)

    def _takes_line(self, line: Frame) -> bool:
        return self._spot.role in line.roles and self._palette.weight(line) > 0 and self._fits(line)


class Palette:
    """What one song draws from."""

    def __init__(self, words: Bank, plan: SongPlan) -> None:
        self.plan = plan
        self.words = words
        # Most of the bank shares a few hundred sets of tags.
        self.liking = cache(plan.taste.liking)
        self.say = cache(plan.speaker.say)
        self.weight = cache(self._weight)
        self._parts: dict[tuple[str, int], dict[int, Urn[Entry]]] = {}
        self.source = cache(lambda spot: Source(self, spot))
        self.fillers = {
            kind: Urn.of(
                (entry, self.weight(entry) * (_ANCHOR_FACTOR if entry.text in plan.anchors else 1.0))
                for entry in entries
            )
            for kind, entries in words.fillers.items()
        }
        self.endings = {
            key: tuple((e, weight) for e in endings if self._is_shared(e) and (weight := self.weight(e)) > 0)
            for key, endings in words.endings.items()
        }
        self.leads = {count: urn for count, urn in self._by_count(words.leads).items() if urn.items}
        # A time or a place, which may stand before any line that was written whole.
        places = (*words.fillers["hour"], *words.fillers["near"])
        self.openers = {count: urn for count, urn in self._by_count(places).items() if urn.items}

    def shared(self, kind: str, parts: int, part: int) -> Urn[Entry]:
        """The fillers of a kind whose codes are in one of so many parts; perhaps none."""
        if (kind, parts) not in self._parts:
            urn, split = self.fillers[kind], defaultdict(list)
            for entry, weight in zip(urn.items, (b - a for a, b in pairwise((0.0, *urn.sums))), strict=True):
                split[code(entry.text) % parts].append((entry, weight))
            self._parts[kind, parts] = {number: Urn.of(found) for number, found in split.items()}
        return self._parts[kind, parts].get(part, Urn((), ()))

    def _is_shared(self, ending: Ending) -> bool:
        """Whether an ending may be in the song's share: of whole lines those that are short enough, and of
        these few that have few fillers."""
        line = ending.line
        if not line:
            return True
        number = self.plan.share + code(ending.text) + code(line.text)
        if len(line.fillers) == 1:
            fitting = self.shared(line.fillers[0], _WHOLE_SHARES[1], -number % _WHOLE_SHARES[1]).total > 0
        elif line.fillers:
            fitting = True
        elif "v" in line.roles:
            fitting = number % _WHOLE_SHARES[0] == 0
        else:
            fitting = number % (_CHORUS_SHARE if line.roles == {"c"} else _ASIDE_SHARE) == 0
        least = syllables(self.say(f"{line.text} {ending.text}")) + 2 * len(line.fillers) if fitting else 0
        return fitting and least <= self.plan.most

    def _weight(self, piece: Ending | Entry | Frame) -> float:
        """How likely a piece is drawn: 0 for one that this song cannot say."""
        weight = self.liking(piece.tags)
        if not weight or (self.plan.avoided and self.plan.avoided.in_text(self.say(piece.text))):
            return 0.0
        if isinstance(piece, Frame):
            if not all(self.fillers[kind].items for kind in piece.fillers):
                return 0.0
            return weight * (_LONG_FACTOR if piece.tags & {"rap", "short"} else 1.0)
        if isinstance(piece, Ending) and piece.line:
            weight *= _WHOLE_FACTOR
            return weight * (_THEME_FACTOR if self.plan.is_own(f"{piece.line.text} {piece.text}") else 1.0)
        return weight * (_THEME_FACTOR if self.plan.is_own(piece.text) else 1.0)

    def _by_count(self, entries: Iterable[Entry]) -> dict[int, Urn[Entry]]:
        """Urns of entries by their syllables."""
        by_count: dict[int, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_count[syllables(self.say(entry.text))].append(entry)
        return {
            count: Urn.of((entry, self.weight(entry)) for entry in found) for count, found in by_count.items()
        }


def says(text: str, phrase: str) -> bool:
    """Whether a text has the words of a phrase (lower case), in a row; slots that are open say nothing."""
    wanted, said = phrase.split(), pronunciation.words(SLOT.sub(" . ", text))
    return any(said[i : i + len(wanted)] == wanted for i in range(len(said) - len(wanted) + 1))


@lru_cache(maxsize=65_536)
def syllables(text: str) -> int:
    """Syllables of a piece of a line; slots that are still open count none."""
    return pronunciation.syllables(SLOT.sub(lambda m: m[1] if m[1] in SPEAKER else " ", text))
