"""Guidance as algebra: what must hold whatever the model says. Released numbers: the conformance test."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from services.music.acestep import guidance


def normal(seed: int) -> Tensor:
    return torch.randn(2, 8, 16, 20, generator=torch.Generator().manual_seed(seed))


def test_cfg_at_1_is_the_conditional_prediction_and_at_0_the_other() -> None:
    cond, uncond = normal(1), normal(2)
    torch.testing.assert_close(guidance.cfg(cond, uncond, 1.0), cond)
    torch.testing.assert_close(guidance.cfg(cond, uncond, 0.0), uncond)


def test_double_condition_with_equal_scales_is_cfg() -> None:
    cond, text_only, uncond = normal(1), normal(2), normal(3)
    ours = guidance.double_condition(cond, text_only, uncond, 4.0, 4.0)
    torch.testing.assert_close(ours, guidance.cfg(cond, uncond, 4.0), rtol=1e-5, atol=1e-5)


def test_apg_moves_only_across_the_conditional_prediction_and_by_a_bounded_amount() -> None:
    cond, uncond = normal(1), 3 * normal(2)
    guided, _ = guidance.apg(cond, uncond, 15.0, None)
    update = guided - cond
    along = (update * cond).sum(guidance.FRAME) / torch.linalg.vector_norm(cond, dim=guidance.FRAME)
    assert along.abs().max() < 1e-3
    assert torch.linalg.vector_norm(update, dim=guidance.FRAME).max() <= 14 * 2.5 + 1e-3


def test_apg_without_any_difference_changes_nothing() -> None:
    cond = normal(1)
    torch.testing.assert_close(guidance.apg(cond, cond, 15.0, None)[0], cond)


def test_apg_remembers_with_a_negative_momentum() -> None:
    cond, uncond = normal(1), normal(2)
    _, first = guidance.apg(cond, uncond, 15.0, None)
    _, second = guidance.apg(cond, uncond, 15.0, first)
    torch.testing.assert_close(second, 0.25 * (cond - uncond))


def test_cfg_zero_star_ignores_what_the_unconditional_prediction_shares_with_the_conditional() -> None:
    cond = normal(1)
    torch.testing.assert_close(
        guidance.cfg_zero_star(cond, 0.3 * cond, 7.0, zero=False), cond, rtol=1e-5, atol=1e-5
    )
    assert not guidance.cfg_zero_star(cond, normal(2), 7.0, zero=True).any()


@pytest.mark.parametrize(
    "mix",
    [
        lambda cond, uncond: guidance.apg(cond, uncond, 15.0, None)[0],
        lambda cond, uncond: guidance.cfg_zero_star(cond, uncond, 4.0, zero=False),
    ],
    ids=["apg", "cfg_star"],
)
def test_items_of_a_batch_do_not_hear_one_another(mix: Callable[[Tensor, Tensor], Tensor]) -> None:
    cond, uncond = normal(1), normal(2)
    torch.testing.assert_close(mix(cond, uncond)[1:], mix(cond[1:], uncond[1:]))
