"""The transformer against the goldens, and what batching, caching and padding must not change."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from services.music.acestep import tiny_checkpoint, weights_loading
from services.music.acestep.conditioning import Conditioning, CrossAttentionCache
from services.music.acestep.config import TransformerConfig
from services.music.acestep.erg import TAU
from services.music.acestep.rope import Rotation
from services.music.acestep.transformer import Transformer, is_for_training
from tests.music_acestep.tiny_checkpoint import tiny_checkpoint_folder

GOLDENS = Path(__file__).parents[1] / "goldens" / "ace_step_v1"
TIMESTEP_OF_BATCH = 250.0  # of both items of `batch/*`
RELEASED = TransformerConfig(
    num_layers=24,
    num_attention_heads=20,
    attention_head_dim=128,
    inner_dim=2560,
    mlp_ratio=2.5,
    in_channels=8,
    out_channels=8,
    patch_size=(16, 1),
    max_position=32768,
    rope_theta=1e6,
    speaker_embedding_dim=512,
    text_embedding_dim=768,
    lyric_encoder_vocab_size=6693,
    lyric_hidden_size=1024,
)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def model() -> Transformer:
    return Transformer.load(tiny_checkpoint_folder(), "cpu", torch.float32)


@pytest.fixture(scope="module")
def goldens() -> dict[str, Tensor]:
    return load_file(GOLDENS / "goldens.safetensors")


@pytest.fixture(scope="module")
def lyric_ids() -> Tensor:
    case = json.loads((GOLDENS / "goldens.json").read_text())["cases"]["default"]
    return torch.tensor([case["lyric_ids"]])


def assert_golden(ours: Tensor, golden: Tensor) -> None:
    assert ours.shape == golden.shape
    assert ((ours - golden).abs() <= 1e-4 * golden.abs().clamp(min=1)).all()


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def heard(
    model: Transformer, *, text: int, lyrics: int, seed: int, erg: bool = False, ids: Tensor | None = None
) -> Conditioning:
    """One song's conditioning of so many text and lyric tokens."""
    if ids is None:
        ids = torch.randint(3, 6000, (1, lyrics), generator=torch.Generator().manual_seed(seed))
    ones = torch.ones(1, text), torch.ones_like(ids)
    return model.encode(noise(1, text, 32, seed=seed), ones[0], torch.zeros(1, 512), ids, ones[1], erg=erg)


def velocity(
    model: Transformer, latents: Tensor, conditioning: Conditioning, *, weak: bool = False
) -> Tensor:
    erg = torch.full((len(latents),), weak) if weak else None
    return model.velocity(
        latents, torch.full((len(latents),), 700.0), model.precompute(conditioning), erg=erg
    )


# The goldens


def test_the_lyric_encoder_agrees_with_the_golden(
    model: Transformer, goldens: dict[str, Tensor], lyric_ids: Tensor
) -> None:
    assert_golden(model.lyrics(lyric_ids, None, erg=False), goldens["transformer/lyric_encoder"])


def test_conditioning_and_velocity_agree_with_the_goldens(
    model: Transformer, goldens: dict[str, Tensor], lyric_ids: Tensor
) -> None:
    text, mask = goldens["text/hidden"], goldens["text/mask"]
    conditioning = model.encode(text, mask, torch.zeros(1, 512), lyric_ids, torch.ones_like(lyric_ids))
    assert_golden(conditioning.hidden, goldens["transformer/encoder_hidden"])
    assert conditioning.mask is None
    assert goldens["transformer/encoder_mask"].all()
    cache = model.precompute(conditioning)
    ours = model.velocity(goldens["transformer/input"], goldens["transformer/timestep"], cache)
    assert_golden(ours, goldens["transformer/output"])


def test_a_padded_batch_agrees_with_the_golden_when_padding_is_as_released(
    model: Transformer, goldens: dict[str, Tensor]
) -> None:
    g = {name.removeprefix("batch/"): tensor for name, tensor in goldens.items()}
    words = g["text_hidden"], g["text_mask"], torch.zeros(2, 512), g["lyric_ids"], g["lyric_mask"]
    conditioning = model.encode(*words, released_padding=True)
    assert_golden(conditioning.hidden, g["encoder_hidden"])
    ours = model.velocity(
        g["input"],
        torch.full((2,), TIMESTEP_OF_BATCH),
        model.precompute(conditioning),
        g["attention_mask"],
        released_padding=True,
    )
    assert_golden(ours, g["output"])


