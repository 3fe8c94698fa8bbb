"""The engine `acestep`: prompt and lyrics to conditioning, noise to latents, latents to sound.

Knows the order of work and what a listener is told of it; the models are in the modules beside it. Songs
share nothing but the weights.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from services.common.weights import WeightsError, digest_in
from services.music.acestep.branches import Branches, edit_branches, guidance_branches, hear
from services.music.acestep.codec import Codec
from services.music.acestep.config import ConfigError
from services.music.acestep.device_memory import device_memory
from services.music.acestep.lyrics import LyricLine, LyricTokenizer, VocabularyError, lines_of_sections
from services.music.acestep.making import Making
from services.music.acestep.options import SamplingOptions
from services.music.acestep.planning import Plan, Run, plan
from services.music.acestep.state import SongState
from services.music.acestep.stepwise import stepwise
from services.music.acestep.text_encoder import TextEncoder
from services.music.acestep.transformer import Transformer
from services.music.acestep.weights_loading import CheckpointMismatch
from services.music.edit import EDIT_TASKS
from services.music.engine import (
    CHANNELS,
    SAMPLE_RATE_HZ,
    TEXT_TO_MUSIC,
    Audio,
    DeviceMemory,
    EngineBroken,
    EngineCannotStart,
    EngineInfo,
    Event,
    Finished,
    LyricSection,
    Pcm,
    Preview,
    Progress,
    Reading,
    RenderCancelled,
    RenderRequest,
    Started,
)
from services.music.splice import Splice
from services.music.weights import RELEASE

_log = logging.getLogger(__name__)

# Part of every attestation, with the number of steps: change it with anything that changes a sample.
VERSION = "1.0.0"
VOCABULARY_FILE = "lyric_vocab.json"

_FULL_SCALE = 32_767
_WARM_UP = RenderRequest(
    prompt="warm-up", lyrics=(LyricSection("verse", ("la la",)),), language="en", duration_s=5.0, seed=0
)
# How allocators say it that have no exception of their own: CPU, MPS, cuBLAS, and the C++ library.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED", "bad_alloc")
_DEVICE_ERROR = ("CUDA error", "cuDNN error")


@dataclass(frozen=True, eq=False)
class Models:
    """All that a checkpoint folder holds, on one device."""

    transformer: Transformer
    text_encoder: TextEncoder
    codec: Codec
    tokenizer: LyricTokenizer

    @classmethod
    def load(cls, folder: Path, device: torch.device, dtype: torch.dtype) -> Self:
        """Raises ConfigError, CheckpointMismatch and VocabularyError."""
        tokenizer = LyricTokenizer.load(folder / VOCABULARY_FILE)
        transformer = Transformer.load(folder, device, dtype)
        known = transformer.config.lyric_encoder_vocab_size
        if tokenizer.size > known:
            raise VocabularyError(f"{VOCABULARY_FILE} has {tokenizer.size} pieces, the model knows {known}")
        text_encoder = TextEncoder.load(folder, device, dtype)
        return cls(transformer, text_encoder, Codec.from_checkpoint(folder, device, dtype), tokenizer)


class AceStepEngine:
    def __init__(self, models: Models, options: SamplingOptions, weights_digest: str) -> None:
        self._models, self._options = models, options
        self._decode_s = 0.0  # per second of song, as last measured
        version = f"{VERSION}+steps.{options.steps}"
        tasks = (TEXT_TO_MUSIC, *EDIT_TASKS)
        self.info = EngineInfo(
            "acestep", version, ai=True, weights_digest=weights_digest, tasks=tasks, takes_sampling=True
        )

    @classmethod
    def load(cls, folder: Path, steps: int, device: torch.device | None = None) -> Self:
        """The engine of a checkpoint folder, by default on the best device that there is.

        Raises:
            EngineCannotStart: the folder holds no weights, or those of something else.
            services.common.errors.InvalidField: steps out of their limits.
        """
        options = SamplingOptions(steps=steps)
        device = device or best_device()
        began = time.monotonic()
        try:
            digest = digest_in(folder, RELEASE)
            with _room_to_start(device):
                models = Models.load(
                    folder, device, torch.bfloat16 if device.type == "cuda" else torch.float32
                )
        except WeightsError as error:
            raise EngineCannotStart(str(error)) from None
        except (ConfigError, CheckpointMismatch, VocabularyError) as error:
            hint = f"run: {RELEASE.command} fetch {folder}"
            raise EngineCannotStart(f"{error}; {hint}") from None
        load_s = round(time.monotonic() - began, 1)
        extra = {"weights_digest": digest, "device": str(device), "load_s": load_s}
        _log.info("weights loaded", extra=extra)
        return cls(models, options, digest)

    def warm_up(self) -> None:
        """A guided and a plain step of a short song, and its decode: the first song finds all ready.

        Raises:
            EngineCannotStart: not even that fits into the device's memory.
        """
        with _room_to_start(self._models.transformer.device):
            for _ in self._rendered(_WARM_UP, replace(self._options, steps=2), lambda: False):
                pass

    def memory(self) -> DeviceMemory | None:
        return device_memory(self._models.transformer.device)

    def render(self, request: RenderRequest, cancelled: Callable[[], bool]) -> Iterator[Event]:
        with _named_errors():
            yield from self._rendered(request, self._options, cancelled)

    def _rendered(
        self, request: RenderRequest, options: SamplingOptions, cancelled: Callable[[], bool]
    ) -> Iterator[Event]:
        todo, source = plan(request, options.overridden(request.sampling))
        if todo.samples != request.samples:
            raise AssertionError(f"a plan of {todo.samples} samples for {request.samples}")
        lyric_ids = self._lyric_ids(request.prompt, request.lyrics, request.language)
        yield Started(request.samples)
        yield Progress("composing", 0, 1)
        branches = self._heard(request, lyric_ids, todo) if todo.run else None
        yield Progress("composing", 1, 1)
        if cancelled():
            raise RenderCancelled
        pcm = request.source.pcm if request.source else np.empty((0, CHANNELS), np.int16)
        splice = Splice(pcm, todo.offset, todo.samples, todo.new)
        if todo.run and branches:
            foreseen = splice if request.preview else None
            latents = yield from self._sampled(todo, todo.run, branches, foreseen, cancelled)
            making = Making(request.prompt, request.lyrics, request.language, todo.options, todo.seeds)
            state = SongState.of(latents[0], todo.samples, start=todo.start, making=making.to_bytes())
        elif source:
            state = source
        else:
            raise AssertionError("a song of nothing, from nothing")
        yield from map(Audio, self._sounded(state, splice, cancelled))
        yield Finished(state.to_bytes(), Reading())

    def _lyric_ids(self, prompt: str, lyrics: tuple[LyricSection, ...], language: str) -> tuple[int, ...]:
        """None for an instrumental. Raises InvalidField, without a model, for what the model cannot take."""
        self._models.text_encoder.tokens([prompt])
        lines = lines_of_sections((section.tag, _lines_of(section)) for section in lyrics)
        return self._models.tokenizer.encode(lines, language=language, field="lyrics").ids

    def _heard(self, request: RenderRequest, lyric_ids: tuple[int, ...], todo: Plan) -> Branches:
        """The request's words as the model hears them, beside the source's for a lyric edit."""
        model, encoder = self._models.transformer, self._models.text_encoder
        target = hear(encoder, request.prompt, lyric_ids, todo.options)
        if (source := todo.source_words) is None:
            return guidance_branches(model, [target], todo.options)
        source_ids = self._lyric_ids(source.prompt, source.lyrics, source.language)
        words = hear(encoder, source.prompt, source_ids, todo.options)
        return edit_branches(model, [words], [target], todo.options)

    def _sampled(
        self,
        todo: Plan,
        run: Run,
        branches: Branches,
        foreseen: Splice | None,
        cancelled: Callable[[], bool],
    ) -> Generator[Event, None, Tensor]:
        """Latents (1, 8, 16, T); the time left is told from the steps measured so far and the last decode.

        With `foreseen` the song as it is predicted at the plan's `preview_step` is heard there.
        """
        model, costs = self._models.transformer, todo.costs(branches.count)
        new_s = sum(map(len, todo.new)) / SAMPLE_RATE_HZ
        preview_step = todo.preview_step(len(costs)) if foreseen else 0
        _wait(model.device)  # for the conditioning, which belongs to no step
        yield Progress("rendering", 0, len(costs))
        began = time.monotonic()
        steps = stepwise(lambda on_step: run(model, branches, on_step))
        try:
            while True:
                done, total, clean = next(steps)
                _wait(model.device)  # else a GPU is behind: times would be wrong and cancelling late
                if cancelled():
                    raise RenderCancelled
                per_cost_s = (time.monotonic() - began) / sum(costs[:done])
                decodes = 2 if done <= preview_step else 1
                eta_s = per_cost_s * sum(costs[done:]) + self._decode_s * new_s * decodes
                yield Progress("rendering", done, total, eta_s)
                if foreseen and done == preview_step:
                    paused = time.monotonic()
                    state = SongState.of(clean[0], todo.samples, start=todo.start)
                    yield from map(Preview, self._sounded(state, foreseen, cancelled))
                    began += time.monotonic() - paused  # which belongs to no step
        except StopIteration as end:
            latents: Tensor = end.value
            return latents
        finally:
            steps.close()

    def _sounded(self, state: SongState, splice: Splice, cancelled: Callable[[], bool]) -> Iterator[Pcm]:
        """The source's samples where they are kept, between them what the latents sound like."""
        worked_s, decoded = 0.0, 0
        for piece in splice.pieces():
            if piece.kept:
                pcm = splice.kept(piece)
                for at in range(0, len(pcm), SAMPLE_RATE_HZ):
                    yield pcm[at : at + SAMPLE_RATE_HZ]
                    if cancelled():
                        raise RenderCancelled
                continue
            first, last = state.start + piece.start, state.start + piece.stop
            blocks, at = self._models.codec.decode_windows(state.latents, last, first), piece.start
            while at < piece.stop:
                began = time.monotonic()
                block = splice.joined(pcm16(next(blocks)), at, piece)
                worked_s += time.monotonic() - began  # without the time that the listener takes
                at += len(block)
                decoded += len(block)
                yield block
                if cancelled():
                    raise RenderCancelled
        if decoded:
            self._decode_s = worked_s / (decoded / SAMPLE_RATE_HZ)


