"""Variation, repaint and extension: what must stay, what must change, and what is refused."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from services.common.errors import InvalidField
from services.music.acestep import edits
from services.music.acestep.branches import Branches, guidance_branches, hear
from services.music.acestep.edits import Region
from services.music.acestep.noise import NoiseSource
from services.music.acestep.options import SamplingOptions
from services.music.acestep.sampling import OnStep, sample, unheard
from services.music.acestep.text_encoder import TextEncoder
from services.music.acestep.transformer import Transformer
from services.music.sampling import Scheduler

FRAMES = 30
OPTIONS = SamplingOptions(steps=5)


@pytest.fixture(scope="module")
def model(tiny_transformer: Transformer) -> Transformer:
    return tiny_transformer


@pytest.fixture(scope="module")
def branches(model: Transformer, tiny_text_encoder: TextEncoder) -> Branches:
    return guidance_branches(model, [hear(tiny_text_encoder, "jazz", (261, 17, 52, 2), OPTIONS)], OPTIONS)


@pytest.fixture(scope="module")
def source() -> Tensor:
    # as a stored state has it: rounded to 16 bits
    return NoiseSource([99]).draw(FRAMES).half().float()


def repaint(
    model: Transformer,
    branches: Branches,
    source: Tensor,
    region: Region,
    variance: float,
    options: SamplingOptions = OPTIONS,
    seeds: Sequence[int] = (1,),
) -> Tensor:
    return edits.repaint(
        model, branches, source, region, variance, options,
        noise=NoiseSource(seeds), second_noise=NoiseSource([seed + 100 for seed in seeds]),
    )  # fmt: skip


def extend(
    model: Transformer,
    branches: Branches,
    source: Tensor,
    left: int,
    right: int,
    variance: float = 1.0,
    options: SamplingOptions = OPTIONS,
    seeds: Sequence[int] = (1,),
    on_step: OnStep = unheard,
) -> Tensor:
    return edits.extend(
        model, branches, source, left, right, variance, options,
        noise=NoiseSource(seeds), second_noise=NoiseSource([seed + 100 for seed in seeds]), on_step=on_step,
    )  # fmt: skip


def test_a_variation_of_0_is_the_source_to_the_bit(model: Transformer, branches: Branches) -> None:
    def song(variance: float) -> Tensor:
        first, second = NoiseSource([1]), NoiseSource([2])
        start = edits.vary(first.draw(FRAMES), second.draw(FRAMES), variance)
        return sample(model, branches, start, OPTIONS, noise=first)

    original = sample(model, branches, NoiseSource([1]).draw(FRAMES), OPTIONS, noise=NoiseSource([1]))
    assert torch.equal(song(0.0), original)
    near, far = ((song(variance) - original).norm() for variance in (0.1, 0.9))
    assert 0 < near < far


def test_varied_noise_keeps_the_variance_of_noise() -> None:
    varied = edits.vary(NoiseSource([1]).draw(400), NoiseSource([2]).draw(400), 0.3)
    assert float(varied.std()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("scheduler", ["euler", "heun", "pingpong"])
def test_repaint_changes_its_region_and_nothing_else(
    model: Transformer, branches: Branches, source: Tensor, scheduler: Scheduler
) -> None:
    options = SamplingOptions(steps=5, scheduler=scheduler)
    painted = repaint(model, branches, source, Region(8, 20), 0.8, options)
    assert torch.equal(painted[..., :8], source[..., :8])
    assert torch.equal(painted[..., 20:], source[..., 20:])
    assert (painted[..., 8:20] - source[..., 8:20]).abs().mean() > 0.1


@pytest.mark.parametrize("region", [Region(0, 5), Region(25, 30), Region(12, 13), Region(0, 30)])
def test_repaint_at_0_gives_the_source_back(
    model: Transformer, branches: Branches, source: Tensor, region: Region
) -> None:
    assert torch.equal(repaint(model, branches, source, region, 0.0), source)


@pytest.mark.parametrize("region", [Region(-1, 5), Region(5, 5), Region(9, 4), Region(20, 31)])
def test_a_region_outside_the_song_is_refused(
    model: Transformer, branches: Branches, source: Tensor, region: Region
) -> None:
    with pytest.raises(InvalidField) as caught:
        repaint(model, branches, source, region, 0.5)
    assert (caught.value.field, caught.value.reason) == ("interval", "OUT_OF_RANGE")


@pytest.mark.parametrize("variance", [-0.01, 1.01, float("nan")])
def test_a_variance_out_of_0_to_1_is_refused(
    model: Transformer, branches: Branches, source: Tensor, variance: float
) -> None:
    refused: list[Callable[[], Tensor]] = [
        lambda: edits.vary(source, source, variance),
        lambda: repaint(model, branches, source, Region(0, 5), variance),
        lambda: extend(model, branches, source, 0, 5, variance),
    ]
    for edit in refused:
        with pytest.raises(InvalidField) as caught:
            edit()
        assert caught.value.field == "variance"


def test_repaint_of_a_song_longer_than_the_window_hears_the_part_around_it(
    model: Transformer, branches: Branches, source: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "WINDOW_FRAMES", 20)
    painted = repaint(model, branches, source, Region(21, 26), 1.0)
    part = repaint(model, branches, source[..., 10:], Region(11, 16), 1.0)
    assert torch.equal(painted[..., :10], source[..., :10])
    assert torch.equal(painted[..., 10:], part)
    with pytest.raises(InvalidField, match="in one go"):
        repaint(model, branches, source, Region(2, 25), 1.0)


@pytest.mark.parametrize(("left", "right"), [(7, 0), (0, 7), (4, 9), (0, 45), (45, 0), (40, 45)])
def test_an_extension_keeps_the_source_and_adds_to_either_side(
    model: Transformer, branches: Branches, source: Tensor, left: int, right: int
) -> None:
    longer = extend(model, branches, source, left, right)
    assert longer.shape[-1] == left + FRAMES + right
    assert torch.equal(longer[..., left : left + FRAMES], source)
    for new in (longer[..., :left], longer[..., left + FRAMES :]):
        assert not new.numel() or 0.1 < float(new.std()) < 10


def test_both_sides_of_an_extension_are_different_music(
    model: Transformer, branches: Branches, source: Tensor
) -> None:
    longer = extend(model, branches, source, FRAMES, FRAMES)
    # without what every song of this model has in common, its mean over time
    left, right = (
        (side - side.mean(-1, keepdim=True)).flatten()
        for side in (longer[..., :FRAMES], longer[..., -FRAMES:])
    )
    assert abs(float(torch.corrcoef(torch.stack((left, right)))[0, 1])) < 0.2


@pytest.mark.parametrize("sides", [(0, 0), (-1, 5), (5, -1)])
def test_an_extension_by_nothing_is_refused(
    model: Transformer, branches: Branches, source: Tensor, sides: tuple[int, int]
) -> None:
    with pytest.raises(InvalidField) as caught:
        extend(model, branches, source, *sides)
    assert caught.value.field == "interval"


def test_an_extension_without_a_step_to_render_is_refused(
    model: Transformer, branches: Branches, source: Tensor
) -> None:
    with pytest.raises(InvalidField) as caught:
        extend(model, branches, source, 0, 5, 0.0)
    assert caught.value.field == "variance"


def test_beyond_the_window_an_extension_is_chained(
    model: Transformer, branches: Branches, source: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "WINDOW_FRAMES", 40)
    heard: list[int] = []
    velocity = model.velocity

    def counted(latents: Tensor, *rest: Any, **named: Any) -> Tensor:
        heard.append(latents.shape[-1])
        return velocity(latents, *rest, **named)

    monkeypatch.setattr(model, "velocity", counted)
    told: list[tuple[int, int, int]] = []
    longer = extend(
        model,
        branches,
        source,
        25,
        30,
        on_step=lambda done, steps, x: told.append((done, steps, x.shape[-1])),
    )
    assert longer.shape[-1] == 85
    assert torch.equal(longer[..., 25:55], source)
    assert max(heard) <= 40
    assert [done for done, _, _ in told] == list(range(1, 21))
    assert {steps for _, steps, _ in told} == {20}
    assert sorted({length for _, _, length in told}) == [50, 60, 80, 85]


@pytest.mark.parametrize(
    ("frames", "left", "right"),
    [(100, 50, 60), (2584, 0, 1), (2584, 2000, 2000), (300, 5000, 0), (1, 2583, 1)],
)
def test_passes_add_up_leave_room_for_what_is_there_and_fit_the_window(
    frames: int, left: int, right: int
) -> None:
    passes = edits.extension_passes(frames, left, right)
    assert (sum(before for before, _ in passes), sum(behind for _, behind in passes)) == (left, right)
    for before, behind in passes:
        assert before + behind + min(frames, edits.WINDOW_FRAMES // 2) <= edits.WINDOW_FRAMES
        frames += before + behind


def test_what_fits_the_window_is_one_pass() -> None:
    assert edits.extension_passes(1000, 500, 1085) == [(500, 1085)]
    assert len(edits.extension_passes(1000, 500, 1086)) == 2


def test_an_edited_item_of_a_batch_is_the_item_alone(
    model: Transformer, tiny_text_encoder: TextEncoder
) -> None:
    words = [
        hear(tiny_text_encoder, p, ids, OPTIONS)
        for p, ids in (("jazz", (261, 9, 2)), ("slow rock ballad", ()))
    ]
    both = guidance_branches(model, words, OPTIONS)
    sources = NoiseSource([7, 8]).draw(FRAMES)
    painted = repaint(model, both, sources, Region(3, 11), 0.7, seeds=[1, 2])
    longer = extend(model, both, sources, 5, 6, seeds=[1, 2])
    for i in range(2):
        alone = guidance_branches(model, [words[i]], OPTIONS)
        one = sources[i : i + 1]
        torch.testing.assert_close(
            painted[i : i + 1],
            repaint(model, alone, one, Region(3, 11), 0.7, seeds=[i + 1]),
            rtol=1e-3,
            atol=1e-3,
        )
        torch.testing.assert_close(
            longer[i : i + 1], extend(model, alone, one, 5, 6, seeds=[i + 1]), rtol=1e-3, atol=1e-3
        )
