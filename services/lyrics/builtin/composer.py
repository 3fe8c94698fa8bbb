"""Composes one song, section by section: plan, form, arc, stanzas, document.

Knows the order of things. Pure: the same brief gives the same events.
"""

import random
from collections.abc import Iterator, Sequence

from services.common.errors import FailedPrecondition
from services.lyrics import structure
from services.lyrics.builtin import arc, bank, required, stanza
from services.lyrics.builtin import plan as plans
from services.lyrics.builtin.lines import Written, given
from services.lyrics.builtin.palette import Palette, Spot, says
from services.lyrics.builtin.plan import SongPlan
from services.lyrics.builtin.stanza import Memory, NoStanza, Order
from services.lyrics.document import Line, LyricDocument, Section, SectionTag
from services.lyrics.engine import (
    FREE,
    Brief,
    Event,
    Finished,
    LineWritten,
    LyricistInfo,
    Planned,
    SectionPlan,
    SectionWritten,
)

INFO = LyricistInfo("builtin", "2", ai=False, languages=frozenset(["en"]))

_ROLES = {
    SectionTag.VERSE: "v",
    SectionTag.PRE_CHORUS: "p",
    SectionTag.CHORUS: "c",
    SectionTag.HOOK: "c",
    SectionTag.BRIDGE: "b",
    SectionTag.OUTRO: "o",
}
_THEME_AGAIN = 0.4  # songs that name the theme in the first verse although the chorus does
_HOOKED = (SectionTag.CHORUS, SectionTag.HOOK)


def compose(brief: Brief) -> Iterator[Event]:
    """Events of one song; see `Engine.write` for their order and for what is raised."""
    words = bank.load()
    rng = random.Random(brief.seed)
    plan = plans.draw(brief, words, rng)
    sections = structure.plan(brief, plan.tempo_bpm)
    song = _Song(brief, plan, sections, rng)
    yield Planned(sum(section.lines for section in sections))
    done: list[Section] = []
    for index, section in enumerate(sections):
        scheme, lines = song.section(index)
        for number, line in enumerate(lines):
            yield LineWritten(index, section.tag, section.label, number, line.text)
        texts = tuple(Line(line.text) for line in lines)
        done.append(Section(section.tag, texts, section.label, scheme))
        yield SectionWritten(index, done[-1])
    yield Finished(LyricDocument(tuple(done), brief.language, song.title(), INFO.name, brief.seed))


