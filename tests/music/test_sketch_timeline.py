"""A sketch song's timeline says what is heard, and when."""

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from acesteps.music.v1 import music_service_pb2 as pb
from services.music.engine import SAMPLE_RATE_HZ, LyricSection
from services.music.sketch.arrangement import Arrangement
from services.music.sketch.composer import write_bar
from services.music.sketch.drumkit import PIECES, Drummer
from services.music.sketch.general_midi import KEYS, PROGRAMS
from services.music.sketch.genres import genres
from services.music.sketch.harmony import MODES, NOTE_NAMES, Key, bars_of
from services.music.sketch.instruments import SOUNDS, Player
from services.music.sketch.mixer import Mixer
from services.music.sketch.plan import Plan, make_plan
from services.music.sketch.room import Room
from services.music.sketch.score import Bar
from services.music.sketch.spelling import syllable_starts
from services.music.sketch.syllables import syllables
from services.music.sketch.takes import Take
from services.music.sketch.timeline import TICKS, chord_symbol, timeline_of
from tests.music.pod import Heard

VERSE = LyricSection(
    "verse", ("Walking down the empty street at night", "Every window holds a little light") * 2
)
CHORUS = LyricSection("chorus", ("We are the fire, we are the rain", "Nothing will ever be the same again"))
LYRICS = (VERSE, CHORUS, VERSE, CHORUS)
SONGS = [
    ("upbeat house, 124 BPM", 60.0, LYRICS),
    ("slow jazz with brushes, 70 BPM", 45.5, LYRICS[:2]),  # swung
    ("ambient", 5.0, ()),
    ("metal, 180 BPM", 240.0, ()),
]
# Pitch classes above the root of each way to write a chord, from a chord dictionary.
CHORD_NOTES = {
    "": {0, 4, 7}, "m": {0, 3, 7}, "7": {0, 4, 7, 10}, "m7": {0, 3, 7, 10}, "maj7": {0, 4, 7, 11},
    "mMaj7": {0, 3, 7, 11}, "9": {0, 4, 10, 2}, "m9": {0, 3, 10, 2}, "maj9": {0, 4, 11, 2},
    "mMaj9": {0, 3, 11, 2},
    "add9": {0, 4, 7, 2}, "madd9": {0, 3, 7, 2}, "13": {0, 4, 10, 9}, "m13": {0, 3, 10, 9},
    "m7b5": {0, 3, 6, 10},
    "dim": {0, 3, 6}, "dim7": {0, 3, 6, 9}, "aug": {0, 4, 8}, "sus2": {0, 2, 7}, "sus4": {0, 5, 7},
    "5": {0, 7}, "6": {0, 4, 7, 9}, "m6": {0, 3, 7, 9},
}  # fmt: skip


def alone(plan: Plan) -> list[tuple[int, Arrangement]]:
    """The takes of a song from nothing."""
    assert isinstance(plan.seed, int)
    return [(0, Arrangement(Take(plan.seed, plan.reading, plan.form)))]


def song(
    prompt: str, duration_s: float, lyrics: tuple[LyricSection, ...], seed: int = 7
) -> tuple[Plan, pb.Timeline]:
    plan = make_plan(prompt, lyrics, round(duration_s * SAMPLE_RATE_HZ), seed)
    return plan, pb.Timeline.FromString(timeline_of(alone(plan), lyrics))


@pytest.mark.parametrize(("prompt", "duration_s", "lyrics"), SONGS)
def test_sections_follow_one_another_from_the_first_sample_to_the_last(
    prompt: str, duration_s: float, lyrics: tuple[LyricSection, ...]
) -> None:
    plan, timeline = song(prompt, duration_s, lyrics)
    assert timeline.duration_s == pytest.approx(duration_s, abs=1 / SAMPLE_RATE_HZ)
    bounds = [0.0, *(section.end_s for section in timeline.sections)]
    assert [section.start_s for section in timeline.sections] == bounds[:-1]
    assert bounds[-1] == timeline.duration_s
    bar_s = 240 / timeline.tempo_bpm
    for section in timeline.sections:
        assert section.start_s == pytest.approx(section.first_bar * bar_s, abs=1e-4)
    assert sum(section.bars for section in timeline.sections) == timeline.bars
    assert len({section.label for section in timeline.sections}) == len(timeline.sections)
    assert (timeline.meter, timeline.first_downbeat_s) == ("4/4", 0.0)
    assert timeline.key == str(plan.reading.key)


