"""The engine `llama`: a brief to a plan and a prompt, and what the model writes to events.

Knows the order of work; model, constraint and thread are in the modules beside it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from importlib.metadata import version

import torch

from services.common.errors import FailedPrecondition
from services.lyrics import structure
from services.lyrics.engine import Brief, Event, Finished, LyricistInfo
from services.lyrics.llama import checkpoint, prompt
from services.lyrics.llama.batch import MAX_PROMPT_TOKENS, Batch
from services.lyrics.llama.draft import NAME, Draft
from services.lyrics.llama.inference import Inference
from services.lyrics.llama.options import CannotStart, LlamaOptions
from services.lyrics.llama.vocabulary import Vocabulary

# Change it with anything that changes a word: prompt, constraint, sampling.
VERSION = "1.0.0"
NOTICE = (
    "Written by AI: Llama-Song-Stream-3B-Instruct by prithivMLmods (Apache-2.0). Built with Llama. "
    "Llama 3.2 is licensed under the Llama 3.2 Community License, "
    "Copyright © Meta Platforms, Inc. All Rights Reserved."
)
_USUAL_TEMPO_BPM = 100.0


class LlamaEngine:
    """Songs of many calls in one batch. `load` takes long, `close` ends the thread."""

    def __init__(
        self,
        loaded: checkpoint.Checkpoint,
        options: LlamaOptions,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        self._options, self.checkpoint = options, loaded
        self._vocabulary = Vocabulary(loaded.tokenizer, loaded.model.config.vocab_size, loaded.device)
        batch = Batch(loaded, self._vocabulary, options.sampling, options.batch, options.max_new_tokens)
        longest = loaded.model.config.max_position_embeddings
        if batch.capacity > longest:
            raise CannotStart(f"LYRICS_MAX_NEW_TOKENS is more than the model's context of {longest} holds")
        self._inference = Inference(batch, on_death)
        form = "constrained" if options.constrained else "free"
        self.info = LyricistInfo(
            NAME,
            f"{VERSION}+{form}.transformers.{version('transformers')}",
            ai=True,
            languages=frozenset(options.languages),
            weights_digest=loaded.weights_digest,
            # In bfloat16 sums of another order give other words now and then.
            replayable=loaded.dtype is torch.float32,
            notice=NOTICE,
        )
        self._inference.start()

    @classmethod
    def load(cls, options: LlamaOptions, on_death: Callable[[], None] = lambda: None) -> "LlamaEngine":
        """The engine of a checkpoint folder. `on_death` is called from its thread, should that die.

        Raises:
            CannotStart: no weights, no such device, or a language that the model does not write.
        """
        if unknown := sorted(set(options.languages) - prompt.LANGUAGES):
            known = ", ".join(sorted(prompt.LANGUAGES))
            raise CannotStart(f"LYRICS_LANGUAGES has {', '.join(unknown)}; the model may write {known}")
        loaded = checkpoint.load(options.weights, options.device, options.dtype)
        return cls(loaded, options, on_death)

    @property
    def busy(self) -> int:
        """Songs in the batch, and those that wait for it."""
        return self._inference.busy

    def close(self) -> None:
        self._inference.close()

    async def write(self, brief: Brief) -> AsyncGenerator[Event, None]:
        """See `Engine.write`. Raises Unavailable ENGINE_DIED too."""
        job = self._inference.submit(await asyncio.to_thread(self._draft, brief))
        try:
            while True:
                item = await job.items.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
                if isinstance(item, Finished):
                    return
        finally:
            self._inference.cancel(job)

    def _draft(self, brief: Brief) -> Draft:
        plan = structure.plan(brief, brief.tempo_bpm or _USUAL_TEMPO_BPM)
        options = self._options
        draft = Draft(
            brief,
            plan,
            self._vocabulary,
            constrained=options.constrained,
            max_new_tokens=options.max_new_tokens,
        )
        if draft.prompt_tokens > MAX_PROMPT_TOKENS:
            message = f"the brief has {draft.prompt_tokens} tokens; the engine reads {MAX_PROMPT_TOKENS}"
            raise FailedPrecondition("BRIEF_UNMET", message, metadata={"field": "theme"})
        return draft