def best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def pcm16(block: Tensor) -> Pcm:
    """(2, n) samples of −1 … 1 to (n, 2) 16-bit PCM: to the nearest, halves to even, clipped."""
    scaled = (block.float().clamp(-1, 1) * _FULL_SCALE).round().to(torch.int16)
    return scaled.T.contiguous().cpu().numpy()


def _lines_of(section: LyricSection) -> list[LyricLine]:
    languages = section.languages or ("",) * len(section.lines)
    return [LyricLine(text, language) for text, language in zip(section.lines, languages, strict=True)]


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


@contextmanager
def _room_to_start(device: torch.device) -> Iterator[None]:
    try:
        with _named_errors():
            yield
    except MemoryError as error:
        raise EngineCannotStart(f"the model does not fit into the memory of {device}") from error


@contextmanager
def _named_errors() -> Iterator[None]:
    """Torch's errors as the interface names them: no memory for this song, or a device that is done for."""
    try:
        yield
    except RuntimeError as error:  # OutOfMemoryError and AcceleratorError too
        text = str(error)
        if isinstance(error, torch.OutOfMemoryError) or any(said in text for said in _OUT_OF_MEMORY):
            raise MemoryError("the song does not fit into the device's memory") from error
        if isinstance(error, torch.AcceleratorError) or any(said in text for said in _DEVICE_ERROR):
            raise EngineBroken("the device failed") from error
        raise
