"""Songs from noise: what batches, seeds, cancelling and previews must keep."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from services.music.acestep.branches import Words, guidance_branches, hear
from services.music.acestep.conditioning import CrossAttentionCache
from services.music.acestep.noise import NoiseSource
from services.music.acestep.options import SamplingOptions
from services.music.acestep.sampling import OnStep, sample, unheard
from services.music.acestep.text_encoder import TextEncoder
from services.music.acestep.transformer import Transformer
from tests.music_acestep.tiny_checkpoint import tiny_checkpoint_folder

FRAMES = 24
SONGS = (
    ("lo-fi hip-hop, soft piano", (261, 3751, 4787, 1425, 2)),
    ("techno", (261, 17, 52, 900, 6000, 45, 12, 81, 2)),
    ("an instrumental with a much longer prompt than the others", ()),
)


@pytest.fixture(scope="module")
def encoder(tiny_text_encoder: TextEncoder) -> TextEncoder:
    return tiny_text_encoder


@pytest.fixture(scope="module")
def model(tiny_transformer: Transformer) -> Transformer:
    return tiny_transformer


def heard(
    encoder: TextEncoder, options: SamplingOptions, songs: Sequence[tuple[str, Sequence[int]]] = SONGS
) -> list[Words]:
    return [hear(encoder, prompt, ids, options) for prompt, ids in songs]


def song(
    model: Transformer,
    words: Sequence[Words],
    options: SamplingOptions,
    seeds: Sequence[int],
    on_step: OnStep = unheard,
) -> Tensor:
    noise = NoiseSource(seeds)
    return sample(
        model,
        guidance_branches(model, words, options),
        noise.draw(FRAMES),
        options,
        noise=noise,
        on_step=on_step,
    )


class Evaluations:
    """The model, counting: sizes of the batches that its velocity was asked for."""

    def __init__(self, model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        velocity = model.velocity

        def counted(
            latents: Tensor, timestep: Tensor, cache: CrossAttentionCache, *rest: Any, **named: Any
        ) -> Tensor:
            self.batches.append(len(latents))
            return velocity(latents, timestep, cache, *rest, **named)

        monkeypatch.setattr(model, "velocity", counted)


VARIANTS = {
    "apg": SamplingOptions(steps=6),
    "apg without erg": SamplingOptions(steps=6, erg_text=False, erg_lyric=False, erg_diffusion=False),
    "cfg": SamplingOptions(steps=6, cfg_type="cfg", guidance_scale=5.0, erg_text=False),
    "cfg-zero*": SamplingOptions(steps=6, cfg_type="cfg_star", guidance_scale=4.0, guidance_interval=1.0),
    "double condition": SamplingOptions(steps=6, guidance_scale_text=5.0, guidance_scale_lyric=1.5),
    "guided heun": SamplingOptions(
        steps=4, scheduler="heun", guidance_interval=1.0, guidance_interval_decay=0.5
    ),
    "ping-pong": SamplingOptions(steps=6, scheduler="pingpong"),
    "unguided": SamplingOptions(steps=6, guidance_scale=1.0, omega=0.0),
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_an_item_of_a_batch_is_the_item_alone(
    model: Transformer, encoder: TextEncoder, options: SamplingOptions
) -> None:
    words = heard(encoder, options)
    together = song(model, words, options, [11, 12, 13])
    for i, seed in enumerate([11, 12, 13]):
        alone = song(model, [words[i]], options, [seed])
        assert (together[i : i + 1] - alone).norm() < 1e-4 * alone.norm()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    model: Transformer, encoder: TextEncoder
) -> None:
    options = SamplingOptions(steps=4)
    words = heard(encoder, options)[:1]
    first, again, other = (song(model, words, options, [seed]) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_a_seed_means_the_same_noise_for_any_place_in_a_batch() -> None:
    assert torch.equal(NoiseSource([1, 2, 3]).draw(9)[1:2], NoiseSource([2]).draw(9))


def test_a_source_goes_on_where_it_ended() -> None:
    noise = NoiseSource([4])
    assert not torch.equal(noise.draw(9), noise.draw(9))


def test_all_branches_of_a_guided_step_are_one_batch(
    model: Transformer, encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluations = Evaluations(model, monkeypatch)
    song(model, heard(encoder, VARIANTS["apg"])[:2], VARIANTS["apg"], [1, 2])
    assert evaluations.batches == [2, 4, 4, 4, 2, 2]  # steps 1 to 3 are guided
    evaluations.batches.clear()
    song(model, heard(encoder, VARIANTS["double condition"])[:2], VARIANTS["double condition"], [1, 2])
    assert evaluations.batches == [2, 6, 6, 6, 2, 2]


def test_heun_is_guided_by_step_and_not_by_evaluation(
    model: Transformer, encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluations = Evaluations(model, monkeypatch)
    options = SamplingOptions(steps=4, scheduler="heun")
    song(model, heard(encoder, options)[:1], options, [1])
    assert evaluations.batches == [
        1,
        1,
        2,
        2,
        2,
        2,
        1,
    ]  # steps 1 and 2 are guided; the last has one evaluation


def test_what_on_step_raises_ends_the_sampling_within_that_step(
    model: Transformer, encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cancelled(Exception):
        pass

    def cancel(done: int, steps: int, clean: Tensor) -> None:
        if done == 2:
            raise Cancelled

    evaluations = Evaluations(model, monkeypatch)
    with pytest.raises(Cancelled):
        song(model, heard(encoder, VARIANTS["apg"])[:1], VARIANTS["apg"], [1], cancel)
    assert len(evaluations.batches) == 2
    # Nothing of the cancelled song is left in the model.
    fresh = Transformer.load(tiny_checkpoint_folder(), "cpu", torch.float32)
    after, untouched = (
        song(m, heard(encoder, VARIANTS["apg"])[:1], VARIANTS["apg"], [1]) for m in (model, fresh)
    )
    assert torch.equal(after, untouched)


def test_every_step_is_told_with_what_the_song_would_be(model: Transformer, encoder: TextEncoder) -> None:
    told: list[tuple[int, int]] = []
    previews: list[Tensor] = []

    def listen(done: int, steps: int, clean: Tensor) -> None:
        told.append((done, steps))
        previews.append(clean)

    final = song(model, heard(encoder, VARIANTS["unguided"])[:1], VARIANTS["unguided"], [1], listen)
    assert told == [(step, 6) for step in range(1, 7)]
    torch.testing.assert_close(previews[-1], final)
    distances = [float((preview - final).norm()) for preview in previews]
    assert distances[3] < distances[0]


def test_a_model_in_bfloat16_gives_float32_latents_near_those_of_float32(
    encoder: TextEncoder, model: Transformer
) -> None:
    half = Transformer.load(tiny_checkpoint_folder(), "cpu", torch.bfloat16)
    options = SamplingOptions(steps=4, guidance_scale=3.0)
    words = heard(encoder, options)[:1]
    latents = song(half, words, options, [1])
    assert latents.dtype == torch.float32
    exact = song(model, words, options, [1])
    assert (latents - exact).norm() < 0.2 * exact.norm()


def test_words_heard_without_erg_cannot_be_weakened_later(model: Transformer, encoder: TextEncoder) -> None:
    words = heard(encoder, SamplingOptions(erg_text=False))[:1]
    with pytest.raises(ValueError, match="weakened text"):
        guidance_branches(model, words, SamplingOptions())