# Batches


def test_an_item_of_a_padded_batch_equals_the_item_alone(
    model: Transformer, goldens: dict[str, Tensor]
) -> None:
    g = {name.removeprefix("batch/"): tensor for name, tensor in goldens.items()}
    names = ("text_hidden", "text_mask", "lyric_ids", "lyric_mask")
    hidden, text_mask, ids, lyric_mask = (g[name] for name in names)
    timestep = torch.tensor([250.0, 900.0])
    together = model.encode(hidden, text_mask, torch.zeros(2, 512), ids, lyric_mask)
    velocities = model.velocity(g["input"], timestep, model.precompute(together), g["attention_mask"])
    for i in range(2):
        text, lyrics = int(text_mask[i].sum()), int(lyric_mask[i].sum())
        frames = int(g["attention_mask"][i].sum())
        item = slice(i, i + 1)
        alone = model.encode(
            hidden[item, :text],
            text_mask[item, :text],
            torch.zeros(1, 512),
            ids[item, :lyrics],
            lyric_mask[item, :lyrics],
        )
        assert alone.mask is None
        expected = model.velocity(g["input"][item, ..., :frames], timestep[item], model.precompute(alone))
        assert_same(velocities[item, ..., :frames], expected)


def test_what_padding_holds_changes_nothing(model: Transformer) -> None:
    cache = model.precompute(heard(model, text=5, lyrics=9, seed=1))
    mask = torch.tensor([[1] * 20 + [0] * 4])
    quiet, loud = noise(1, 8, 16, 24), noise(1, 8, 16, 24)
    loud[..., 20:] = 1e4
    timestep = torch.tensor([300.0])
    first, second = (model.velocity(x, timestep, cache, mask)[..., :20] for x in (quiet, loud))
    assert torch.equal(first, second)


def test_guided_branches_in_one_batch_equal_branches_one_after_another(model: Transformer) -> None:
    ids = torch.randint(3, 6000, (1, 30), generator=torch.Generator().manual_seed(2))
    branches = [heard(model, text=12, lyrics=30, seed=s, ids=ids, erg=s > 0) for s in range(3)]
    weak = torch.tensor([False, False, True])
    latents, timestep = noise(1, 8, 16, 40), torch.full((3,), 700.0)
    cache = model.precompute(Conditioning.concatenate(branches))
    assert cache.mask is None
    together = model.velocity(latents.expand(3, -1, -1, -1), timestep, cache, erg=weak)
    for i, branch in enumerate(branches):
        assert_same(together[i : i + 1], velocity(model, latents, branch, weak=bool(weak[i])))


def test_caches_of_different_songs_can_be_joined_and_cut(model: Transformer) -> None:
    songs = [heard(model, text=4, lyrics=7, seed=3), heard(model, text=9, lyrics=21, seed=4)]
    caches = [model.precompute(song) for song in songs]
    joined = CrossAttentionCache.concatenate(caches)
    again = model.precompute(Conditioning.concatenate(songs))
    assert joined.mask is not None
    assert again.mask is not None
    assert torch.equal(joined.mask, again.mask)
    latents, timestep = noise(2, 8, 16, 10), torch.full((2,), 700.0)
    velocities = model.velocity(latents, timestep, joined)
    assert_same(velocities, model.velocity(latents, timestep, again))
    for i, song in enumerate(songs):
        item = slice(i, i + 1)
        assert_same(velocities[item], velocity(model, latents[item], song))
        assert_same(velocities[item], model.velocity(latents[item], timestep[item], joined[item]))


def test_a_song_without_lyrics_equals_one_whose_only_lyric_token_is_masked(model: Transformer) -> None:
    text, ones, speaker = noise(1, 6, 32), torch.ones(1, 6), torch.zeros(1, 512)
    none = torch.zeros(1, 0, dtype=torch.int64)
    without = model.encode(text, ones, speaker, none, none)
    masked = model.encode(text, ones, speaker, torch.zeros(1, 1).long(), torch.zeros(1, 1))
    assert without.mask is None
    assert masked.mask is None
    assert_same(masked.hidden, without.hidden)
    released = model.encode(
        text, ones, speaker, torch.zeros(1, 1).long(), torch.zeros(1, 1), released_padding=True
    )
    assert released.mask is not None
    latents = noise(1, 8, 16, 10)
    assert_same(velocity(model, latents, released), velocity(model, latents, without))


