"""The form of a sketch song fills its duration, whatever is asked."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.music.engine import SAMPLE_RATE_HZ, LyricSection
from services.music.sketch.composer import write_bar
from services.music.sketch.genres import STEPS
from services.music.sketch.plan import Plan, make_plan

VERSE = LyricSection(
    "verse", ("Walking down the empty street at night", "Every window holds a little light") * 2
)
CHORUS = LyricSection("chorus", ("We are the fire, we are the rain", "Nothing will ever be the same again"))

PROMPTS = st.sampled_from(
    ["house", "sad piano", "metal 220 bpm", "ambient 40 bpm", "jazz", "blues in E", "waltz"]
)
LINES = st.lists(st.text(alphabet="aeiou bcdst", min_size=1, max_size=60), max_size=6).map(tuple)
TAGS = st.sampled_from(
    ["start", "intro", "verse", "pre-chorus", "chorus", "hook", "solo", "inst", "break", "end"]
)
LYRICS = st.lists(st.builds(LyricSection, TAGS, LINES), max_size=8)


def plan(prompt: str, duration_s: float, *lyrics: LyricSection, seed: int = 1) -> Plan:
    return make_plan(prompt, lyrics, round(duration_s * SAMPLE_RATE_HZ), seed)


@settings(max_examples=60, deadline=None)
@given(PROMPTS, st.floats(5, 240), LYRICS, st.integers(0, 2**32 - 1))
def test_sections_follow_one_another_and_fill_the_song(
    prompt: str, duration_s: float, lyrics: list[LyricSection], seed: int
) -> None:
    made = plan(prompt, duration_s, *lyrics, seed=seed)
    clock, bar = made.form.clock, 0
    for section in made.form.sections:
        assert section.first_bar == bar
        assert section.bars > 0
        bar += section.bars
        for line in section.lines:
            assert line.first_step + line.steps <= section.bars * STEPS
    assert bar == clock.bars >= 1
    ending_s = (clock.total - clock.at(clock.bars)) / SAMPLE_RATE_HZ
    assert 0.8 < ending_s < 60 / clock.tempo_bpm * 4 + 1.6


@settings(max_examples=15, deadline=None)
@given(PROMPTS, st.floats(5, 60), LYRICS)
def test_every_note_begins_in_its_bar(prompt: str, duration_s: float, lyrics: list[LyricSection]) -> None:
    made = plan(prompt, duration_s, *lyrics)
    clock = made.form.clock
    for number in range(clock.bars + 1):
        start = clock.at(number)
        end = clock.at(number + 1) if number < clock.bars else clock.total
        bar = write_bar(made, number)
        assert all(start <= at < end for at in [t.at for t in bar.tones] + [s.at for s in bar.strokes])


def test_lyrics_that_fit_are_all_sung_in_order_one_note_for_each_syllable() -> None:
    made = plan("pop", 60, VERSE, CHORUS)
    sung = [line for section in made.form.sections for line in section.lines]
    assert [(line.section, line.line) for line in sung] == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    phrases = [phrase for bar in range(made.form.clock.bars) for phrase in write_bar(made, bar).phrases]
    assert [len(phrase.notes) for phrase in phrases] == [len(line.syllables) for line in sung]
    ends = [phrase.at / SAMPLE_RATE_HZ + phrase.notes[-1].end_s for phrase in phrases]
    starts = [phrase.at / SAMPLE_RATE_HZ for phrase in phrases]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


def test_of_lyrics_that_do_not_fit_the_first_lines_are_sung() -> None:
    made = plan("pop", 8, *[VERSE] * 10)
    sung = [(line.section, line.line) for section in made.form.sections for line in section.lines]
    assert sung
    assert sung == sorted(sung)
    assert sung[0] == (0, 0)


def test_sections_without_words_give_the_form_of_an_instrumental() -> None:
    tags = ("intro", "verse", "solo", "outro")
    made = plan("rock", 60, *(LyricSection(tag) for tag in tags))
    assert tuple(section.kind for section in made.form.sections) == tags


def test_an_asked_tempo_is_kept_and_a_free_one_moves_a_little_to_fit() -> None:
    assert plan("house 127 bpm", 33.3).form.clock.tempo_bpm == 127
    free = plan("house", 33.3)
    assert abs(free.form.clock.tempo_bpm / free.reading.tempo_bpm - 1) < 0.04
