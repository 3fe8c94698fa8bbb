"""Other words for a song that is there: they are laid into the bars that it has, where it was sung.

Knows sections, lines and syllables; nothing of tunes. What has no room is left out, from the end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from services.music.engine import LyricSection
from services.music.sketch.form import Form, Section, SungLine
from services.music.sketch.syllables import syllables
from services.music.sketch.takes import Song, Take

# Bars of a line, where no line was before.
_PACES = (2.0, 1.0, 0.5, 0.25)
# Where a voice has nothing to take up.
_UNSUNG = frozenset({"intro", "outro", "break"})

_Numbered = tuple[int, LyricSection]


def reworded(song: Song, lyrics: Sequence[LyricSection]) -> list[Form]:
    """What every take of `song` sings when its words are `lyrics`: sections in order, in the old places.

    An instrumental is sung in its sections of the same kind, or else in the next that is no intro, break or
    outro.
    """
    new = with_lines(lyrics)
    if sung_sections(song):
        coming = iter(new)
        return [_in_places(take, coming) for take in song.takes]
    forms = []
    for take in song.takes:
        form, new = _by_kind(take.form, new)
        forms.append(form)
    return forms


def with_lines(lyrics: Sequence[LyricSection]) -> list[_Numbered]:
    return [(index, section) for index, section in enumerate(lyrics) if section.lines]


def sung_sections(song: Song) -> int:
    """How many sections of the song have lines, or had some."""
    return sum(bool(home.lines or now.lines) for take in song.takes for home, now in _places(take))


def _places(take: Take) -> Iterator[tuple[Section, Section]]:
    """Every section as it was first, and as it is sung now."""
    return zip(take.form.sections, take.sung.sections, strict=True)


def _in_places(take: Take, new: Iterator[_Numbered]) -> Form:
    sections = []
    for home, now in _places(take):
        coming = next(new, None) if home.lines or now.lines else None
        sections.append(replace(home, lines=_laid(home, now.lines, coming, take.form.clock.steps)))
    return replace(take.form, sections=tuple(sections))


def _by_kind(form: Form, new: list[_Numbered]) -> tuple[Form, list[_Numbered]]:
    """The form with as many of the sections as it has places for, and those that are left."""
    sections, at = list(form.sections), 0
    while new and at < len(sections):
        free = [i for i in range(at, len(sections)) if sections[i].kind not in _UNSUNG]
        alike = [i for i in free if sections[i].kind == new[0][1].tag]
        if not free:
            break
        place = (alike or free)[0]
        sections[place] = replace(sections[place], lines=_laid(sections[place], (), new[0], form.clock.steps))
        new, at = new[1:], place + 1
    return replace(form, sections=tuple(sections)), new


def _laid(
    home: Section, now: Sequence[SungLine], coming: _Numbered | None, steps: int
) -> tuple[SungLine, ...]:
    """The lines of one section: in the places of the old, then behind them, or faster where those are new."""
    if coming is None:
        return ()
    index, section = coming
    texts = [syllables(line) for line in section.lines]
    places = [(line.first_step, line.steps) for line in home.lines or now]
    room, paces = home.bars * steps, [int(bars * steps) for bars in _PACES]
    fitting = next((pace for pace in paces if len(texts) * pace <= room), paces[-1])
    at, pace = (sum(places[-1]), places[-1][1]) if places else (0, fitting)
    while len(places) < len(texts) and at + pace <= room:
        places.append((at, pace))
        at += pace
    same = [line.syllables for line in now] == texts[: len(now)]
    if len(places) < len(texts) and not (now and same) and fitting < pace:
        places = [(i * fitting, fitting) for i in range(min(len(texts), room // fitting))]
    lines = zip(range(len(texts)), texts, places, strict=False)
    return tuple(SungLine(index, number, *place, words) for number, words, place in lines)
