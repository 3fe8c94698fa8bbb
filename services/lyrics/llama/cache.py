"""Keys and values of all songs in a batch, a row each, in memory that is taken once.

Knows rows and positions. What a row may see is the attention mask's business; what stands behind a row's
length is left over and masked.
"""

from typing import Any

import torch
from torch import Tensor


class RowCache:
    """Stands where transformers' models expect their cache: they call `update`, layer by layer."""

    def __init__(
        self, config: Any, rows: int, capacity: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (rows, config.num_key_value_heads, capacity, head_dim)
        # zeros, not empty: what is masked is multiplied by 0, and 0 × NaN is NaN
        self._pairs = [
            (torch.zeros(shape, device=device, dtype=dtype), torch.zeros(shape, device=device, dtype=dtype))
            for _ in range(config.num_hidden_layers)
        ]
        self._rows = torch.arange(rows, device=device)
        self._first, self._reach, self._positions = 0, 0, self._rows[:0, None]

    def aim(self, first: int, positions: Tensor, reach: int) -> None:
        """Says what the next forward is of: rows from `first`, tokens at `positions` (rows, tokens).

        It sees the first `reach` positions.
        """
        self._first, self._positions, self._reach = first, positions, reach

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object) -> tuple[Tensor, Tensor]:
        """Stores (rows, heads, tokens, head_dim); returns what is seen, (rows, heads, reach, head_dim)."""
        rows = slice(self._first, self._first + len(keys))
        seen = []
        for store, new in zip(self._pairs[layer], (keys, values), strict=True):
            store[self._rows[rows, None], :, self._positions] = new.transpose(1, 2)
            seen.append(store[rows, :, : self._reach])
        return seen[0], seen[1]

    def move(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` positions of a row over another."""
        for pair in self._pairs:
            for store in pair:
                store[target, :, :length] = store[source, :, :length]
