"""The four edits of a song, as other takes and as the stretches of it that are played anew.

Turns a request and its source into what is to be played. Knows bars and lines; plays nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from services.common.errors import InvalidField
from services.music.edit import Extend, LyricEdit, Repaint, Variation
from services.music.engine import SAMPLE_RATE_HZ, Reading, RenderRequest
from services.music.sketch.arrangement import Arrangement
from services.music.sketch.continuing import continued_left, continued_right
from services.music.sketch.form import Form
from services.music.sketch.mastering import LATENCY
from services.music.sketch.prompt import Reading as SketchReading
from services.music.sketch.prompt import read
from services.music.sketch.score import Phrase
from services.music.sketch.takes import Song, Take
from services.music.sketch.voice import LEAD
from services.music.sketch.words import reworded

# How far the music moves along with other words.
_REMIX = 0.4
# A line's voice is there for so long behind its last note, its doubles included.
_LAST_S = 0.3


@dataclass(frozen=True)
class Edited:
    song: Song
    new: tuple[range, ...]  # samples of the new song that are played; the others are the source's
    offset: int = 0  # where the source begins


def edited(request: RenderRequest, source: Song) -> Edited:
    """Raises InvalidField: an interval that is no part of the source, an extension by nothing, no words."""
    match request.edit:
        case Variation(variance):
            return _varied(request, source, variance)
        case Repaint(start_s, end_s, variance):
            start, stop = round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
            if not 0 <= start < stop <= source.samples:
                message = f"samples {start} to {stop} are no part of the song's {source.samples}"
                limit = f"within 0 to {source.samples / SAMPLE_RATE_HZ:g} seconds"
                raise InvalidField("OUT_OF_RANGE", "edit", message, limit=limit)
            return _repainted(request, source, range(start, stop), variance)
        case LyricEdit(mode):
            if not any(section.lines for section in request.lyrics):
                limit = "at least a line"
                raise InvalidField("REQUIRED", "lyrics", "a lyric edit needs the new words", limit=limit)
            return _resung(request, source, remix=mode == "remix")
        case Extend(left_s, right_s):
            left, right = round(left_s * SAMPLE_RATE_HZ), round(right_s * SAMPLE_RATE_HZ)
            if min(left, right) < 0 or left + right == 0:
                message = f"{left} samples before and {right} behind make no extension"
                limit = "something on a side, never less than 0"
                raise InvalidField("OUT_OF_RANGE", "edit", message, limit=limit)
            return _extended(request, source, left, right)
        case None:
            raise AssertionError("an edit is asked for")


def _varied(request: RenderRequest, source: Song, variance: float) -> Edited:
    if not variance:
        return Edited(source, ())
    asked, other = _asked(request, source)
    takes = []
    for take, words in zip(source.takes, reworded(source, request.lyrics), strict=True):
        varied = take.changed(request.seed, variance, reading=other)
        level = None if other and take.form.clock.bars else take.level
        takes.append(replace(varied, words=_unless_same(words, take), level=level))
    return Edited(Song(request.seed, asked, tuple(takes)), (range(source.samples),))


def _repainted(request: RenderRequest, source: Song, interval: range, variance: float) -> Edited:
    """The bars that the interval touches, whole; what is heard of them is the interval."""
    if not variance:
        return Edited(source, ())
    asked, other = _asked(request, source)
    takes, new_words = [], reworded(source, request.lyrics)
    for (at, take), words in zip(source.placed(), new_words, strict=True):
        arrangement = Arrangement(take)
        touched = [
            number
            for number in arrangement.blocks
            if arrangement.span(number).start + at < interval.stop
            and interval.start < arrangement.span(number).stop + at
        ]
        if touched:
            bars = touched[0], touched[-1] + 1
            repainted = take.changed(request.seed, variance, bars, other)
            take = replace(repainted, words=_unless_same(_within(words, take, *bars), take))
        takes.append(take)
    return Edited(Song(request.seed, asked, tuple(takes)), (interval,))


def _resung(request: RenderRequest, source: Song, *, remix: bool) -> Edited:
    """The voice alone, from its first new consonant until it has rung out; or whole sections with it."""
    takes, new = [], []
    for (at, take), words in zip(source.placed(), reworded(source, request.lyrics), strict=True):
        sung, clock = replace(take, words=_unless_same(words, take)), take.form.clock
        for first, stop in _resung_bars(take.sung, words) if remix else ():
            sung = sung.changed(request.seed, _REMIX, (first, stop))
            new.append(range(at + clock.at(first), at + clock.at(stop)))
        takes.append(sung)
        new += [range(at + stretch.start, at + stretch.stop) for stretch in _sung_anew(take, sung)]
    return Edited(Song(request.seed, _asked(request, source)[0], tuple(takes)), tuple(_joined(new)))


def _extended(request: RenderRequest, source: Song, left: int, right: int) -> Edited:
    asked, other = _asked(request, source)
    takes, samples = list(source.takes), left + source.samples + right
    if left:
        takes.insert(0, continued_left(request, takes[0], left, other))
    if right:
        takes.append(continued_right(request, source, right, other))
    spans = (range(left), range(left + source.samples, samples))
    return Edited(Song(request.seed, asked, tuple(takes)), tuple(span for span in spans if span), left)


def _asked(request: RenderRequest, source: Song) -> tuple[SketchReading, SketchReading | None]:
    """What a prompt says of a song whose key, tempo and meter stay; again where that is something else."""
    stated = replace(request.stated or Reading(), key="", tempo_bpm=0.0, meter="")
    asked = read(request.prompt, source.takes[0].seed, stated)
    known = source.asked
    asked = replace(
        asked,
        key=known.key,
        tempo_bpm=known.tempo_bpm,
        tempo_asked=known.tempo_asked,
        meter=known.meter,
        structure=known.structure,
        opening=known.opening,
    )
    same = (asked.genre.name, asked.mood, asked.wanted, asked.silent, asked.fade) == (
        (known.genre.name, known.mood, known.wanted, known.silent, known.fade)
    )
    return asked, None if same else asked


def _unless_same(words: Form, take: Take) -> Form | None:
    """None where a take's own lines are sung, so that equal songs are equal values."""
    return take.words if _syllables(words) == _syllables(take.sung) else words


