"""The early preview by the engine acestep itself: what is heard half-way, and that it leaves no trace."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from services.music.acestep import edits
from services.music.acestep.branches import guidance_branches, hear
from services.music.acestep.engine import AceStepEngine, Models, pcm16
from services.music.acestep.options import SamplingOptions
from services.music.acestep.planning import plan
from services.music.edit import Extend, LyricEdit, Repaint, Source, Variation
from services.music.engine import (
    SAMPLE_RATE_HZ,
    Audio,
    Event,
    Finished,
    LyricSection,
    Pcm,
    Preview,
    Progress,
    RenderCancelled,
    RenderRequest,
)
from tests.music_acestep.tiny_checkpoint import tiny_weights

OPTIONS = SamplingOptions(steps=5)
SONG = RenderRequest(prompt="calm piano", lyrics=(), language="en", duration_s=5.0, seed=3, preview=True)
RATE = SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tiny_weights(tmp_path_factory.mktemp("weights"))
    return Models.load(folder, torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def engine(models: Models) -> AceStepEngine:
    return AceStepEngine(models, OPTIONS, "")


@dataclass(frozen=True, eq=False)
class Made:
    events: Sequence[Event]

    @property
    def preview(self) -> Pcm:
        return np.concatenate([event.pcm for event in self.events if isinstance(event, Preview)])

    @property
    def pcm(self) -> Pcm:
        return np.concatenate([event.pcm for event in self.events if isinstance(event, Audio)])

    @property
    def state(self) -> bytes:
        assert isinstance(self.events[-1], Finished)
        return self.events[-1].state

    @property
    def preview_step(self) -> int:
        """The diffusion step that was reported last before the preview, which is in one piece."""
        at = [index for index, event in enumerate(self.events) if isinstance(event, Preview)]
        assert at == list(range(at[0], at[-1] + 1))
        before, after = self.events[at[0] - 1], self.events[at[-1] + 1]
        assert isinstance(before, Progress)
        assert isinstance(after, Progress)
        return before.step


def make(engine: AceStepEngine, request: RenderRequest) -> Made:
    return Made(list(engine.render(request, lambda: False)))


@pytest.fixture(scope="module")
def song(engine: AceStepEngine) -> Made:
    return make(engine, SONG)


def edit_of(song: Made, **changes: object) -> RenderRequest:
    request = replace(SONG, seed=8, source=Source(song.pcm, song.state))
    return replace(request, **changes)  # fields of any type


def test_the_preview_is_what_half_of_the_steps_foresee(models: Models, song: Made) -> None:
    words = hear(models.text_encoder, SONG.prompt, (), OPTIONS)
    branches = guidance_branches(models.transformer, [words], OPTIONS)
    todo, _ = plan(SONG, OPTIONS)
    foreseen: list[Tensor] = []
    assert todo.run is not None
    todo.run(models.transformer, branches, lambda done, steps, clean: foreseen.append(clean))
    latents = foreseen[OPTIONS.steps // 2 - 1][0].half()
    blocks = [pcm16(block) for block in models.codec.decode_windows(latents, SONG.samples)]
    assert song.preview_step == 2
    assert np.array_equal(song.preview, np.concatenate(blocks))
    assert not np.array_equal(song.preview, song.pcm)


def test_the_song_is_the_same_with_and_without_it(engine: AceStepEngine, song: Made) -> None:
    plain = make(engine, replace(SONG, preview=False))
    assert not any(isinstance(event, Preview) for event in plain.events)
    assert plain.state == song.state
    assert np.array_equal(plain.pcm, song.pcm)


def test_outside_of_a_repainted_interval_a_preview_is_the_source(engine: AceStepEngine, song: Made) -> None:
    painted = make(engine, edit_of(song, edit=Repaint(1.0, 2.5, 0.9)))
    start, stop = RATE, round(2.5 * RATE)
    assert len(painted.preview) == len(song.pcm)
    assert np.array_equal(painted.preview[:start], song.pcm[:start])
    assert np.array_equal(painted.preview[stop:], song.pcm[stop:])
    for other in (song, painted):
        assert not np.array_equal(painted.preview[start:stop], other.pcm[start:stop])


def test_a_lyric_edit_and_a_variation_are_foreseen_as_a_whole(engine: AceStepEngine, song: Made) -> None:
    words = (LyricSection("verse", ("under the water",)),)
    for edit in (LyricEdit("only_lyrics"), LyricEdit("remix"), Variation(0.5)):
        made = make(engine, edit_of(song, edit=edit, lyrics=words))
        assert len(made.preview) == len(made.pcm)
        assert not np.array_equal(made.preview, song.pcm)


def test_an_extension_in_several_parts_is_foreseen_within_its_last(
    engine: AceStepEngine, song: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "WINDOW_FRAMES", 60)
    longer = make(engine, edit_of(song, edit=Extend(1.5, 2.0), duration_s=8.5))
    left = round(1.5 * RATE)
    assert longer.preview_step == OPTIONS.steps + 2
    assert len(longer.preview) == len(longer.pcm)
    assert np.array_equal(longer.preview[left : left + len(song.pcm)], song.pcm)
    off = np.abs(longer.preview.astype(int) - longer.pcm)
    # The end was made in the first part: only the sound of the new beginning, far away, touches it.
    assert off[left + len(song.pcm) :].mean() < 0.05 * off[:left].mean()


@pytest.mark.parametrize("steps", range(1, 8))
def test_half_of_the_steps_are_at_least_one_and_never_all(steps: int) -> None:
    todo, _ = plan(SONG, OPTIONS)
    assert todo.preview_step(steps) == steps // 2 < steps
    assert todo.preview_step(0) == 0
    chained = replace(todo, passes=3)
    assert chained.preview_step(3 * steps) == (2 * steps + steps // 2 if steps > 1 else 0)


def test_a_single_step_and_a_source_that_comes_back_have_none(
    models: Models, engine: AceStepEngine, song: Made
) -> None:
    single = AceStepEngine(models, SamplingOptions(steps=1), "")
    for made in (make(single, SONG), make(engine, edit_of(song, edit=Variation(0.0)))):
        assert not any(isinstance(event, Preview) for event in made.events)
        assert len(made.pcm) == len(song.pcm)


def test_a_song_is_cancelled_between_two_windows_of_its_preview(engine: AceStepEngine) -> None:
    cancelled = False
    events = engine.render(SONG, lambda: cancelled)
    first = next(event for event in events if isinstance(event, Preview))
    assert len(first.pcm) < SONG.samples
    cancelled = True
    with pytest.raises(RenderCancelled):
        next(events)
    assert not [thread for thread in threading.enumerate() if thread.name == "acestep-sampling"]


def test_the_time_that_a_preview_takes_counts_for_no_step(engine: AceStepEngine) -> None:
    slept, times = False, []
    for event in engine.render(SONG, lambda: False):
        if isinstance(event, Preview) and not slept:
            slept = True
            time.sleep(1.0)
        if isinstance(event, Progress) and event.stage == "rendering":
            times.append(event.eta_s)
    # Counted, it would be 0.4 s for what is left of the steps alone.
    assert times[3] < times[2] + 0.2
