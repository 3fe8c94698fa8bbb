"""Composes one song, section by section: plan, form, stanzas, document.

Knows the order of things. Pure: the same brief gives the same events.
"""

import random
from collections.abc import Iterator

from services.lyrics import structure
from services.lyrics.builtin import bank, stanza
from services.lyrics.builtin import plan as plans
from services.lyrics.builtin.lines import Written
from services.lyrics.builtin.palette import Palette
from services.lyrics.builtin.plan import SongPlan
from services.lyrics.builtin.stanza import Memory, Order
from services.lyrics.document import Line, LyricDocument, Section, SectionTag
from services.lyrics.engine import (
    Brief,
    Event,
    Finished,
    LineWritten,
    LyricistInfo,
    Planned,
    SectionPlan,
    SectionWritten,
)

INFO = LyricistInfo("builtin", "1", ai=False, languages=frozenset(["en"]))

_ROLES = {
    SectionTag.VERSE: "v",
    SectionTag.PRE_CHORUS: "p",
    SectionTag.CHORUS: "c",
    SectionTag.BRIDGE: "b",
    SectionTag.OUTRO: "o",
}


def compose(brief: Brief) -> Iterator[Event]:
    """Events of one song: `Planned`, every `LineWritten`, `Finished`."""
    words = bank.load()
    rng = random.Random(brief.seed)
    plan = plans.draw(brief, words, rng)
    sections = structure.plan(brief, plan.tempo_bpm)
    yield Planned(sum(section.lines for section in sections))
    palette, memory = Palette(words, plan), Memory()
    written: list[tuple[Written, ...]] = []
    done: list[Section] = []
    for index, section in enumerate(sections):
        order = _order(section, plan, sections, rng)
        if section.same_as is not None:
            lines = written[section.same_as]
        else:
            lines = stanza.write(order, palette, memory, rng) if section.lines else ()
        written.append(lines)
        for number, line in enumerate(lines):
            yield LineWritten(index, section.tag, section.label, number, line.text)
        done.append(
            Section(section.tag, tuple(Line(line.text) for line in lines), section.label, order.scheme)
        )
        yield SectionWritten(index, done[-1])
    yield Finished(LyricDocument(tuple(done), brief.language, plan.title, INFO.name, brief.seed))


def _order(
    section: SectionPlan, plan: SongPlan, sections: tuple[SectionPlan, ...], rng: random.Random
) -> Order:
    """What to ask of a section's stanza; its own scheme, else the plan's."""
    role = _ROLES.get(section.tag, "v")
    scheme = section.rhyme_scheme or structure.spread(plan.schemes[role], section.lines)
    if section.tag is SectionTag.CHORUS:
        return Order(role, scheme, first=plan.hook, calls=plan.hook is None)
    verses = [other for other in sections if other.tag is SectionTag.VERSE]
    if section in verses[:2] and plan.theme.phrase:
        return Order(role, scheme, theme_at=rng.randrange(section.lines))
    return Order(role, scheme)