@pytest.mark.parametrize(("prompt", "duration_s", "lyrics"), SONGS)
def test_chords_are_those_of_the_bars(
    prompt: str, duration_s: float, lyrics: tuple[LyricSection, ...]
) -> None:
    plan, timeline = song(prompt, duration_s, lyrics)
    starts = [chord.start_s for chord in timeline.chords]
    assert starts == sorted(set(starts))
    assert starts[0] == 0.0
    for number in range(plan.form.clock.bars):
        second = (plan.form.clock.at(number) + 1) / SAMPLE_RATE_HZ
        named = [chord.symbol for chord in timeline.chords if chord.start_s <= second][-1]
        assert named == chord_symbol(plan.chords[number][0])


def test_every_chord_of_every_genre_is_named_for_its_notes() -> None:
    for genre in genres().values():
        for mode in MODES:
            key = Key(9, mode)
            for progression in genre.progressions(key):
                for chord in (chord for bar in bars_of(progression, key) for chord in bar):
                    symbol = chord_symbol(chord)
                    root = max((n for n in NOTE_NAMES if symbol.startswith(n)), key=len)
                    notes = {(note - NOTE_NAMES.index(root)) % 12 for note in chord.classes}
                    assert CHORD_NOTES[symbol.removeprefix(root)] == notes, symbol