# The cache


def test_cached_keys_and_values_equal_attention_computed_from_the_conditioning(model: Transformer) -> None:
    conditioning = heard(model, text=5, lyrics=12, seed=5)
    block = model.blocks[3].cross_attention
    x = noise(1, 7, 32)
    k, v = model.precompute(conditioning).keys[3], model.precompute(conditioning).values[3]
    frames = Rotation.of(7, 16, 1e6, x.device)
    ours = block(x, frames, k, v, None, None, None)

    def by_head(t: Tensor) -> Tensor:
        return t.view(1, -1, 2, 16).transpose(1, 2)

    def turned(t: Tensor, angle: Tensor) -> Tensor:
        partner = torch.stack((-t[..., 1::2], t[..., 0::2]), -1).flatten(-2)
        return t * angle.cos() + partner * angle.sin()

    frequency = 1e6 ** -(torch.arange(0, 16, 2) / 16)
    angles = [torch.outer(torch.arange(n).float(), frequency).repeat(1, 2) for n in (7, 18)]
    query = turned(by_head(block.q(x)), angles[0])
    key = turned(by_head(block.k(conditioning.hidden)), angles[1])
    weights = (query @ key.mT / 4).softmax(-1)
    expected = (weights @ by_head(block.v(conditioning.hidden))).transpose(1, 2).flatten(2)
    assert_same(ours, block.out(expected))


def test_a_cache_outlives_other_songs(model: Transformer) -> None:
    song, other = (heard(model, text=5, lyrics=12, seed=s) for s in (6, 7))
    latents = noise(1, 8, 16, 15)
    cache = model.precompute(song)
    before = model.velocity(latents, torch.tensor([400.0]), cache)
    velocity(model, latents, other, weak=True)
    model.encode(
        noise(1, 5, 32), torch.ones(1, 5), torch.zeros(1, 512), torch.tensor([[5]]), torch.ones(1, 1)
    )
    assert torch.equal(model.velocity(latents, torch.tensor([400.0]), cache), before)


# ERG


def test_erg_weakens_blocks_15_to_19_of_the_items_it_names_and_no_other(model: Transformer) -> None:
    conditioning = heard(model, text=5, lyrics=12, seed=8)
    latents = noise(1, 8, 16, 15)
    plain, weak = velocity(model, latents, conditioning), velocity(model, latents, conditioning, weak=True)
    assert (plain - weak).abs().max() > 0.01
    twin = Transformer.load(tiny_checkpoint_folder(), "cpu", torch.float32)
    for block in twin.blocks[15:20]:
        for tensor in (block.cross_attention.q.weight, block.cross_attention.q.bias):
            tensor.mul_(TAU)
        # Linear attention divides τ out again: scaling it too, as is released, changes nothing.
        block.attention.qkv.weight[:32].mul_(TAU)
        block.attention.qkv.bias[:32].mul_(TAU)
    assert_same(velocity(twin, latents, conditioning), weak)

    both = Conditioning.concatenate([conditioning, conditioning])
    erg, timestep = torch.tensor([True, False]), torch.full((2,), 700.0)
    mixed = model.velocity(latents.expand(2, -1, -1, -1), timestep, model.precompute(both), erg=erg)
    assert_same(mixed, torch.cat((weak, plain)))


def test_erg_weakens_layers_4_and_5_of_the_lyric_encoder(model: Transformer) -> None:
    ids = torch.arange(10, 40)[None]
    twin = Transformer.load(tiny_checkpoint_folder(), "cpu", torch.float32)
    for name, tensor in twin.released_tensors().items():
        if name.startswith(("lyric_encoder.encoders.4.", "lyric_encoder.encoders.5.")) and "linear_q" in name:
            tensor.mul_(TAU)
    weak, plain = (model.lyrics(ids, None, erg=erg) for erg in (True, False))
    assert (weak - plain).abs().max() > 0.01
    assert_same(twin.lyrics(ids, None, erg=False), weak)


# Sizes and types


