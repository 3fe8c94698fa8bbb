"""Songs that a model writes together, one token each at a time: continuous batching over one cache.

Knows rows. A song joins between two steps, after its prompt was read on its own, and leaves as soon as it
ends: the others go on.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from services.lyrics.llama.cache import RowCache
from services.lyrics.llama.checkpoint import Checkpoint
from services.lyrics.llama.draft import Draft
from services.lyrics.llama.options import Sampling
from services.lyrics.llama.sampling import draw, noise_key
from services.lyrics.llama.vocabulary import Vocabulary

MAX_PROMPT_TOKENS = 3072  # the longest brief that the contract allows has some 2,500
# Of a prompt in one go: the songs that are being written wait for it.
_PROMPT_CHUNK = 128
_GIVEN_TOKENS = 1024  # headings and words that are given, beside what is drawn


@dataclass(eq=False)
class Row:
    """A song in the batch; the first `fed` tokens of its context are in the cache."""

    draft: Draft
    fed: int = 0
    error: Exception | None = field(default=None)

    @property
    def over(self) -> bool:
        return self.draft.done or self.error is not None


class Batch:
    """At most `size` songs. Not for two threads at once."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        vocabulary: Vocabulary,
        sampling: Sampling,
        size: int,
        max_new_tokens: int,
    ) -> None:
        self._model, self._vocabulary, self._sampling, self.size = (
            checkpoint.model,
            vocabulary,
            sampling,
            size,
        )
        self._device = checkpoint.device
        self.capacity = MAX_PROMPT_TOKENS + _GIVEN_TOKENS + max_new_tokens
        config = self._model.config
        self._cache = RowCache(config, size, self.capacity, self._device, checkpoint.dtype)
        self._had = torch.zeros(size, config.vocab_size, dtype=torch.bool, device=self._device)
        # The cache's rows: those that write, and behind them the one whose prompt is being read.
        self._rows: list[Row] = []
        self._newcomer: Row | None = None

    @property
    def rows(self) -> list[Row]:
        return [*self._rows, self._newcomer] if self._newcomer else list(self._rows)

    @property
    def takes_one(self) -> bool:
        """Whether there is room, and no other song is on its way in."""
        return self._newcomer is None and len(self._rows) < self.size

    def join(self, draft: Draft) -> Row:
        if not self.takes_one:
            raise AssertionError("the batch is full")
        self._newcomer = Row(draft)
        return self._newcomer

    def leave(self, row: Row) -> None:
        """Takes a song out; the last rows move into the gap."""
        if row is self._newcomer:
            self._newcomer = None
            return
        at, last = self._rows.index(row), len(self._rows) - 1
        if at < last:
            self._move(last, at, self._rows[last].fed)
            self._rows[at] = self._rows[last]
        self._rows.pop()
        if self._newcomer:
            self._move(last + 1, last, self._newcomer.fed)

    @torch.inference_mode()
    def step(self) -> None:
        """Reads on in a prompt, and takes every song that writes one token further."""
        if self._newcomer:
            self._read_prompt(self._newcomer)
        if self._rows:
            self._write()

    def _read_prompt(self, row: Row) -> None:
        ahead = row.draft.context[row.fed : len(row.draft.context) - 1][:_PROMPT_CHUNK]
        if ahead:
            self._forward(len(self._rows), [ahead], [row.fed])
            row.fed += len(ahead)
        if row.fed == len(row.draft.context) - 1:
            self._had[len(self._rows)] = False
            self._rows.append(row)
            self._newcomer = None

    def _write(self) -> None:
        rows = self._rows
        logits = self._forward(0, [[row.draft.context[row.fed]] for row in rows], [row.fed for row in rows])
        for row in rows:
            row.fed += 1
        # who is given tokens (a heading, a word that is due) draws none yet
        drawing = [i for i, row in enumerate(rows) if row.fed == len(row.draft.context)]
        if not drawing:
            return
        masks = torch.tensor([rows[i].draft.mask for i in drawing], device=self._device)
        keys = [noise_key(rows[i].draft.seed, rows[i].draft.draws) for i in drawing]
        at = torch.tensor(drawing, device=self._device)
        allowed = self._vocabulary.masks[masks]
        chosen = draw(logits[at], allowed, self._had[at], keys, self._sampling)
        self._had[at, torch.tensor(chosen, device=self._device)] = True
        self._had[at] &= self._vocabulary.words
        for i, token in zip(drawing, chosen, strict=True):
            self._take(i, token)

    def _take(self, at: int, token: int) -> None:
        row = self._rows[at]
        draft, before = row.draft, len(row.draft.context)
        try:
            kept = draft.take(token)
        except Exception as error:  # this song's own: the others go on
            row.error = error
            return
        # one token is always to be fed: its logits are where the next one comes from
        row.fed = min(row.fed, kept, len(draft.context) - 1)
        if kept < before or len(draft.context) != before + 1:
            song = torch.tensor(draft.context[draft.prompt_tokens :], dtype=torch.long, device=self._device)
            self._had[at] = False
            self._had[at, song] = True
            self._had[at] &= self._vocabulary.words

    def _forward(self, first: int, tokens: list[list[int]], starts: list[int]) -> Tensor:
        """Logits (rows, vocabulary) behind the last of `tokens`: as many in each row, from `starts` on."""
        ids = torch.tensor(tokens, device=self._device)
        start = torch.tensor(starts, device=self._device)
        positions = start[:, None] + torch.arange(ids.shape[1], device=self._device)
        reach = max(starts) + ids.shape[1]
        seen = torch.arange(reach, device=self._device)[None, None, None, :] <= positions[:, None, :, None]
        self._cache.aim(first, positions, reach)
        logits: Tensor = self._model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=seen,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        return logits

    def _move(self, source: int, target: int, length: int) -> None:
        self._cache.move(source, target, length)
        self._had[target] = self._had[source]
