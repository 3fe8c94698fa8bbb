"""Solvers on fields with a known answer."""

import math

import pytest
import torch
from torch import Tensor

from services.music.acestep.solvers import Euler, Heun, PingPong, Solver


def normal(seed: int, items: int = 1) -> Tensor:
    return torch.randn(items, 8, 16, 10, generator=torch.Generator().manual_seed(seed))


def growth(x: Tensor, step: int, sigma: float) -> Tensor:
    """dx / d sigma = x, so that x falls by a factor of e from sigma 1 to 0."""
    return x


def followed(solver: Solver, steps: int, x: Tensor) -> Tensor:
    sigmas = [1 - i / steps for i in range(steps)] + [0.0]
    for step in range(steps):
        x, _ = solver.step(growth, x, step, sigmas[step], sigmas[step + 1])
    return x


@pytest.mark.parametrize("solver", [Euler(), Heun()], ids=["euler", "heun"])
def test_a_straight_flow_is_followed_exactly_and_its_end_predicted(solver: Solver) -> None:
    clean, noise = normal(1), normal(2)
    x, predicted = solver.step(lambda x, step, sigma: noise - clean, noise, 0, 1.0, 0.4)
    torch.testing.assert_close(x, 0.6 * clean + 0.4 * noise)
    torch.testing.assert_close(predicted, clean)


def test_euler_is_of_first_order_and_heun_better() -> None:
    x = normal(1)
    exact = x / math.e

    def error(solver: Solver, steps: int) -> float:
        return float((followed(solver, steps, x) - exact).abs().max())

    assert error(Euler(), 20) / error(Euler(), 40) == pytest.approx(2, rel=0.1)
    assert error(Heun(), 20) < error(Euler(), 20) / 5


def test_heun_evaluates_twice_but_once_in_the_last_step() -> None:
    heard: list[tuple[int, float]] = []

    def field(x: Tensor, step: int, sigma: float) -> Tensor:
        heard.append((step, sigma))
        return x

    x, _ = Heun().step(field, normal(1), 0, 1.0, 0.5)
    Heun().step(field, x, 1, 0.5, 0.0)
    assert heard == [(0, 1.0), (0, 0.5), (1, 0.5)]


def test_ping_pong_takes_fresh_noise_and_ends_on_the_prediction() -> None:
    clean, noise, fresh = normal(1), normal(2), normal(3)
    solver = PingPong(lambda: fresh)
    x, _ = solver.step(lambda x, step, sigma: noise - clean, noise, 0, 1.0, 0.4)
    torch.testing.assert_close(x, 0.6 * clean + 0.4 * fresh)
    x, predicted = solver.step(lambda x, step, sigma: fresh - clean, x, 1, 0.4, 0.0)
    torch.testing.assert_close(x, predicted)
    torch.testing.assert_close(x, clean)


@pytest.mark.parametrize("solver", [Euler(1.05), Heun(0.95)], ids=["euler", "heun"])
def test_the_stretch_is_about_each_songs_own_mean(solver: Solver) -> None:
    songs = normal(1, items=2) * torch.tensor([1.0, 100.0]).view(2, 1, 1, 1) + 3
    together, _ = solver.step(growth, songs, 0, 1.0, 0.5)
    alone, _ = solver.step(growth, songs[:1], 0, 1.0, 0.5)
    torch.testing.assert_close(together[:1], alone)
