"""What the sketch writes is composed: form, harmony, motifs, words, bass, fills, dynamics, an end."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.music.engine import SAMPLE_RATE_HZ, LyricSection
from services.music.sketch.composer import write_bar
from services.music.sketch.drumming import drum_pattern
from services.music.sketch.form import Section
from services.music.sketch.genres import genres
from services.music.sketch.harmony import bars_of
from services.music.sketch.leads import voice
from services.music.sketch.plan import Plan, make_plan
from services.music.sketch.prosody import syllable_rhythm
from services.music.sketch.randomness import stream
from services.music.sketch.score import Bar, Phrase
from services.music.sketch.syllables import syllables

VERSE = LyricSection(
    "verse",
    (
        "Walking down the empty street at night",
        "Every window holds a little light",
        "Somebody is playing an old guitar",
        "I am wondering who and where you are",
    ),
)
SECOND = LyricSection(
    "verse",
    (
        "Morning is coming over the hill",
        "Everything moving is standing still",
        "Nobody told me the way to go",
        "Everyone hears what I want to know",
    ),
)
CHORUS = LyricSection(
    "chorus",
    (
        "We are the fire, we are the rain",
        "Nothing will ever be the same again",
        "Hold me together, hold me apart",
        "You are the rhythm of my heart",
    ),
)
SONG = (VERSE, CHORUS, SECOND, CHORUS)

GENRES = st.sampled_from(sorted(genres()))
METERS = st.sampled_from(["", " in 3/4", " in 6/8", " in 7/8", " in 5/4"])
WISHES = st.sampled_from(
    [
        "",
        ", starts with piano only",
        ", with a drop",
        ": intro, verse, chorus, bridge, outro",
        ", ends with a fade",
        ", no drums, no bass",
        " with violin and saxophone",
    ]
)
SEEDS = st.integers(0, 2**32 - 1)
LINES = st.lists(
    st.lists(
        st.sampled_from(("love", "the", "river", "away", "of", "forever", "hold", "me", "station")),
        min_size=1,
        max_size=9,
    ).map(" ".join),
    min_size=1,
    max_size=4,
).map(tuple)
LYRICS = st.lists(
    st.builds(LyricSection, st.sampled_from(["verse", "pre-chorus", "chorus", "bridge"]), LINES),
    min_size=1,
    max_size=4,
)


def plan(prompt: str, duration_s: float, *lyrics: LyricSection, seed: int = 1) -> Plan:
    return make_plan(prompt, lyrics, round(duration_s * SAMPLE_RATE_HZ), seed)


def score(made: Plan) -> list[Bar]:
    return [write_bar(made, number) for number in range(made.form.clock.bars + 1)]


def sung(made: Plan) -> Iterator[tuple[Section, Phrase]]:
    clock = made.form.clock
    bounds = np.array([clock.at(section.first_bar) for section in made.form.sections])
    for number in range(clock.bars):
        for phrase in voice(made, made.form.section_of(number), number):
            yield made.form.sections[int(np.searchsorted(bounds, phrase.at, "right")) - 1], phrase


def step_of(made: Plan, phrase: Phrase, start_s: float) -> float:
    """Of a note in the song; swing is taken for what it delays."""
    steps = (phrase.at / SAMPLE_RATE_HZ + start_s) / made.form.clock.step_s
    return round(2 * steps) / 2


@settings(max_examples=40, deadline=None)
@given(GENRES, METERS, st.floats(5, 240), LYRICS, SEEDS)
def test_every_syllable_has_one_note_in_time_and_in_the_range_of_a_voice(
    genre: str, meter: str, duration_s: float, lyrics: list[LyricSection], seed: int
) -> None:
    made = plan(genre + meter, duration_s, *lyrics, seed=seed)
    lines = [line for section in made.form.sections for line in section.lines]
    phrases = [phrase for _, phrase in sung(made)]
    assert [len(phrase.notes) for phrase in phrases] == [len(line.syllables) for line in lines]
    pitches = [note.pitch for phrase in phrases for note in phrase.notes]
    assert not pitches or max(pitches) - min(pitches) <= 18
    for phrase in phrases:
        ends = [note.end_s for note in phrase.notes]
        starts = [note.start_s for note in phrase.notes]
        assert all(a < b for a, b in zip(starts, ends, strict=True))
        assert all(end <= start + 1e-6 for end, start in zip(ends, starts[1:], strict=False))


@settings(max_examples=30, deadline=None)
@given(GENRES, METERS, SEEDS)
def test_a_phrase_breathes_before_the_next(genre: str, meter: str, seed: int) -> None:
    phrases = [phrase for _, phrase in sung(plan(genre + meter, 120, *SONG, seed=seed))]
    assert len(phrases) >= 8
    for phrase, after in pairwise(phrases):
        end = phrase.at / SAMPLE_RATE_HZ + phrase.notes[-1].end_s
        assert after.at / SAMPLE_RATE_HZ + after.notes[0].start_s - end > 0.08


@settings(max_examples=30, deadline=None)
@given(GENRES.filter(lambda name: not genres()[name].rap), SEEDS)
def test_notes_on_strong_beats_are_of_the_chord_or_resolve_by_step(genre: str, seed: int) -> None:
    made = plan(genre, 120, *SONG, seed=seed)
    clock, strong, fitting = made.form.clock, 0, 0
    for _, phrase in sung(made):
        for note, after in zip(phrase.notes, [*phrase.notes[1:], None], strict=True):
            bar, step = divmod(step_of(made, phrase, note.start_s), clock.steps)
            if clock.meter.strong(step) and bar < clock.bars:
                strong += 1
                resolves = after is not None and 0 < abs(after.pitch - note.pitch) <= 2
                fitting += note.pitch % 12 in made.chord_at(int(bar), step).classes or resolves
    assert strong > 20
    assert fitting >= 0.97 * strong


@pytest.mark.parametrize("genre", ["pop", "rock", "folk in 3/4", "folk in 6/8", "jazz in 5/4", "trap"])
def test_stressed_syllables_are_on_stronger_steps_than_the_others(genre: str) -> None:
    weights: dict[bool, list[float]] = {True: [], False: []}
    made = plan(genre, 150, *SONG)
    meter = made.form.clock.meter
    for section in made.form.sections:
        for line in section.lines:
            for seed in range(3):
                rhythm = syllable_rhythm(line, meter, stream(seed, "test"), made.reading.genre.rap)
                for (start, _), syllable in zip(rhythm, line.syllables, strict=True):
                    weights[syllable.stressed].append(meter.weight(line.first_step + start))
    assert np.mean(weights[True]) > np.mean(weights[False]) + 0.15


@pytest.mark.parametrize(
    ("word", "stressed"),
    [
        ("station", 0),
        ("away", 1),
        ("forever", 1),
        ("musical", 0),
        ("believe", 1),
        ("river", 0),
        ("tonight", 1),
    ],
)
def test_a_word_is_stressed_where_it_is_spoken_so(word: str, stressed: int) -> None:
    assert [s.stressed for s in syllables(word)].index(True) == stressed


def test_rap_has_fewer_pitches_and_more_syllables_in_a_second_than_song() -> None:
    def measured(genre: str) -> tuple[float, float]:
        pitches, rates = [], []
        for seed in range(5):
            for _, phrase in sung(plan(f"{genre} 124 bpm", 120, *SONG, seed=seed)):
                pitches.append(len({note.pitch for note in phrase.notes}) / len(phrase.notes))
                rates.append(len(phrase.notes) / (phrase.notes[-1].end_s - phrase.notes[0].start_s))
        return float(np.mean(pitches)), float(np.mean(rates))

    (rap, rapped), (song, sang) = measured("boom bap"), measured("pop")
    assert rap < song
    assert rapped > 1.3 * sang


@settings(max_examples=60, deadline=None)
@given(GENRES, METERS, st.floats(5, 240), SEEDS, st.booleans())
def test_sections_end_in_cadences_and_the_song_on_its_tonic(
    genre: str, meter: str, duration_s: float, seed: int, words: bool
) -> None:
    made = plan(genre + meter, duration_s, *(SONG if words else ()), seed=seed)
    tonic = made.reading.key.tonic
    open_roots = {1, 7, 10, 11}
    own = made.reading.genre.cadence(made.reading.key)
    open_roots |= {(bars_of(own, made.reading.key)[0][-1].root - tonic) % 12}
    for section in made.form.sections:
        if section.bars >= 4:
            before, last = (
                (made.chords[section.first_bar + section.bars - n][-1].root - tonic) % 12 for n in (2, 1)
            )
            assert last in open_roots or (last == 0 and before in open_roots), section.kind
    ending = write_bar(made, made.form.clock.bars)
    assert made.chords[-1][0].root == tonic
    lowest = min(ending.tones, key=lambda tone: tone.pitch)
    assert lowest.pitch % 12 == tonic
    rest_s = (made.form.clock.total - made.form.clock.at(made.form.clock.bars)) / SAMPLE_RATE_HZ
    assert max(tone.hold_s for tone in ending.tones) > 0.5 * rest_s


@settings(max_examples=40, deadline=None)
@given(GENRES, METERS, WISHES, st.floats(5, 240), SEEDS)
def test_bars_and_ending_fill_the_duration_exactly(
    genre: str, meter: str, wish: str, duration_s: float, seed: int
) -> None:
    made = plan(genre + meter + wish, duration_s, seed=seed)
    clock = made.form.clock
    assert clock.total == round(duration_s * SAMPLE_RATE_HZ)
    assert sum(section.bars for section in made.form.sections) == clock.bars
    assert clock.at(clock.bars) < clock.total
    for number in {0, clock.bars // 2, clock.bars - 1}:
        bar = write_bar(made, number)
        assert bar.tones or bar.strokes
        assert all(clock.at(number) <= tone.at < clock.at(number + 1) for tone in bar.tones)


def melody(made: Plan, section: Section) -> NDArray[np.float64]:
    """The pitch that is sung at each step of a section, from its mean; silence holds the note before."""
    length = section.bars * made.form.clock.steps
    line = np.zeros(length)
    for home, phrase in sung(made):
        if home is section:
            for note in phrase.notes:
                at = int(step_of(made, phrase, note.start_s)) - section.first_bar * made.form.clock.steps
                line[min(at, length - 1) :] = note.pitch
    return np.asarray(line - line.mean(), dtype=np.float64)


def alike(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    n = min(len(a), len(b))
    return float(np.corrcoef(a[:n], b[:n])[0, 1])


@pytest.mark.parametrize("genre", ["pop", "folk", "rock", "r&b", "country"])
def test_a_chorus_comes_back_and_a_verse_is_another_tune(genre: str) -> None:
    returns, others = [], []
    for seed in range(4):
        made = plan(genre, 150, *SONG, seed=seed)
        lines = [(s.kind, melody(made, s)) for s in made.form.sections if s.lines]
        verses, choruses = ([line for kind, line in lines if kind == k] for k in ("verse", "chorus"))
        returns.append(alike(*choruses))
        others.append(alike(verses[0], choruses[0]))
        assert made.chords  # the harmony is the section's, too
    assert np.mean(returns) > 0.9
    assert np.mean(others) < 0.5


@pytest.mark.parametrize("genre", ["house", "cinematic", "jazz"])
def test_an_instrumental_chorus_plays_its_motif_again(genre: str) -> None:
    made = plan(genre, 150, seed=2)
    clock = made.form.clock
    choruses = [s for s in made.form.sections if s.kind == "chorus"]

    def motif(section: Section) -> list[tuple[int, int]]:
        start = clock.at(section.first_bar)
        tones = [t for n in (0, 1) for t in write_bar(made, section.first_bar + n).tones if t.bus == "lead"]
        return [(round((t.at - start) / SAMPLE_RATE_HZ / clock.step_s), t.pitch) for t in tones]

    first, last = motif(choruses[0]), motif(choruses[-1])
    assert len(first) >= 4
    assert {step for step, _ in first} == {step for step, _ in last}


@settings(max_examples=40, deadline=None)
@given(GENRES, st.floats(30, 200), SEEDS)
def test_drums_fill_before_a_section_that_has_drums(genre: str, duration_s: float, seed: int) -> None:
    made = plan(genre, duration_s, seed=seed)
    for section, after in zip(made.form.sections, made.form.sections[1:], strict=False):
        last = section.first_bar + section.bars - 1
        usual, end = (drum_pattern(made, section, bar) for bar in (section.first_bar, last))
        following = drum_pattern(made, after, after.first_bar)
        if usual and following and section.bars >= 3 and after.energy > 0.56:
            half = made.form.clock.steps // 2
            pieces = {*usual, *end} - {"closed", "ride", "shaker"}
            assert any(
                usual.get(p, "." * 2 * half)[half:] != end.get(p, "." * 2 * half)[half:] for p in pieces
            ) or any("2" in line or "3" in line for line in end.values())


# These begin off the beat, or hold on to the chord before: that is how they go.
OFF_BEAT = {"house", "edm", "trance", "techno", "reggae", "latin", "afrobeat", "dance pop"}


@settings(max_examples=40, deadline=None)
@given(GENRES.filter(lambda name: name not in OFF_BEAT), METERS, SEEDS)
def test_the_bass_plays_the_root_where_the_chord_changes(genre: str, meter: str, seed: int) -> None:
    made = plan(genre + meter, 60, seed=seed)
    clock, right, total = made.form.clock, 0, 0
    for number in range(1, clock.bars):
        if made.chords[number][0].root == made.chords[number - 1][-1].root:
            continue
        tones = sorted((t for t in write_bar(made, number).tones if t.bus == "bass"), key=lambda t: t.at)
        if tones:
            total += 1
            right += tones[0].pitch % 12 == made.chords[number][0].root
    assert right >= 0.9 * total


@settings(max_examples=30, deadline=None)
@given(GENRES, st.sampled_from(["", "happy ", "aggressive ", "peaceful "]), st.floats(40, 240), SEEDS)
def test_the_last_chorus_is_the_biggest_section(genre: str, mood: str, duration_s: float, seed: int) -> None:
    sections = plan(mood + genre, duration_s, seed=seed).form.sections
    choruses = [s for s in sections if s.kind == "chorus"]
    assert choruses[-1].energy == max(s.energy for s in sections)
    assert all(s.energy < choruses[-1].energy for s in sections if s is not choruses[-1])
    assert sections[0].energy < choruses[0].energy or sections[0].kind == "chorus"


@pytest.mark.parametrize("genre", ["pop", "house", "rock", "folk", "cinematic", "calm jazz"])
def test_the_last_chorus_has_more_to_hear_than_the_first(genre: str) -> None:
    made = plan(genre, 180, seed=6)
    choruses = [s for s in made.form.sections if s.kind == "chorus"]
    assert len(choruses) > 1

    def force(section: Section) -> float:
        bars = [write_bar(made, section.first_bar + n) for n in range(4)]
        return sum(t.velocity**2 * 10 ** (t.gain_db / 10) for bar in bars for t in bar.tones)

    assert force(choruses[-1]) > 1.05 * force(choruses[0])


@settings(max_examples=15, deadline=None)
@given(GENRES, st.floats(5, 60), SEEDS)
def test_the_same_seed_writes_the_same_score_and_another_seed_another(
    genre: str, duration_s: float, seed: int
) -> None:
    one, again, other = (plan(genre, duration_s, VERSE, CHORUS, seed=s) for s in (seed, seed, seed ^ 1))
    assert score(one) == score(again)
    assert score(one) != score(other)
    backwards = [write_bar(one, number) for number in reversed(range(one.form.clock.bars + 1))]
    assert backwards[::-1] == score(one)


@pytest.mark.parametrize("duration_s", [5, 7.3, 11, 20, 45, 90, 180, 240])
def test_any_duration_has_a_form(duration_s: float) -> None:
    for genre in genres():
        made = plan(genre, duration_s)
        kinds = [section.kind for section in made.form.sections]
        assert len(kinds) >= (
            1 if duration_s < 15 else 2 if duration_s < 45 else 3 if genre != "blues" else 2
        ), genre
        if duration_s >= 90:
            assert {"verse", "chorus"} <= set(kinds) or {"break", "chorus"} <= set(kinds)
