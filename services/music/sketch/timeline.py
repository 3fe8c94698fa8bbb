"""A song's timeline from its takes: sections, chords, sung lines, and every part's notes, without rendering.

Knows takes and what their bars ask for; how the gateway shows it, it does not.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from acesteps.music.v1 import music_service_pb2 as pb
from services.music.engine import LyricSection
from services.music.sketch.arrangement import Arrangement
from services.music.sketch.form import SungLine
from services.music.sketch.general_midi import ANY_KEY, ANY_PROGRAM, KEYS, PROGRAMS, VOICE
from services.music.sketch.harmony import NOTE_NAMES, Chord
from services.music.sketch.plan import Plan
from services.music.sketch.score import Bar, Phrase
from services.music.sketch.spelling import syllable_starts
from services.music.sketch.syllables import syllables
from services.music.sketch.tones import RATE

TICKS = 480  # of a quarter note
_QUARTER = 4  # steps, which are sixteenths

# Intervals above the root as musicians write them.
_SUFFIXES = {
    (0, 4, 7): "", (0, 3, 7): "m", (0, 3, 6): "dim", (0, 4, 8): "aug", (0, 2, 7): "sus2", (0, 5, 7): "sus4",
    (0, 7): "5", (0, 4, 7, 9): "6", (0, 3, 7, 9): "m6", (0, 4, 7, 10): "7", (0, 3, 7, 10): "m7",
    (0, 4, 7, 11): "maj7", (0, 3, 7, 11): "mMaj7", (0, 3, 6, 10): "m7b5", (0, 3, 6, 9): "dim7",
    (0, 4, 10, 14): "9", (0, 3, 10, 14): "m9", (0, 4, 11, 14): "maj9", (0, 3, 11, 14): "mMaj9",
    (0, 4, 7, 14): "add9", (0, 3, 7, 14): "madd9", (0, 4, 10, 21): "13", (0, 3, 10, 21): "m13",
}  # fmt: skip
_STROKE_S = 0.1  # a stroke rings as long as it likes; players of MIDI want an end


@dataclass(frozen=True)
class _Placed:
    """A take within its song."""

    at: int  # sample of the song
    bars_before: int
    arrangement: Arrangement
    bars: tuple[Bar, ...]  # of its blocks

    @property
    def plan(self) -> Plan:
        return self.arrangement.throughout

    def second(self, sample: int) -> float:
        return (self.at + sample) / RATE


def timeline_of(arrangements: Sequence[tuple[int, Arrangement]], lyrics: Sequence[LyricSection]) -> bytes:
    """A serialised `acesteps.music.v1.Timeline` of takes, each with the sample that it begins at.

    `lyrics` are those that the song is asked for with; a line that is not among them any more is left out.
    """
    takes, before = [], 0
    for at, arrangement in arrangements:
        bars = tuple(arrangement.bar(number) for number in arrangement.blocks)
        takes.append(_Placed(at, before, arrangement, bars))
        before += arrangement.take.form.clock.bars
    first, total = takes[0].plan, sum(take.arrangement.take.samples for take in takes)
    clock = first.form.clock
    made = pb.Timeline(
        duration_s=total / RATE,
        tempo_bpm=60 / (clock.step_s * _QUARTER),
        meter=clock.meter.name,
        key=str(first.reading.key),
        first_downbeat_s=clock.at(0) / RATE,
        bars=before,
        sections=_sections(takes),
        chords=_chords(takes),
        lines=(line for take in takes for line in _lines(take, lyrics)),
        tracks=_tracks(takes, clock.step_s * _QUARTER / TICKS, total / RATE),
    )
    return made.SerializeToString(deterministic=True)


def _sections(takes: Sequence[_Placed]) -> Iterator[pb.TimelineSection]:
    """Those of all takes; what leads into a take belongs to its first, and its ending to its last."""
    placed = [(take, section) for take in takes for section in take.plan.form.sections]
    kinds = [section.kind for _, section in placed]
    for index, (take, section) in enumerate(placed):
        clock, after = take.plan.form.clock, section.first_bar + section.bars
        label = section.kind.capitalize()
        if kinds.count(section.kind) > 1:
            label += f" {kinds[: index + 1].count(section.kind)}"
        last = section is take.plan.form.sections[-1]
        yield pb.TimelineSection(
            kind=section.kind,
            label=label,
            start_s=take.second(clock.at(section.first_bar) if section.first_bar else 0),
            end_s=take.second(clock.total if last else clock.at(after)),
            first_bar=take.bars_before + section.first_bar,
            bars=section.bars,
        )


def _chords(takes: Sequence[_Placed]) -> Iterator[pb.TimelineChord]:
    before = ""
    for take in takes:
        clock = take.plan.form.clock
        for number in take.arrangement.blocks:
            bar = take.plan.chords[number] if number >= 0 else ()
            for place, chord in enumerate(bar):
                if (symbol := chord_symbol(chord)) != before:
                    at = clock.at(number, place * clock.steps / len(bar))
                    yield pb.TimelineChord(symbol=symbol, start_s=take.second(at))
                before = symbol


def chord_symbol(chord: Chord) -> str:
    minor = 3 in chord.intervals and 4 not in chord.intervals
    return NOTE_NAMES[chord.root] + _SUFFIXES.get(chord.intervals, "m" if minor else "")


def _lines(take: _Placed, lyrics: Sequence[LyricSection]) -> Iterator[pb.TimelineLine]:
    sung_form, clock = take.arrangement.take.sung, take.plan.form.clock
    sung = {phrase.at: phrase for bar in take.bars for phrase in bar.phrases}
    for section in sung_form.sections:
        for line in section.lines:
            phrase = sung.get(clock.at(0, section.first_bar * clock.steps + line.first_step))
            text = _text(line, lyrics)
            if phrase is not None and text is not None:
                yield _line(line, take.second(phrase.at), phrase, text)


def _text(line: SungLine, lyrics: Sequence[LyricSection]) -> str | None:
    """The words of a line, where they are still those that are sung."""
    lines = lyrics[line.section].lines if line.section < len(lyrics) else ()
    text = lines[line.line] if line.line < len(lines) else ""
    return text if syllables(text) == line.syllables else None


def _line(line: SungLine, begin_s: float, phrase: Phrase, text: str) -> pb.TimelineLine:
    notes = phrase.notes
    parts = [
        pb.TimelineSyllable(start_s=begin_s + note.start_s, end_s=begin_s + note.end_s, first_character=first)
        for note, first in zip(notes, syllable_starts(text, len(notes)), strict=True)
    ]
    return pb.TimelineLine(
        section=line.section,
        line=line.line,
        start_s=parts[0].start_s,
        end_s=parts[-1].end_s,
        syllables=parts,
    )


# (seconds, seconds, pitch, velocity from 0 to 1)
_Played = tuple[float, float, int, float]


def _tracks(takes: Sequence[_Placed], tick_s: float, total_s: float) -> Iterator[pb.TimelineTrack]:
    """Voice, then one for each part and its sound, then drums: those that play at all."""
    last = round(total_s / tick_s)
    voice: list[_Played] = []
    parts: defaultdict[tuple[str, str], list[_Played]] = defaultdict(list)
    drums: list[_Played] = []
    for take, bar in ((placed, bar) for placed in takes for bar in placed.bars):
        for phrase in bar.phrases:
            at_s = take.second(phrase.at)
            voice += [(at_s + n.start_s, at_s + n.end_s, n.pitch, n.accent) for n in phrase.notes]
        for tone in bar.tones:
            at_s = take.second(tone.at)
            parts[tone.bus, tone.sound].append((at_s, at_s + tone.hold_s, tone.pitch, tone.velocity))
        for stroke in bar.strokes:
            at_s = take.second(stroke.at)
            drums.append((at_s, at_s + _STROKE_S, KEYS.get(stroke.piece, ANY_KEY), stroke.velocity))
    if voice:
        yield pb.TimelineTrack(name="Voice", program=VOICE, sung=True, notes=_notes(voice, tick_s, last))
    for (bus, sound), played in parts.items():
        name = f"{bus.capitalize()}: {sound.replace('_', ' ')}"
        program = PROGRAMS.get(sound, ANY_PROGRAM)
        yield pb.TimelineTrack(name=name, program=program, notes=_notes(played, tick_s, last))
    if drums:
        yield pb.TimelineTrack(name="Drums", percussion=True, notes=_notes(drums, tick_s, last))


def _notes(played: Sequence[_Played], tick_s: float, last: int) -> Sequence[pb.TimelineNote]:
    """In ticks. A note ends at the latest where its pitch begins again; of two at once the louder stays."""
    notes: list[pb.TimelineNote] = []
    sounding: dict[int, pb.TimelineNote] = {}
    for begin_s, end_s, pitch, velocity in sorted(played):
        start = min(round(begin_s / tick_s), last - 1)
        end = min(max(round(end_s / tick_s), start + 1), last)
        note = pb.TimelineNote(
            start_tick=start,
            ticks=end - start,
            pitch=min(max(pitch, 0), 127),
            velocity=min(max(round(velocity * 127), 1), 127),
        )
        before = sounding.get(note.pitch)
        if before is not None and before.start_tick == start:
            before.ticks = max(before.ticks, note.ticks)
            before.velocity = max(before.velocity, note.velocity)
            continue
        if before is not None:
            before.ticks = min(before.ticks, start - before.start_tick)
        notes.append(note)
        sounding[note.pitch] = note
    return notes
