"""The form of a song: which sections it has, with how many lines, for its length and tempo.

Knows how songs are built. Writes no words.
"""

from services.lyrics import timing
from services.lyrics.document import SectionTag
from services.lyrics.engine import SectionPlan

_STANZA = 4  # lines; groups of four are what the music model follows best
_INTRO_FROM_S, _OUTRO_FROM_S, _SOLO_FROM_S = 45.0, 60.0, 150.0


def plan(duration_s: float, tempo_bpm: float) -> tuple[SectionPlan, ...]:
    """Sections in song order for a song of `duration_s` seconds at `tempo_bpm`."""
    lines = timing.lines_that_fit(duration_s, tempo_bpm)
    if lines < 6:
        # Too short for two sections: a chorus, because the hook is in it.
        return (
            SectionPlan(SectionTag.CHORUS, lines if lines <= 2 else 2 if lines == 3 else _STANZA, "Chorus"),
        )
    if lines < 8:
        return _labelled([(SectionTag.VERSE, _STANZA), (SectionTag.CHORUS, 2)])
    sections = [(tag, _STANZA) for tag in _stanzas(lines // _STANZA)]
    if duration_s >= _SOLO_FROM_S:
        last_chorus = max(i for i, (tag, _) in enumerate(sections) if tag is SectionTag.CHORUS)
        sections.insert(last_chorus, (SectionTag.SOLO, 0))
    if duration_s >= _INTRO_FROM_S:
        sections.insert(0, (SectionTag.INTRO, 0))
    if duration_s >= _OUTRO_FROM_S and sections[-1][0] is not SectionTag.OUTRO:
        sections.append((SectionTag.OUTRO, 0))
    return _labelled(sections)


def _stanzas(count: int) -> list[SectionTag]:
    """Tags of `count` stanzas of four lines, two or more."""
    verse, pre, chorus, bridge, outro = (
        SectionTag.VERSE, SectionTag.PRE_CHORUS, SectionTag.CHORUS, SectionTag.BRIDGE, SectionTag.OUTRO,
    )  # fmt: skip
    small = {
        2: [verse, chorus],
        3: [verse, verse, chorus],
        4: [verse, chorus, verse, chorus],
        5: [verse, chorus, verse, bridge, chorus],
        6: [verse, chorus, verse, chorus, bridge, chorus],
        7: [verse, verse, chorus, verse, chorus, bridge, chorus],
    }
    if count in small:
        return small[count]
    rounds, spare = divmod(count - 2, 3)  # rounds of verse, pre-chorus and chorus, then bridge and chorus
    stanzas = [verse, pre, chorus] * rounds + [bridge, chorus]
    if spare >= 1:
        stanzas.append(outro)
    if spare == 2:
        stanzas.insert(0, verse)
    return stanzas


def _labelled(sections: list[tuple[SectionTag, int]]) -> tuple[SectionPlan, ...]:
    verses = 0
    first: dict[SectionTag, int] = {}
    plans = []
    for index, (tag, lines) in enumerate(sections):
        verses += tag is SectionTag.VERSE
        label = f"Verse {verses}" if tag is SectionTag.VERSE else tag.display
        repeats = tag in (SectionTag.CHORUS, SectionTag.PRE_CHORUS)
        plans.append(SectionPlan(tag, lines, label, same_as=first.get(tag) if repeats else None))
        first.setdefault(tag, index)
    return tuple(plans)