def voice_alone(plan: Plan) -> NDArray[np.float64]:
    """Loudness of the voice without a room, 100 a second."""
    clock = plan.form.clock
    dry = Room(0.1, 0.0, plan.seed)
    genre = plan.reading.genre
    mixer = Mixer(genre, Player(plan.seed), Drummer(genre.kit, plan.seed), dry, plan.seed, clock.step_s)
    bounds = [*(clock.at(bar) for bar in range(clock.bars + 1)), clock.total]
    sound = np.concatenate(
        [
            mixer.block(Bar(phrases=write_bar(plan, bar).phrases), bounds[bar], bounds[bar + 1] - bounds[bar])
            for bar in range(clock.bars + 1)
        ]
    )
    frames = sound.mean(axis=1)[: len(sound) // 441 * 441].reshape(-1, 441)
    return np.asarray(np.sqrt(np.mean(frames.astype(np.float64) ** 2, axis=1)))


@pytest.mark.parametrize(
    "prompt", ["upbeat house, 124 BPM", "slow jazz with brushes, 76 BPM", "trap, 140 BPM"]
)
def test_every_line_begins_and_ends_when_it_is_heard_to(prompt: str) -> None:
    plan, timeline = song(prompt, 60.0, LYRICS)
    loudness = voice_alone(plan)
    assert len(timeline.lines) >= 8
    sung = np.zeros(len(loudness), bool)
    ends = [-1.0, *(line.end_s for line in timeline.lines)]
    starts = [*(line.start_s for line in timeline.lines), 61.0]
    for number, line in enumerate(timeline.lines):
        # At most to the middle of the breath before and behind it.
        begin = round(max(line.start_s - 0.25, (ends[number] + line.start_s) / 2, 0.0) * 100)
        end = round(min(line.end_s + 0.4, (line.end_s + starts[number + 1]) / 2) * 100)
        heard = np.flatnonzero(loudness[begin:end] > 0.2 * loudness[begin:end].max()) + begin
        assert abs(heard[0] / 100 - line.start_s) < 0.1
        assert abs(heard[-1] / 100 - line.end_s) < 0.1
        sung[begin:end] = True
    assert loudness[~sung].max() < 0.02 * loudness.max()  # and nothing is sung outside


@pytest.mark.parametrize(("prompt", "duration_s", "lyrics"), SONGS[:2])
def test_every_syllable_has_its_time_within_the_line(
    prompt: str, duration_s: float, lyrics: tuple[LyricSection, ...]
) -> None:
    _, timeline = song(prompt, duration_s, lyrics)
    told = [(line.section, line.line) for line in timeline.lines]
    assert told == sorted(told)
    for line in timeline.lines:
        text = lyrics[line.section].lines[line.line]
        assert len(line.syllables) == len(syllables(text))
        times = [time for one in line.syllables for time in (one.start_s, one.end_s)]
        assert times == sorted(times)
        assert (times[0], times[-1]) == (line.start_s, line.end_s)
        firsts = [one.first_character for one in line.syllables]
        assert firsts[0] == 0
        assert firsts == sorted(set(firsts))
        assert firsts[-1] < len(text)
        assert line.text == ""  # the words stay where they are stored


@pytest.mark.parametrize(
    "parts",
    [
        "Wal|king |down |the |emp|ty |street",
        "I'm |hum|ming “|hel|lo |mo|ther”",
        "time |and |a|gain, |loved |one",
        "crème |brû|lée",
        "夜|の|雨, |夜",
        "ночь |и|дёт",
        "at |9|5 |miles",
    ],
)
def test_a_line_is_parted_into_its_syllables(parts: str) -> None:
    line = parts.replace("|", "")
    starts = syllable_starts(line, len(syllables(line)))
    assert [line[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)] == parts.split("|")


def test_what_letters_do_not_tell_is_shared_out() -> None:
    assert syllable_starts("abcdefgh", 4) == (0, 2, 4, 6)
    assert syllable_starts("hm", 0) == (0,)


@pytest.mark.parametrize(("prompt", "duration_s", "lyrics"), SONGS)
def test_the_tracks_have_every_note_that_is_played(
    prompt: str, duration_s: float, lyrics: tuple[LyricSection, ...]
) -> None:
    plan, timeline = song(prompt, duration_s, lyrics)
    tick_s = 60 / timeline.tempo_bpm / TICKS
    told = {
        (round(note.start_tick * tick_s, 2), note.pitch)
        for track in timeline.tracks
        if not track.percussion
        for note in track.notes
    }
    bars = [write_bar(plan, number) for number in range(plan.form.clock.bars + 1)]
    played = [(tone.at / SAMPLE_RATE_HZ, tone.pitch) for bar in bars for tone in bar.tones]
    played += [
        (phrase.at / SAMPLE_RATE_HZ + note.start_s, note.pitch)
        for bar in bars
        for phrase in bar.phrases
        for note in phrase.notes
    ]
    assert played
    for at_s, pitch in played:
        near = (round(at_s - tick_s, 2), round(at_s, 2), round(at_s + tick_s, 2))
        assert any((time, pitch) in told for time in near), (at_s, pitch)
    strokes = sum(len(bar.strokes) for bar in bars)
    drums = sum(len(track.notes) for track in timeline.tracks if track.percussion)
    assert strokes * 0.9 <= drums <= strokes  # two pieces may be one key
    for track in timeline.tracks:
        ends: dict[int, int] = {}
        for note in track.notes:
            assert note.start_tick >= ends.get(note.pitch, 0)
            assert note.ticks >= 1
            ends[note.pitch] = note.start_tick + note.ticks
        assert max(ends.values()) * tick_s <= timeline.duration_s + tick_s


def test_every_sound_has_a_general_midi_number() -> None:
    assert set(SOUNDS) - set(PROGRAMS) == set()
    assert PIECES - set(KEYS) == set()


def test_the_longest_song_has_a_timeline_of_a_few_hundred_kilobytes_at_most() -> None:
    long = LyricSection("verse", VERSE.lines * 8)
    plan = make_plan("drum and bass, 174 BPM", (long, CHORUS) * 4, 240 * SAMPLE_RATE_HZ, 7)
    assert len(timeline_of(alone(plan), (long, CHORUS) * 4)) < 400_000


async def test_a_pod_sends_the_timeline_that_its_result_names(song: Heard) -> None:
    assert hashlib.sha256(song.timeline).digest() == song.result.timeline_sha256
    timeline = pb.Timeline.FromString(bytes(song.timeline))
    assert timeline.duration_s == 12.0
    assert timeline.key == song.result.reading.key
    assert timeline.tempo_bpm == pytest.approx(song.result.reading.tempo_bpm, abs=0.001)
