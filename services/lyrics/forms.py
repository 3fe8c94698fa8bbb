"""The forms that songs have: which sections follow one another, and how many lines fill a given room.

Knows tags and numbers of lines. Knows no brief and writes no words.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.lyrics.document import SectionTag
from services.lyrics.engine import Form

Shape = tuple[tuple[SectionTag, int], ...]  # sections with words, and the lines of each

_VERSE, _PRE, _CHORUS, _HOOK, _BRIDGE, _OUTRO = (
    SectionTag.VERSE, SectionTag.PRE_CHORUS, SectionTag.CHORUS, SectionTag.HOOK, SectionTag.BRIDGE,
    SectionTag.OUTRO,
)  # fmt: skip
STANZA = 4  # lines; groups of four are what the music model follows best
# From here on a song is full enough; of those the one with the fewest sections is the clearest.
_FULL = 0.75
_MOST_ROUNDS = 24
_MOST_STANZAS = 30


@dataclass(frozen=True)
class _Rounds:
    """A form as rounds of sections between an opening and a closing; `verses` are the usual lengths."""

    round: tuple[SectionTag, ...]
    least: int
    opening: tuple[SectionTag, ...] = ()
    closing: tuple[SectionTag, ...] = ()
    verses: tuple[int, ...] = (2, 4, 8, 16)


_FORMS = {
    Form.VERSE_CHORUS: _Rounds((_VERSE, _CHORUS), 2),
    Form.VERSE_CHORUS_BRIDGE: _Rounds((_VERSE, _CHORUS), 2, closing=(_BRIDGE, _CHORUS)),
    Form.PRE_CHORUS: _Rounds((_VERSE, _PRE, _CHORUS), 2),
    Form.RAP: _Rounds((_VERSE, _HOOK), 1, verses=(8, 12, 16)),
    Form.AABA: _Rounds((_BRIDGE, _VERSE), 1, opening=(_VERSE, _VERSE)),
    Form.STROPHIC: _Rounds((_VERSE,), 2),
}


def least_sections(form: Form) -> int:
    """Sections with words of the shortest song of a form."""
    return min(map(len, _shapes(form)))


def filled(form: Form, lines: int, each: int = 0) -> Shape:
    """The clearest song of a form that fills `lines` lines; the shortest where they are too few.

    `each` is the number of lines of every section; 0 takes what is usual.
    """
    shapes = list(_shapes(form, each))
    fitting = [shape for shape in shapes if lines_of(shape) <= lines]
    if not fitting:
        return min(shapes, key=lines_of)
    # Two lines are no stanza: only for who asks for more sections than there is room for.
    fitting = [shape for shape in fitting if has_stanzas(shape)] or fitting
    return max(fitting, key=lambda shape: (min(lines_of(shape) / lines, _FULL), -len(shape), lines_of(shape)))


def has_stanzas(shape: Shape) -> bool:
    """Whether no verse has fewer lines than a stanza."""
    return all(lines >= STANZA for tag, lines in shape if tag is _VERSE)


def is_full(shape: Shape, lines: int) -> bool:
    """Whether a song makes good use of the room for `lines` lines."""
    return _FULL * lines <= lines_of(shape) <= lines


def stanzas(lines: int, each: int = STANZA) -> Shape:
    """A song with a chorus in stanzas of `each` lines, as many as `lines` has room for.

    One that is too short for two stanzas is a chorus, because the hook is in it.
    """
    count = min(lines // each, _MOST_STANZAS)
    return tuple((tag, each) for tag in (_stanza_tags(count) if count > 1 else [_CHORUS]))


def lines_of(shape: Shape) -> int:
    """All lines of a song."""
    return sum(lines for _, lines in shape)


def section_lines(tag: SectionTag, verse: int) -> int:
    """Usual lines of a section in a song whose verses have `verse`: what comes back is shorter."""
    return verse if tag is _VERSE else min(verse, STANZA if verse < 4 * STANZA else 2 * STANZA)


def _shapes(form: Form, each: int = 0) -> Iterator[Shape]:
    rule = _FORMS[form]
    for rounds in range(rule.least, _MOST_ROUNDS):
        tags = (*rule.opening, *rule.round * rounds, *rule.closing)
        if each:
            yield tuple((tag, each) for tag in tags)
        else:
            for verse in rule.verses:
                # A rap's hook has four lines however long its verses are.
                usual = min(verse, 12) if form is Form.RAP else verse
                yield tuple((tag, verse if tag is _VERSE else section_lines(tag, usual)) for tag in tags)


def _stanza_tags(count: int) -> list[SectionTag]:
    """Tags of `count` stanzas, two or more."""
    verse, pre, chorus, bridge, outro = _VERSE, _PRE, _CHORUS, _BRIDGE, _OUTRO
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
    tags = [verse, pre, chorus] * rounds + [bridge, chorus]
    if spare >= 1:
        tags.append(outro)
    if spare == 2:
        tags.insert(0, verse)
    return tags