def _syllables(form: Form) -> Sequence[object]:
    return [(line.first_step, line.steps, line.syllables) for s in form.sections for line in s.lines]


def _within(words: Form, take: Take, first: int, stop: int) -> Form:
    """The new words of the sections that lie in bars `first` to `stop`, the old ones of all others."""
    sections = [
        new if first <= old.first_bar and old.first_bar + old.bars <= stop else old
        for new, old in zip(words.sections, take.sung.sections, strict=True)
    ]
    return replace(words, sections=tuple(sections))


def _resung_bars(old: Form, new: Form) -> list[tuple[int, int]]:
    """Bars of the sections whose words are others; neighbours are one."""
    bars: list[tuple[int, int]] = []
    for before, after in zip(old.sections, new.sections, strict=True):
        if [line.syllables for line in before.lines] != [line.syllables for line in after.lines]:
            first, stop = before.first_bar, before.first_bar + before.bars
            bars.append((bars.pop()[0] if bars and bars[-1][1] == first else first, stop))
    return bars


def _sung_anew(old: Take, new: Take) -> list[range]:
    """Samples of a take in which its voice is another."""
    before, after = Arrangement(old), Arrangement(new)
    room_s = before.throughout.reading.genre.room[0]
    gone, come = _phrases(before), _phrases(after)
    stretches = [_heard(phrase, room_s) for phrase in {*gone, *come} - {*gone} & {*come}]
    return [range(max(s.start, 0), min(s.stop, old.samples)) for s in stretches if s.start < old.samples]


def _phrases(arrangement: Arrangement) -> list[Phrase]:
    return [phrase for number in arrangement.blocks for phrase in arrangement.phrases(number)]


def _heard(phrase: Phrase, room_s: float) -> range:
    """Where a line is heard, the limiter's look ahead and the room included."""
    rings_s = phrase.notes[-1].end_s + _LAST_S + room_s
    return range(phrase.at - LEAD - 2 * LATENCY, phrase.at + round(rings_s * SAMPLE_RATE_HZ))


def _joined(stretches: Sequence[range]) -> Iterator[range]:
    """In order, those that touch or nearly do as one."""
    current: range | None = None
    for stretch in sorted(stretches, key=lambda s: s.start):
        if current is not None and stretch.start <= current.stop + SAMPLE_RATE_HZ // 10:
            current = range(current.start, max(current.stop, stretch.stop))
            continue
        if current is not None:
            yield current
        current = stretch
    if current is not None:
        yield current