def test_long_lyrics_are_encoded_in_pieces_that_equal_the_whole(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = torch.randint(3, 6000, (2, 50), generator=torch.Generator().manual_seed(9))
    mask = torch.ones(2, 50, dtype=torch.bool)
    mask[1, 33:] = False
    whole = model.lyrics(ids, mask, erg=False)
    monkeypatch.setattr("services.music.acestep.lyric_encoder.QUERIES", 16)
    assert_same(model.lyrics(ids, mask, erg=False), whole)


def test_other_sizes_than_the_tiny_one_compute(tmp_path: Path) -> None:
    folder = tiny_checkpoint.write(tmp_path, seed=3, heads=3, layers=6)
    model = Transformer.load(folder, "cpu", torch.float32)
    assert model.config.inner_dim == 48
    result = velocity(model, noise(1, 8, 16, 9), heard(model, text=5, lyrics=12, seed=1))
    assert result.shape == (1, 8, 16, 9)
    assert result.isfinite().all()


def test_bfloat16_stays_near_float32_and_keeps_the_type_of_the_latents(model: Transformer) -> None:
    half = Transformer.load(tiny_checkpoint_folder(), "cpu", torch.bfloat16)
    latents = noise(1, 8, 16, 30)
    expected = velocity(model, latents, heard(model, text=5, lyrics=12, seed=1))
    ours = velocity(half, latents, heard(half, text=5, lyrics=12, seed=1))
    assert ours.dtype == torch.float32
    assert torch.linalg.vector_norm(ours - expected) < 0.05 * torch.linalg.vector_norm(expected)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"latents": torch.zeros(1, 8, 15, 4)}, r"\(1, 8, 15, 4\), expected \(B, 8, 16, T\)"),
        ({"latents": torch.zeros(2, 8, 16, 4)}, "2 items of latents, 1 of conditioning, 1 timesteps"),
        ({"timestep": torch.zeros(3)}, "1 items of latents, 1 of conditioning, 3 timesteps"),
        ({"latents": torch.zeros(1, 8, 16, 4097)}, "4097 positions, at most 4096"),
    ],
)
def test_shapes_that_do_not_fit_are_named(model: Transformer, changed: dict[str, Any], message: str) -> None:
    arguments = {"latents": torch.zeros(1, 8, 16, 4), "timestep": torch.zeros(1)} | changed
    with pytest.raises(ValueError, match=message):
        model.velocity(cache=model.precompute(heard(model, text=2, lyrics=2, seed=1)), **arguments)


@pytest.mark.parametrize("wrong", [6693, -1])
def test_a_lyric_id_outside_the_vocabulary_is_refused(model: Transformer, wrong: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 6692"):
        heard(model, text=2, lyrics=2, seed=1, ids=torch.tensor([[5, wrong]]))


def test_all_blocks_share_the_graphs_of_one_whatever_the_length_and_the_batch() -> None:
    model = Transformer.load(tiny_checkpoint_folder(), "cpu", torch.float32)
    twin = Transformer.load(tiny_checkpoint_folder(), "cpu", torch.float32)
    graphs = 0

    def count(graph: torch.fx.GraphModule, _: Sequence[Tensor]) -> Callable[..., Any]:
        nonlocal graphs
        graphs += 1
        return graph.forward

    for block in twin.blocks:
        block.compile(backend=count, dynamic=True, fullgraph=True)
    for frames, items in ((12, 1), (31, 1), (20, 3), (12, 2)):
        songs = Conditioning.concatenate([heard(model, text=5, lyrics=frames, seed=1)] * items)
        latents = noise(items, 8, 16, frames)
        assert_same(velocity(twin, latents, songs), velocity(model, latents, songs))
    assert 0 < graphs <= 2  # for one item, for several


def test_weights_are_the_released_ones_under_their_names(model: Transformer) -> None:
    stored = load_file(tiny_checkpoint_folder() / "ace_step_transformer/diffusion_pytorch_model.safetensors")
    for name, tensor in model.released_tensors().items():
        assert torch.equal(tensor, stored[name]), name
    assert sum(t.numel() for t in model.released_tensors().values()) == sum(
        p.numel() for p in model.parameters()
    )


def test_a_model_of_the_released_size_has_the_released_tensors() -> None:
    shapes = json.loads((GOLDENS / "full_shapes.json").read_text())["ace_step_transformer"]
    with torch.device("meta"):
        model = Transformer(RELEASED)
    weights_loading.check(shapes, model.released_tensors(), unused=is_for_training)
    assert sum(p.numel() for p in model.parameters()) < 2.6e9  # of 3.3
