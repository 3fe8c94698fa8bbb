"""Edits by the engine acestep itself: what stays to the sample, what changes, and what no source may be."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from services.common.errors import InvalidField
from services.music.acestep import edits
from services.music.acestep.engine import AceStepEngine
from services.music.acestep.making import Making, MakingError, Seeds, Step
from services.music.acestep.options import SamplingOptions
from services.music.acestep.state import SongState
from services.music.edit import Edit, Extend, LyricEdit, Repaint, Source, Variation
from services.music.engine import SAMPLE_RATE_HZ, Audio, Finished, LyricSection, Pcm, Progress, RenderRequest
from services.music.splice import FADE_SAMPLES
from tests.music_acestep.tiny_checkpoint import tiny_weights

STEPS = 5
WORDS = (LyricSection("verse", ("over the water",)),)
OTHER_WORDS = (LyricSection("verse", ("under the water",)),)
SONG = RenderRequest(prompt="calm piano", lyrics=WORDS, language="en", duration_s=5.0, seed=3)
RATE = SAMPLE_RATE_HZ


@dataclass(frozen=True, eq=False)
class Made:
    pcm: Pcm
    state: bytes
    steps: list[int]  # reported while rendering, of how many

    @property
    def source(self) -> Source:
        return Source(self.pcm, self.state)

    @property
    def making(self) -> Making:
        return Making.from_bytes(SongState.from_bytes(self.state).making)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> AceStepEngine:
    folder = tiny_weights(tmp_path_factory.mktemp("weights"))
    return AceStepEngine.load(folder, steps=STEPS, device=torch.device("cpu"))


def make(engine: AceStepEngine, request: RenderRequest) -> Made:
    events = list(engine.render(request, lambda: False))
    assert isinstance(events[-1], Finished)
    pcm = np.concatenate([event.pcm for event in events if isinstance(event, Audio)])
    progress = [e for e in events if isinstance(e, Progress) and e.stage == "rendering"]
    if progress:
        assert [e.step for e in progress] == list(range(progress[0].steps + 1))
    return Made(pcm, events[-1].state, [e.steps for e in progress])


@pytest.fixture(scope="module")
def song(engine: AceStepEngine) -> Made:
    return make(engine, SONG)


def edited(engine: AceStepEngine, source: Made, edit: Edit, **changes: object) -> Made:
    added = edit.left_s + edit.right_s if isinstance(edit, Extend) else 0.0
    request = replace(
        SONG, seed=8, edit=edit, source=source.source, duration_s=len(source.pcm) / RATE + added
    )
    return make(engine, replace(request, **changes))  # fields of any type


@pytest.mark.parametrize("edit", [Variation(0.0), Repaint(1.0, 2.0, 0.0), Repaint(0.0, 5.0, 0.0)])
def test_variance_zero_gives_the_source_back(engine: AceStepEngine, song: Made, edit: Edit) -> None:
    again = edited(engine, song, edit)
    assert np.array_equal(again.pcm, song.pcm)
    assert (again.state, again.steps) == (song.state, [])


def test_a_variation_moves_away_from_the_song_as_far_as_asked(engine: AceStepEngine, song: Made) -> None:
    def distance(variance: float) -> float:
        varied = SongState.from_bytes(edited(engine, song, Variation(variance)).state).latents
        return float((varied - SongState.from_bytes(song.state).latents).float().norm())

    near, far = distance(0.02), distance(0.6)
    assert 0 < near < far / 3


def test_a_variation_of_a_variation_starts_from_its_noise(engine: AceStepEngine, song: Made) -> None:
    first = edited(engine, song, Variation(0.4))
    assert first.making.seeds == Seeds(3, (Step(8, 0.4),))
    second = edited(engine, first, Variation(1e-9), seed=9)
    assert second.making.seeds == Seeds(3, (Step(8, 0.4), Step(9, 1e-9)))
    assert np.abs(second.pcm.astype(int) - first.pcm).max() <= 2


def test_a_variation_keeps_the_options_of_its_source(engine: AceStepEngine, song: Made) -> None:
    state = SongState.from_bytes(song.state)
    making = replace(song.making, options=SamplingOptions(steps=3))
    other = replace(state, making=making.to_bytes()).to_bytes()
    varied = edited(engine, replace(song, state=other), Variation(0.5))
    assert varied.steps[0] == 3
    assert varied.making.options.steps == 3


@pytest.mark.parametrize(("start_s", "end_s"), [(1.0, 2.5), (0.0, 1.0), (3.21, 5.0), (2.0, 2.00003)])
def test_outside_a_repainted_interval_every_sample_is_the_source_s(
    engine: AceStepEngine, song: Made, start_s: float, end_s: float
) -> None:
    painted = edited(engine, song, Repaint(start_s, end_s, 0.9))
    start, stop = round(start_s * RATE), round(end_s * RATE)
    assert painted.pcm.shape == song.pcm.shape
    assert np.array_equal(painted.pcm[:start], song.pcm[:start])
    assert np.array_equal(painted.pcm[stop:], song.pcm[stop:])
    if stop - start > 10:
        assert not np.array_equal(painted.pcm[start:stop], song.pcm[start:stop])
    assert painted.making.seeds is None
    old, new = (SongState.from_bytes(made.state).latents for made in (song, painted))
    changed = (old != new).any(0).any(0).nonzero().flatten().tolist()
    assert changed == list(range(start // 4096, -(-stop // 4096)))


def test_a_repainted_song_repainted_elsewhere_keeps_both(engine: AceStepEngine, song: Made) -> None:
    first = edited(engine, song, Repaint(1.0, 2.0, 0.8))
    second = edited(engine, first, Repaint(3.0, 4.0, 0.8), seed=9)
    assert np.array_equal(second.pcm[: 3 * RATE], first.pcm[: 3 * RATE])
    assert np.array_equal(second.pcm[4 * RATE :], song.pcm[4 * RATE :])


def test_a_variation_of_a_repainted_song_is_near_what_it_has_become(
    engine: AceStepEngine, song: Made
) -> None:
    painted = edited(engine, song, Repaint(1.0, 4.0, 1.0))
    varied = edited(engine, painted, Variation(0.2), seed=9)
    assert varied.steps[0] == 1  # the last of five
    old, near, new = (SongState.from_bytes(made.state).latents.float() for made in (song, varied, painted))
    assert (near - new).norm() < (near - old).norm()


@pytest.mark.parametrize(("left_s", "right_s"), [(0.0, 1.3), (1.3, 0.0), (0.7, 1.1), (0.0, 0.00003)])
def test_an_extended_song_holds_the_source_to_the_sample(
    engine: AceStepEngine, song: Made, left_s: float, right_s: float
) -> None:
    longer = edited(engine, song, Extend(left_s, right_s))
    left, right = round(left_s * RATE), round(right_s * RATE)
    assert len(longer.pcm) == left + len(song.pcm) + right
    assert np.array_equal(longer.pcm[left : left + len(song.pcm)], song.pcm)
    for new in (longer.pcm[:left], longer.pcm[left + len(song.pcm) :]):
        assert len(new) < FADE_SAMPLES or new.astype(float).std() > 10


def test_extended_to_the_left_again_and_again_a_song_stays_where_it_is(
    engine: AceStepEngine, song: Made
) -> None:
    once = edited(engine, song, Extend(0.5, 0.0))
    twice = edited(engine, once, Extend(0.01, 0.3), seed=9)  # less than the first frame has left over
    left = round(0.51 * RATE)
    assert np.array_equal(twice.pcm[left : left + len(song.pcm)], song.pcm)
    painted = edited(engine, twice, Repaint(2.0, 3.0, 0.7), seed=10)
    assert np.array_equal(painted.pcm[: 2 * RATE], twice.pcm[: 2 * RATE])
    states = [SongState.from_bytes(made.state) for made in (once, twice, painted)]
    assert [state.start for state in states] == [2526, 2526 - 441, 2526 - 441]


def test_what_the_model_does_not_hear_at_once_is_extended_and_repainted_too(
    engine: AceStepEngine, song: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "WINDOW_FRAMES", 60)
    longer = edited(engine, song, Extend(1.5, 2.0))  # 16 and 22 frames to the 54 that are there
    assert longer.steps[0] == 2 * STEPS
    assert np.array_equal(longer.pcm[round(1.5 * RATE) : round(6.5 * RATE)], song.pcm)
    painted = edited(engine, longer, Repaint(7.0, 8.0, 0.7), seed=9)
    assert np.array_equal(painted.pcm[: 7 * RATE], longer.pcm[: 7 * RATE])
    assert np.array_equal(painted.pcm[8 * RATE :], longer.pcm[8 * RATE :])
    assert not np.array_equal(painted.pcm[7 * RATE : 8 * RATE], longer.pcm[7 * RATE : 8 * RATE])


def test_a_lyric_edit_sings_other_words_and_hears_the_old_ones(engine: AceStepEngine, song: Made) -> None:
    modes = [
        edited(engine, song, LyricEdit("only_lyrics"), lyrics=OTHER_WORDS),
        edited(engine, song, LyricEdit("remix"), lyrics=OTHER_WORDS),
    ]
    assert [made.steps[0] for made in modes] == [2, 4]
    assert not np.array_equal(modes[0].pcm, modes[1].pcm)
    assert modes[0].making.lyrics == OTHER_WORDS
    same = edited(engine, song, LyricEdit("only_lyrics"))  # no word is another: next to nothing moves
    moved = [np.abs(made.pcm.astype(int) - song.pcm).mean() for made in (same, modes[0])]
    assert moved[0] < 10 < moved[1]


def test_the_same_edit_is_the_same_song(engine: AceStepEngine, song: Made) -> None:
    first, second = (edited(engine, song, Repaint(1.0, 2.0, 0.8)) for _ in range(2))
    assert first.state == second.state
    assert np.array_equal(first.pcm, second.pcm)


@pytest.mark.parametrize(
    ("edit", "changes", "field", "reason"),
    [
        (Repaint(4.0, 5.1, 0.5), {}, "edit", "OUT_OF_RANGE"),
        (Repaint(2.0, 2.000001, 0.5), {}, "edit", "OUT_OF_RANGE"),
        (LyricEdit("remix"), {"lyrics": ()}, "lyrics", "REQUIRED"),
        (Extend(0.0, 0.000001), {}, "edit", "OUT_OF_RANGE"),
        (Repaint(1.0, 2.0, 0.5), {"lyrics": (LyricSection("verse", ("\u2603",)),)},
         "lyrics.sections[0].lines[0]", "UNSUPPORTED_CHARACTER"),
    ],
)  # fmt: skip
def test_what_cannot_be_edited_is_refused(
    engine: AceStepEngine, song: Made, edit: Edit, changes: dict[str, object], field: str, reason: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        edited(engine, song, edit, **changes)
    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_a_state_of_another_kind_or_song_is_refused(engine: AceStepEngine, song: Made) -> None:
    state = SongState.from_bytes(song.state)
    for wrong in (
        b"sketch" + song.state[6:],
        song.state[:-1],
        replace(state, making=b"").to_bytes(),
        replace(state, making=b'{"prompt": 1}').to_bytes(),
    ):
        with pytest.raises(InvalidField) as caught:
            edited(engine, replace(song, state=wrong), Variation(0.5))
        assert (caught.value.field, caught.value.reason) == ("state", "MALFORMED")
    with pytest.raises(InvalidField) as caught:
        edited(engine, replace(song, pcm=song.pcm[:-1]), Variation(0.5))
    assert (caught.value.field, caught.value.reason) == ("state", "SOURCE_MISMATCH")


def test_a_making_comes_back_as_it_was_and_nothing_else_is_one() -> None:
    made = Making("a", WORDS, "en", SamplingOptions(steps=7), Seeds(1, (Step(2, 0.25),)))
    assert Making.from_bytes(made.to_bytes()) == made
    for wrong in (b"", b"[]", b'{"prompt": "a"}', made.to_bytes().replace(b'"steps":7', b'"steps":700')):
        with pytest.raises(MakingError):
            Making.from_bytes(wrong)
