"""A song's timeline from its plan: sections, chords, sung lines, and every part's notes, without rendering.

Knows the plan and what its bars ask for; how the gateway shows it, it does not.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from acesteps.music.v1 import music_service_pb2 as pb
from services.music.engine import LyricSection
from services.music.sketch.composer import write_bar
from services.music.sketch.form import SungLine
from services.music.sketch.general_midi import ANY_KEY, ANY_PROGRAM, KEYS, PROGRAMS, VOICE
from services.music.sketch.genres import STEPS
from services.music.sketch.harmony import NOTE_NAMES, Chord
from services.music.sketch.plan import Plan
from services.music.sketch.score import Bar, Phrase
from services.music.sketch.spelling import syllable_starts
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


def timeline_of(plan: Plan, lyrics: Sequence[LyricSection]) -> bytes:
    """A serialised `acesteps.music.v1.Timeline`; `lyrics` are those that the plan was made with."""
    clock = plan.form.clock
    bars = [write_bar(plan, number) for number in range(clock.bars + 1)]
    made = pb.Timeline(
        duration_s=clock.total / RATE,
        tempo_bpm=60 / (clock.step_s * _QUARTER),
        meter=f"{STEPS // _QUARTER}/4",
        key=str(plan.reading.key),
        first_downbeat_s=clock.at(0) / RATE,
        bars=clock.bars,
        sections=_sections(plan),
        chords=_chords(plan),
        lines=_lines(plan, lyrics, bars),
        tracks=_tracks(plan, bars),
    )
    return made.SerializeToString(deterministic=True)


def _sections(plan: Plan) -> Iterator[pb.TimelineSection]:
    sections, clock = plan.form.sections, plan.form.clock
    kinds = [section.kind for section in sections]
    for index, section in enumerate(sections):
        label, after = section.kind.capitalize(), section.first_bar + section.bars
        if kinds.count(section.kind) > 1:
            label += f" {kinds[: index + 1].count(section.kind)}"
        end = clock.total if section is sections[-1] else clock.at(after)
        yield pb.TimelineSection(
            kind=section.kind,
            label=label,
            start_s=clock.at(section.first_bar) / RATE,
            end_s=end / RATE,
            first_bar=section.first_bar,
            bars=section.bars,
        )


def _chords(plan: Plan) -> Iterator[pb.TimelineChord]:
    before = ""
    for number, bar in enumerate(plan.chords):
        for place, chord in enumerate(bar):
            if (symbol := chord_symbol(chord)) != before:
                at = plan.form.clock.at(number, place * STEPS / len(bar))
                yield pb.TimelineChord(symbol=symbol, start_s=at / RATE)
            before = symbol


def chord_symbol(chord: Chord) -> str:
    minor = 3 in chord.intervals and 4 not in chord.intervals
    return NOTE_NAMES[chord.root] + _SUFFIXES.get(chord.intervals, "m" if minor else "")


def _lines(plan: Plan, lyrics: Sequence[LyricSection], bars: Sequence[Bar]) -> Iterator[pb.TimelineLine]:
    clock = plan.form.clock
    sung = {phrase.at: phrase for bar in bars for phrase in bar.phrases}
    for section in plan.form.sections:
        for line in section.lines:
            phrase = sung.get(clock.at(0, section.first_bar * STEPS + line.first_step))
            if phrase is not None:
                yield _line(line, phrase, lyrics[line.section].lines[line.line])


def _line(line: SungLine, phrase: Phrase, text: str) -> pb.TimelineLine:
    begin_s, notes = phrase.at / RATE, phrase.notes
    syllables = [
        pb.TimelineSyllable(start_s=begin_s + note.start_s, end_s=begin_s + note.end_s, first_character=first)
        for note, first in zip(notes, syllable_starts(text, len(notes)), strict=True)
    ]
    return pb.TimelineLine(
        section=line.section,
        line=line.line,
        start_s=syllables[0].start_s,
        end_s=syllables[-1].end_s,
        syllables=syllables,
    )


# (seconds, seconds, pitch, velocity from 0 to 1)
_Played = tuple[float, float, int, float]


def _tracks(plan: Plan, bars: Sequence[Bar]) -> Iterator[pb.TimelineTrack]:
    """Voice, then one for each part and its sound, then drums: those that play at all."""
    tick_s = plan.form.clock.step_s * _QUARTER / TICKS
    last = round(plan.form.clock.total / RATE / tick_s)
    voice: list[_Played] = []
    parts: defaultdict[tuple[str, str], list[_Played]] = defaultdict(list)
    drums: list[_Played] = []
    for bar in bars:
        for phrase in bar.phrases:
            at_s = phrase.at / RATE
            voice += [(at_s + n.start_s, at_s + n.end_s, n.pitch, n.accent) for n in phrase.notes]
        for tone in bar.tones:
            at_s = tone.at / RATE
            parts[tone.bus, tone.sound].append((at_s, at_s + tone.hold_s, tone.pitch, tone.velocity))
        for stroke in bar.strokes:
            at_s = stroke.at / RATE
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
