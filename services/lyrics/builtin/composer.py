"""Composes one song, section by section: plan, form, stanzas, document.

Knows the order of things. Pure: the same brief gives the same events.
"""

import random
from collections.abc import Iterator

from services.lyrics.builtin import bank, form, stanza
from services.lyrics.builtin import plan as plans
from services.lyrics.builtin.form import SectionPlan
from services.lyrics.builtin.lines import Written
from services.lyrics.builtin.palette import Palette
from services.lyrics.builtin.plan import SongPlan
from services.lyrics.builtin.stanza import Memory, Order
from services.lyrics.document import Line, LyricDocument, Section, SectionTag
from services.lyrics.engine import Brief, Event, Finished, LineWritten, Planned

ENGINE = "builtin"

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
    sections = form.plan(brief.duration_s, plan.tempo_bpm)
    yield Planned(sum(section.lines for section in sections))
    palette, memory = Palette(words, plan), Memory()
    repeated: dict[SectionTag, tuple[Written, ...]] = {}
    done: list[Section] = []
    for index, section in enumerate(sections):
        order = _order(section, plan, sections, rng)
        lines = repeated.get(section.tag) or (
            stanza.write(order, palette, memory, rng) if section.lines else ()
        )
        if section.repeats:
            repeated[section.tag] = lines
        for number, line in enumerate(lines):
            yield LineWritten(index, section.tag, section.label, number, line.text)
        done.append(
            Section(section.tag, tuple(Line(line.text) for line in lines), section.label, order.scheme)
        )
    yield Finished(LyricDocument(tuple(done), brief.language, plan.title, ENGINE, brief.seed))


def _order(
    section: SectionPlan, plan: SongPlan, sections: tuple[SectionPlan, ...], rng: random.Random
) -> Order:
    """What to ask of a section's stanza; one that is too short for its scheme rhymes line by line."""
    role = _ROLES.get(section.tag, "v")
    scheme = plan.schemes[role] if section.lines == 4 else "A" * section.lines
    if section.tag is SectionTag.CHORUS:
        return Order(role, scheme, first=plan.hook, calls=plan.hook is None)
    verses = [other for other in sections if other.tag is SectionTag.VERSE]
    if section in verses[:2] and plan.theme.phrase:
        return Order(role, scheme, theme_at=rng.randrange(section.lines))
    return Order(role, scheme)
