"""Latents and audio: the goldens, windows against the whole, exact lengths, and when work is done."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from services.music.acestep.codec import SAMPLES_PER_LATENT, Codec, latent_frames
from services.music.acestep.config import ConfigError, VocoderConfig
from services.music.acestep.vocoder import Vocoder
from services.music.acestep.weights_loading import CheckpointMismatch
from services.music.acestep.windows import WindowPlan
from tests.music_acestep import released_sizes
from tests.music_acestep.tiny_checkpoint import tiny_checkpoint_folder

GOLDENS = Path(__file__).parents[1] / "goldens" / "ace_step_v1"


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.from_checkpoint(tiny_checkpoint_folder(), "cpu", torch.float32)


@pytest.fixture(scope="module")
def goldens() -> dict[str, Tensor]:
    return load_file(GOLDENS / "goldens.audio.safetensors")


def random_latents(frames: int, items: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(frames)
    return torch.randn(items, 8, 16, frames, generator=generator)


def assert_close(ours: Tensor, golden: Tensor) -> None:
    assert ours.shape == golden.shape
    assert ((ours - golden).abs() <= 1e-4 * golden.abs().clamp(min=1)).all()


def test_encoded_latents_agree_with_the_golden_ones(codec: Codec, goldens: dict[str, Tensor]) -> None:
    assert_close(codec.encode(goldens["audio/encode_input"]), goldens["audio/encode_latents"])


def test_decoded_mel_and_audio_agree_with_the_golden_ones(codec: Codec, goldens: dict[str, Tensor]) -> None:
    latents = load_file(GOLDENS / "goldens.safetensors")["latents/default"]
    assert_close(codec.decode_mel(latents), goldens["audio/mel"])
    wav = load_file(GOLDENS / "goldens.wav.safetensors")["audio/wav"] / 32768  # kept in 16 bits
    assert_close(codec.decode(latents)[0], wav)


@settings(max_examples=12, deadline=None)
@given(
    samples=st.integers(1, 36 * SAMPLES_PER_LATENT),
    skipped=st.floats(0, 0.99),
    plan=st.builds(WindowPlan, first=st.integers(1, 8), frames=st.integers(2, 40), batch=st.integers(1, 3)),
)
def test_windows_of_any_size_are_the_whole_decode(
    codec: Codec, samples: int, skipped: float, plan: WindowPlan
) -> None:
    latents = random_latents(latent_frames(samples))
    start = int(samples * skipped)
    pcm = torch.cat(list(replace(codec, windows=plan).decode_windows(latents[0], samples, start)), dim=1)
    whole = codec.decode(latents)[0, :, start:samples]
    assert pcm.shape == whole.shape
    assert (pcm - whole).abs().max() < 1e-5


@pytest.mark.parametrize("plan", [WindowPlan(1, 1, 3), WindowPlan(4, 9, 2), WindowPlan(32, 16, 1)])
def test_windows_depend_on_exactly_what_the_whole_depends_on(codec: Codec, plan: WindowPlan) -> None:
    """Stricter than any tolerance: a NaN after the deepest stage spreads as far as it is heard."""

    def spoil(_module: nn.Module, _inputs: object, features: Tensor) -> Tensor:
        return features.index_fill(3, torch.tensor([15]), torch.nan)

    latents = random_latents(31)
    handle = codec.autoencoder.decoder.get_submodule("up_blocks.3.0.conv_out").register_forward_hook(spoil)
    try:
        whole = codec.decode(latents)[0].isnan()
        windows = replace(codec, windows=plan).decode_windows(latents[0], 31 * SAMPLES_PER_LATENT)
        assert torch.equal(torch.cat(list(windows), dim=1).isnan(), whole)
    finally:
        handle.remove()
    assert whole.any()
    assert not whole.all()


def test_windows_shorter_than_their_halo_would_be_heard(codec: Codec) -> None:
    """The tolerance above means something: audio decoded without what follows it is further off than that."""
    latents = random_latents(30)
    cut = codec.decode(latents[..., :20])[0, :, : 18 * SAMPLES_PER_LATENT]
    assert (cut - codec.decode(latents)[0, :, : cut.shape[1]]).abs().max() > 1e-3


@pytest.mark.parametrize("seconds", [0.05, 1.0, 2.345])
def test_a_song_is_as_long_as_asked_to_the_sample(codec: Codec, seconds: float) -> None:
    samples = round(seconds * 44_100)
    latents = random_latents(latent_frames(samples))
    assert sum(pcm.shape[1] for pcm in codec.decode_windows(latents[0], samples)) == samples


def test_thirty_seconds_need_the_frame_that_rounding_down_would_miss() -> None:
    assert latent_frames(30 * 44_100) == 323
    assert 322 * SAMPLES_PER_LATENT < 30 * 44_100 <= 323 * SAMPLES_PER_LATENT


@pytest.fixture
def vocoded(codec: Codec) -> Iterator[list[tuple[int, ...]]]:
    """The shapes of what the vocoder was given, as it happens."""
    shapes: list[tuple[int, ...]] = []
    handle = codec.vocoder.register_forward_pre_hook(lambda _, mels: shapes.append(tuple(mels[0].shape)))
    yield shapes
    handle.remove()


def test_a_window_is_decoded_when_it_is_asked_for(codec: Codec, vocoded: list[tuple[int, ...]]) -> None:
    plan = WindowPlan(first=4, frames=10, batch=2)
    windows = replace(codec, windows=plan).decode_windows(random_latents(54)[0], 54 * SAMPLES_PER_LATENT)
    assert vocoded == []
    assert next(windows).shape == (2, 4 * SAMPLES_PER_LATENT)
    assert len(vocoded) == 1
    assert len(list(windows)) == 5
    assert [items for items, _, _ in vocoded] == [2, 4, 4, 2]  # two channels of one, two, two and one windows


def test_a_longer_song_is_not_decoded_in_larger_pieces(codec: Codec, vocoded: list[tuple[int, ...]]) -> None:
    plan = WindowPlan(first=4, frames=10, batch=2)
    largest = []
    for frames in (44, 84):
        vocoded.clear()
        pcm = replace(codec, windows=plan).decode_windows(
            random_latents(frames)[0], frames * SAMPLES_PER_LATENT
        )
        assert len(list(pcm)) == 1 + (frames - 4) // 10
        largest.append(max(items * length for items, _, length in vocoded))
    assert largest[0] == largest[1]


def test_only_the_windows_of_an_interval_are_decoded(codec: Codec, vocoded: list[tuple[int, ...]]) -> None:
    plan = WindowPlan(first=4, frames=10, batch=2)
    start, stop = 50 * SAMPLES_PER_LATENT + 100, 53 * SAMPLES_PER_LATENT
    list(replace(codec, windows=plan).decode_windows(random_latents(60)[0], stop, start))
    assert len(vocoded) == 1


def test_an_item_of_a_batch_is_decoded_as_it_is_alone(codec: Codec) -> None:
    latents = random_latents(9, items=2)
    torch.testing.assert_close(codec.decode(latents)[1:], codec.decode(latents[1:]), atol=1e-5, rtol=0)


def test_audio_makes_the_round_trip(codec: Codec) -> None:
    pcm = 0.3 * torch.sin(torch.arange(20_000) / 20).expand(1, 2, -1)
    latents = codec.encode(pcm)
    assert latents.shape == (1, 8, 16, 5)
    back = torch.cat(list(codec.decode_windows(latents[0], pcm.shape[-1])), dim=1)
    assert back.shape == pcm.shape[1:]
    assert back.abs().max() <= 1
    assert back.std() > 0


def test_bf16_weights_decode_to_nearly_the_same_audio(codec: Codec) -> None:
    half = Codec.from_checkpoint(tiny_checkpoint_folder(), "cpu", torch.bfloat16)
    latents = random_latents(12)
    exact, rounded = codec.decode(latents), half.decode(latents)
    assert rounded.dtype == torch.float32
    assert torch.linalg.vector_norm(rounded - exact) < 0.1 * torch.linalg.vector_norm(exact)
    again = half.encode(exact)
    assert torch.linalg.vector_norm(again - codec.encode(exact)) < 0.1 * torch.linalg.vector_norm(again)


@pytest.mark.parametrize(
    ("shape", "samples", "start"),
    [
        ((1, 8, 16, 4), 100, 0),
        ((8, 16, 4), 4 * SAMPLES_PER_LATENT + 1, 0),
        ((8, 16, 4), 0, 0),
        ((8, 16, 4), 9, 9),
    ],
)
def test_an_interval_that_the_latents_do_not_hold_is_refused(
    codec: Codec, shape: tuple[int, ...], samples: int, start: int
) -> None:
    with pytest.raises(ValueError, match=r"latents|samples"):
        codec.decode_windows(torch.zeros(shape), samples, start)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    for name in ("music_dcae_f8c8", "music_vocoder"):
        (tmp_path / name).symlink_to(tiny_checkpoint_folder() / "music_vocoder")
    with pytest.raises(ConfigError, match="music_dcae_f8c8"):
        Codec.from_checkpoint(tmp_path, "cpu", torch.float32)
    (tmp_path / "music_dcae_f8c8").unlink()
    (tmp_path / "music_dcae_f8c8").mkdir()
    for source, name in (
        ("music_dcae_f8c8", "config.json"),
        ("music_vocoder", "diffusion_pytorch_model.safetensors"),
    ):
        (tmp_path / "music_dcae_f8c8" / name).symlink_to(tiny_checkpoint_folder() / source / name)
    with pytest.raises(CheckpointMismatch, match="music_dcae_f8c8"):
        Codec.from_checkpoint(tmp_path, "cpu", torch.float32)


def test_a_vocoder_of_another_rate_is_refused(codec: Codec) -> None:
    config = VocoderConfig.from_mapping(released_sizes.NARROW_VOCODER | {"sampling_rate": 48_000})
    with pytest.raises(ConfigError, match="44100"):
        Codec(codec.autoencoder, Vocoder(config))
