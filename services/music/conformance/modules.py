"""Recorded outputs of single modules against ours, each from the recorded input.

What the file does not say of its inputs (a timestep, scales, which case's words) is what the released
goldens were made with; it is written here once.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from services.music.acestep import guidance, schedule
from services.music.acestep.codec import SAMPLES_PER_LATENT, Codec
from services.music.acestep.conditioning import Conditioning
from services.music.acestep.log_mel import LogMel
from services.music.acestep.text_encoder import TextEncoder
from services.music.acestep.transformer import Transformer
from services.music.conformance.comparison import Measure, Row, compare, failed
from services.music.conformance.goldens import Goldens

APG_SCALE, CFG_STAR_SCALE = 15.0, 4.0
SECOND_COND, SECOND_UNCOND = 0.9, 1.1
"""APG's second call hears the first one's predictions by these factors, so that its momentum shows."""
BATCH_TIMESTEP = 250.0
WORDS_CASE = "default"
"""The case whose words the `text/` and `transformer/` tensors are of, and whose latents were decoded."""

INPUTS = frozenset(
    {"audio/encode_input", "guidance/cond", "guidance/uncond", "transformer/input", "transformer/timestep"}
    | {f"batch/{name}" for name in ("attention_mask", "input", "text_hidden", "text_mask")}
    | {"batch/lyric_ids", "batch/lyric_mask"}
)

Answer = Callable[[], Tensor]


def check_modules(
    goldens: Goldens, model: Transformer, text_encoder: TextEncoder, codec: Codec
) -> Iterator[Row]:
    """One row for every recorded tensor but inputs and latents; one that nothing answers for disagrees."""
    answers = (
        _guidance(goldens.tensors)
        | _text(goldens, text_encoder)
        | _transformer(goldens, model)
        | _batch(goldens.tensors, model)
        | _audio(goldens, codec)
    )
    with torch.no_grad():
        for name, golden in goldens.tensors.items():
            if name in INPUTS or name.startswith("latents/"):
                continue
            answer = answers.get(name) or _schedule(name)
            if answer is None:
                yield failed(name, Measure.MAX, "nothing of ours answers for it")
                continue
            try:
                yield compare(name, answer(), golden, Measure.MAX)
            except KeyError as missing:
                yield failed(name, Measure.MAX, f"its input {missing} is not recorded")
            except (ValueError, RuntimeError) as error:  # inputs that do not fit this checkpoint
                yield failed(name, Measure.MAX, str(error))


def load(checkpoint: Path, device: torch.device) -> tuple[Transformer, TextEncoder, Codec]:
    """All models of a checkpoint in float32. Raises ConfigError and CheckpointMismatch."""
    kind = torch.float32
    return (
        Transformer.load(checkpoint, device, kind),
        TextEncoder.load(checkpoint, device, kind),
        Codec.from_checkpoint(checkpoint, device, kind),
    )


def _schedule(name: str) -> Answer | None:
    match = re.fullmatch(r"schedule/(sigmas|timesteps)_(\d+)", name)
    if match is None:
        return None
    kind, sigmas = match[1], schedule.sigmas(int(match[2]))
    numbers = sigmas if kind == "sigmas" else [schedule.timestep(sigma) for sigma in sigmas[:-1]]
    return lambda: torch.tensor(numbers)


def _guidance(tensors: Mapping[str, Tensor]) -> dict[str, Answer]:
    def pair() -> tuple[Tensor, Tensor]:
        return tensors["guidance/cond"], tensors["guidance/uncond"]

    def second() -> Tensor:
        cond, uncond = pair()
        _, average = guidance.apg(cond, uncond, APG_SCALE, None)
        return guidance.apg(SECOND_COND * cond, SECOND_UNCOND * uncond, APG_SCALE, average)[0]

    return {
        "guidance/apg_first": lambda: guidance.apg(*pair(), APG_SCALE, None)[0],
        "guidance/apg_second": second,
        "guidance/cfg_star": lambda: guidance.cfg_zero_star(*pair(), CFG_STAR_SCALE, zero=False),
    }


def _text(goldens: Goldens, text_encoder: TextEncoder) -> dict[str, Answer]:
    def prompt() -> list[str]:
        return [goldens.cases[WORDS_CASE].prompt]

    return {
        "text/hidden": lambda: text_encoder(prompt())[0],
        "text/hidden_weak": lambda: text_encoder(prompt(), erg=True)[0],
        "text/mask": lambda: text_encoder(prompt())[1].long(),
    }


def _transformer(goldens: Goldens, model: Transformer) -> dict[str, Answer]:
    tensors, device = goldens.tensors, model.device

    def lyrics() -> Tensor:
        return torch.tensor([goldens.cases[WORDS_CASE].lyric_ids], device=device)

    def encoded() -> Conditioning:
        ids = lyrics()
        text, mask = tensors["text/hidden"].to(device), tensors["text/mask"].to(device)
        speaker = torch.zeros(1, model.config.speaker_embedding_dim, device=device)
        return model.encode(text, mask, speaker, ids, torch.ones_like(ids))

    def output() -> Tensor:
        hidden, mask = tensors["transformer/encoder_hidden"], tensors["transformer/encoder_mask"]
        cache = model.precompute(Conditioning(hidden.to(device), mask.bool().to(device)))
        return model.velocity(
            tensors["transformer/input"].to(device), tensors["transformer/timestep"].to(device), cache
        )

    return {
        "transformer/lyric_encoder": lambda: model.lyrics(lyrics(), None, erg=False),
        "transformer/encoder_hidden": lambda: encoded().hidden,
        "transformer/encoder_mask": lambda: encoded().full_mask().float(),
        "transformer/output": output,
    }


def _batch(tensors: Mapping[str, Tensor], model: Transformer) -> dict[str, Answer]:
    """A padded batch as the released code runs it: padding is heard, which ours does on request only."""

    def of(name: str) -> Tensor:
        return tensors[f"batch/{name}"].to(model.device)

    def encoded() -> Conditioning:
        speaker = torch.zeros(len(of("input")), model.config.speaker_embedding_dim, device=model.device)
        return model.encode(
            of("text_hidden"),
            of("text_mask"),
            speaker,
            of("lyric_ids"),
            of("lyric_mask"),
            released_padding=True,
        )

    def output() -> Tensor:
        latents = of("input")
        timestep = torch.full((len(latents),), BATCH_TIMESTEP, device=model.device)
        cache = model.precompute(encoded())
        return model.velocity(latents, timestep, cache, of("attention_mask"), released_padding=True)

    return {"batch/encoder_hidden": lambda: encoded().hidden, "batch/output": output}


def _audio(goldens: Goldens, codec: Codec) -> dict[str, Answer]:
    tensors = goldens.tensors

    def latents() -> Tensor:
        return tensors[f"latents/{WORDS_CASE}"]

    def pcm() -> Tensor:
        return tensors["audio/encode_input"]

    return {
        "audio/encode_mel": lambda: LogMel.of(codec.vocoder.config)(pcm()),
        "audio/encode_latents": lambda: codec.encode(pcm()),
        # The released code counts whole frames only, though it encodes the last one too.
        "audio/encode_lengths": lambda: torch.tensor([pcm().shape[-1] // SAMPLES_PER_LATENT] * len(pcm())),
        "audio/mel": lambda: codec.decode_mel(latents()),
        "audio/wav": lambda: codec.decode(latents())[0],
    }