class _Song:
    """One song being written."""

    def __init__(
        self, brief: Brief, plan: SongPlan, sections: tuple[SectionPlan, ...], rng: random.Random
    ) -> None:
        self._plan, self._sections, self._rng = plan, sections, rng
        self._palette, self._memory = Palette(bank.load(), plan), Memory()
        self._written: list[tuple[str, tuple[Written, ...]]] = []
        self._measured = brief.syllables is not None
        self._turns = arc.turns(sections, rng)
        self._orders = {
            section.tag: plan.schemes[_ROLES.get(section.tag, "v")] for section in sections if section.lines
        }
        self._themed = self._place_of_theme()
        self._required = self._shared_out(brief)

    def section(self, index: int) -> tuple[str, tuple[Written, ...]]:
        """(scheme, lines) of the next section.

        Raises:
            FailedPrecondition: BRIEF_UNMET, the words or the meter asked for leave no such stanza.
        """
        section = self._sections[index]
        if section.same_as is not None:
            result = self._written[section.same_as]
        else:
            result = self._stanza(index) if section.lines else ("", ())
        self._written.append(result)
        return result

    def title(self) -> str:
        """The hook or the theme where they are sung, else the first line of the chorus or of the song."""
        sung = " ".join(line.text.lower() for _, lines in self._written for line in lines)
        if self._plan.title and self._plan.title.lower() in sung:
            return self._plan.title
        order = sorted(range(len(self._sections)), key=lambda i: self._sections[i].tag not in _HOOKED)
        firsts = (self._written[i][1][0].text for i in order if self._written[i][1])
        return plans.title_case(next(firsts, ""))

    def _stanza(self, index: int) -> tuple[str, tuple[Written, ...]]:
        section, turn = self._sections[index], self._turns[index]
        asked = section.rhyme_scheme or structure.spread(self._orders[section.tag], section.lines)
        # Lines that rhyme with none have letters of their own.
        scheme = "ABCDEFGHIJKLMNOP"[: section.lines] if asked == FREE else asked
        for places in self._attempts(index):
            order = Order(scheme, places, turn.tense, turn.kinds)
            try:
                lines = stanza.write(order, self._palette, self._memory, self._rng)
            except NoStanza:
                continue
            return "" if asked == FREE else scheme, lines
        if self._required.get(index):
            raise required.unmet(self._required[index], f"no line for it was found in {section.label}")
        # a narrow measure leaves fewer lines than words to avoid do
        field = "syllables_per_line" if self._measured or not self._plan.avoided else "avoided_words"
        message = f"no {scheme} stanza was found for {section.label}"
        raise FailedPrecondition("BRIEF_UNMET", message, metadata={"field": field})

    def _attempts(self, index: int) -> Iterator[tuple[Spot | Written, ...]]:
        """What the lines of a section could be, the fullest song first: what need not be said goes first."""
        section, plan = self._sections[index], self._plan
        role = _ROLES.get(section.tag, "v")
        words = self._required.get(index, ())
        plain: list[Spot | Written] = [Spot(role)] * section.lines
        refrain = self._written[section.refrain_of][1][-1] if section.refrain_of is not None else None
        if refrain:
            plain[-1] = given(refrain.text)
        themed = list(plain)
        if section.tag in _HOOKED and plan.hook:
            themed[0] = given(plan.hook_text)
        elif section.tag in _HOOKED and plan.calls:
            themed[0] = Spot("h", call=plan.theme.call)
        elif index == self._themed and section.lines > bool(refrain):
            themed[self._rng.randrange(section.lines - bool(refrain))] = Spot("t", phrase=plan.theme.phrase)
        for base in (themed, plain) if themed != plain else (plain,):
            yield from self._with_words(base, words, role)

    def _with_words(
        self, base: list[Spot | Written], words: Sequence[str], role: str
    ) -> Iterator[tuple[Spot | Written, ...]]:
        """The places with required words in them, every word in its most natural way first."""
        open_ = [
            i for i, place in enumerate(base) if isinstance(place, Spot) and not place.phrase + place.call
        ]
        if not words:
            yield tuple(base)
            return
        if len(open_) < len(words):
            return
        ways = [required.ways(word, role, self._palette) for word in words]
        # The ends of the rhymes are where words count; the last lines have them.
        spread = [open_[-1 - i * len(open_) // len(words)] for i in range(len(words))]
        for level in range(max(map(len, ways))):
            places = list(base)
            for place, way in zip(spread, ways, strict=True):
                places[place] = way[min(level, len(way) - 1)]
            yield tuple(places)

    def _place_of_theme(self) -> int | None:
        """The section with a line about the theme: the first verse, seldom where the hook has it."""
        plan = self._plan
        hooked = any(section.tag in _HOOKED and section.lines for section in self._sections)
        in_hook = hooked and (plan.calls or (plan.hook is not None and "{theme}" in plan.hook.text))
        if not plan.theme.phrase or (in_hook and self._rng.random() > _THEME_AGAIN):
            return None
        return next((i for i, s in enumerate(self._sections) if s.lines and s.tag not in _HOOKED), None)

    def _shared_out(self, brief: Brief) -> dict[int, tuple[str, ...]]:
        """Section to the required words that it says: verses first, as evenly as there is room."""
        hook = self._plan.hook_text if self._plan.hook else self._plan.theme.call if self._plan.calls else ""
        hooked = any(section.tag in _HOOKED and section.lines for section in self._sections)
        missing = [w for w in dict.fromkeys(brief.required_words) if not (hooked and says(hook, w.lower()))]
        required.check(missing, self._palette)
        own = [i for i, s in enumerate(self._sections) if s.lines and s.same_as is None]
        own.sort(
            key=lambda i: (self._sections[i].tag is not SectionTag.VERSE, self._sections[i].tag in _HOOKED, i)
        )
        room = {i: self._sections[i].lines - (self._sections[i].refrain_of is not None) for i in own}
        shared: dict[int, tuple[str, ...]] = {}
        for word in missing:
            free = [i for i in own if len(shared.get(i, ())) < room[i]]
            if not free:
                raise required.unmet([word], "the song has no line left for it")
            least = min(free, key=lambda i: (len(shared.get(i, ())) / room[i] > 0.5, len(shared.get(i, ()))))
            shared[least] = (*shared.get(least, ()), word)
        return shared
