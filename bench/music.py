"""How fast the engine acestep is, with random weights: `python -m bench.music --size mid --device cpu`.

Times words to conditioning, one step, the whole sampling, decode and MP3; beside them the sampling written
the released way (acestep_plain.py), which must come to the same latents. A table and JSON, with peak memory.
"""

import argparse
import json
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from bench.acestep_plain import PlainTransformer, plain_sample
from bench.acestep_sizes import SIZES, RandomModels, random_models
from services.music.acestep import schedule
from services.music.acestep.branches import Branches, Words, guidance_branches, hear
from services.music.acestep.codec import latent_frames
from services.music.acestep.conditioning import Conditioning
from services.music.acestep.engine import best_device, pcm16
from services.music.acestep.noise import NoiseSource
from services.music.acestep.options import SamplingOptions
from services.music.acestep.sampling import GuidedField, sample
from services.music.engine import SAMPLE_RATE_HZ, Pcm
from services.music.mp3 import Mp3Encoder

T = TypeVar("T")

PROMPT_TOKENS = 60


@dataclass
class Figures:
    size: str
    device: str
    dtype: str
    threads: int
    torch: str
    compiled: bool
    duration_s: float
    steps: int
    tokens: int
    seconds: dict[str, float] = field(default_factory=dict)
    real_time_factor: float = 0.0
    peak_memory_bytes: int = 0
    ratio_to_plain: float | None = None
    difference_to_plain: float | None = None


class Clock:
    """Seconds of a call, the device's work included; the least of several."""

    def __init__(self, device: torch.device, figures: Figures) -> None:
        self._device, self._seconds = device, figures.seconds

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        self._wait()
        began = time.perf_counter()
        result = work()
        self._wait()
        took = time.perf_counter() - began
        self._seconds[name] = min(took, self._seconds.get(name, took))
        return result

    def _wait(self) -> None:
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.music", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--device", default=str(best_device()))
    parser.add_argument("--seconds", type=float, default=30.0, help="of song")
    parser.add_argument("--steps", type=int, default=27)
    parser.add_argument("--tokens", type=int, default=700, help="of conditioning")
    parser.add_argument("--repeat", type=int, default=2, help="samplings in either way; the fastest counts")
    parser.add_argument("--no-plain", action="store_true", help="without the released way")
    parser.add_argument("--compile", action="store_true", help="torch.compile for the transformer's blocks")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    figures = Figures(
        arguments.size, _device_name(device), str(dtype), torch.get_num_threads(), torch.__version__,
        arguments.compile, arguments.seconds, arguments.steps, arguments.tokens,
    )  # fmt: skip
    models = random_models(SIZES[arguments.size], device, dtype)
    if arguments.compile:
        models.transformer.compile_blocks()
    _measure(models, figures, Clock(device, figures), arguments.repeat, plain=not arguments.no_plain)
    print(_table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(figures), indent=2) + "\n")


@torch.no_grad()
def _measure(models: RandomModels, figures: Figures, clock: Clock, repeat: int, *, plain: bool) -> None:
    model, options = models.transformer, SamplingOptions(steps=figures.steps)
    samples = round(figures.duration_s * SAMPLE_RATE_HZ)
    start = NoiseSource([0]).draw(latent_frames(samples)).to(model.device)
    prompt = "x" * (PROMPT_TOKENS - 1)  # and an end: one token per byte
    generator = torch.Generator().manual_seed(0)
    vocabulary = model.config.lyric_encoder_vocab_size
    lyrics = torch.randint(vocabulary, (figures.tokens - 1 - PROMPT_TOKENS,), generator=generator).tolist()

    def conditioned() -> tuple[Words, Branches]:
        words = hear(models.text_encoder, prompt, lyrics, options)
        return words, guidance_branches(model, [words], options)

    def sampled(steps: int) -> Tensor:
        few = SamplingOptions(steps=steps)
        return sample(model, branches, start, few, noise=NoiseSource([0]))

    def step(index: int) -> Tensor:
        sigma = schedule.sigmas(options.steps)[index]
        return GuidedField(model, branches, options)(start, index, sigma)

    def decoded() -> list[Pcm]:
        return [pcm16(b) for b in models.codec.decode_windows(latents[0].to(torch.float16), samples)]

    words, branches = conditioned()
    latents = sampled(2)  # warms up, and compiles
    next(models.codec.decode_windows(latents[0], samples))
    _reset_peak(model.device)
    for _ in range(2):
        clock("words to conditioning", conditioned)
    guided = schedule.guided_steps(options)
    for name, index in {"one plain step": 0, "one guided step": guided.start}.items():
        for _ in range(3):
            clock(name, partial(step, index))
    latents = clock("sampling", lambda: sampled(figures.steps))
    clock("first sound", lambda: next(models.codec.decode_windows(latents[0], samples)))
    pcm = np.concatenate(clock("decode", decoded))
    encoder = Mp3Encoder(samples, b"")
    clock("MP3", lambda: (encoder.encode(pcm), encoder.finish()))
    figures.peak_memory_bytes = _peak(model.device)
    if plain:
        old, pair = PlainTransformer(model), _conditionings(models, words)
        for _ in range(repeat):  # in turn: a machine is slower at one time than at another
            theirs = clock("sampling, the released way", lambda: plain_sample(old, *pair, start, options))
            latents = clock("sampling", lambda: sampled(figures.steps))
        seconds = figures.seconds
        figures.ratio_to_plain = seconds["sampling"] / seconds["sampling, the released way"]
        figures.difference_to_plain = float((latents - theirs).norm() / theirs.norm())
    parts = ("words to conditioning", "sampling", "decode", "MP3")
    figures.real_time_factor = figures.duration_s / sum(figures.seconds[part] for part in parts)


def _conditionings(models: RandomModels, words: Words) -> tuple[Conditioning, Conditioning]:
    """The two branches one by one: with all words, and weakened."""
    model = models.transformer
    ids = torch.tensor([words.lyric_ids], device=model.device)
    speaker = torch.zeros(1, model.config.speaker_embedding_dim, device=model.device)
    assert words.weak_text is not None  # ERG is on by default

    def encoded(text: Tensor, erg: bool) -> Conditioning:
        mask = torch.ones(text.shape[:2], device=model.device)
        return model.encode(text, mask, speaker, ids, torch.ones_like(ids), erg=erg)

    return encoded(words.text, False), encoded(words.weak_text, True)


def _device_name(device: torch.device) -> str:
    return (
        torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or device.type
    )


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> int:
    """Of the device's memory; without one, of the process, weights and libraries included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _table(figures: Figures) -> str:
    f = figures
    head = f"{f.size}, {f.device}, {f.dtype}, {f.threads} threads, torch {f.torch}"
    head += f"{', compiled' if f.compiled else ''}: {f.duration_s:g} s, {f.steps} steps, {f.tokens} tokens"
    rows = [f"  {name:<28}{seconds:>10.3f} s" for name, seconds in f.seconds.items()]
    rows.append(f"  {'real time':<28}{f.real_time_factor:>10.2f} ×  (conditioning, sampling, decode, MP3)")
    rows.append(f"  {'peak memory':<28}{f.peak_memory_bytes / 1e9:>10.2f} GB")
    if f.ratio_to_plain is not None:
        rows.append(f"  {'ours / the released way':<28}{f.ratio_to_plain:>10.3f}")
        rows.append(f"  {'relative difference':<28}{f.difference_to_plain:>10.1e}")
    return "\n".join([head, *rows])


if __name__ == "__main__":
    main()
