"""The conditionings that guidance compares: a song with its words, with some of them, and without.

Knows which branches a set of options needs and in which order they form a batch; not how their velocities are
mixed. Every song is encoded by itself and padded behind its end: its positions do not depend on other songs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from services.music.acestep.conditioning import Conditioning, CrossAttentionCache
from services.music.acestep.options import SamplingOptions
from services.music.acestep.text_encoder import TextEncoder
from services.music.acestep.transformer import Transformer


@dataclass(frozen=True, eq=False)
class Words:
    """What one song is asked to be: its prompt as the text encoder hears it, and the ids of its lyrics."""

    text: Tensor  # (1, L, text width)
    weak_text: Tensor | None  # the same, from the weakened encoder; None where ERG leaves the text alone
    lyric_ids: tuple[int, ...]  # empty for an instrumental


@dataclass(frozen=True, eq=False)
class Branches:
    """Keys and values of all branches of all items: the branch with all words, of every item, comes first."""

    cache: CrossAttentionCache  # (branches · items, …)
    items: int
    # (branches · items,) bool: rows whose attention in the transformer is weakened. None when none is.
    weakened: Tensor | None = None

    @property
    def count(self) -> int:
        return self.cache.batch // self.items

    @property
    def words_only(self) -> CrossAttentionCache:
        """The first branch, as views."""
        return self.cache[: self.items]


def hear(encoder: TextEncoder, prompt: str, lyric_ids: Sequence[int], options: SamplingOptions) -> Words:
    """Raises InvalidField (TOO_LONG) for a prompt of more than 256 tokens."""
    weak = options.guided and options.erg_lyric and options.erg_text
    return Words(
        encoder([prompt])[0],
        encoder([prompt], erg=True)[0] if weak else None,
        tuple(int(i) for i in lyric_ids),
    )


@torch.no_grad()
def guidance_branches(model: Transformer, songs: Sequence[Words], options: SamplingOptions) -> Branches:
    """Of all songs: with text and lyrics; for double condition with the text; where guided with neither.

    With ERG "without lyrics" means through the weakened lyric encoder, and "without text" the weakened text.
    There is no speaker anywhere: the released weights know none.
    """
    conditionings = [_encode(model, song.text, song.lyric_ids) for song in songs]
    weakened = [False] * len(songs)
    if options.double_condition:
        conditionings += [_without_lyrics(model, song.text, song, options) for song in songs]
        weakened += [False] * len(songs)
    if options.guided:
        conditionings += [
            _without_lyrics(model, _without_text(song, options), song, options) for song in songs
        ]
        weakened += [options.erg_diffusion] * len(songs)
    rows = torch.tensor(weakened, device=model.device) if any(weakened) else None
    return Branches(model.precompute(Conditioning.concatenate(conditionings)), len(songs), rows)


@torch.no_grad()
def edit_branches(
    model: Transformer, sources: Sequence[Words], targets: Sequence[Words], options: SamplingOptions
) -> Branches:
    """For a lyric edit, of all songs: the target's words, where guided nothing, then the same for the source.

    As released an edit knows no ERG: nothing means zeros for the text and no lyrics at all.
    """
    conditionings: list[Conditioning] = []
    for songs in (targets, sources):
        conditionings += [_encode(model, song.text, song.lyric_ids) for song in songs]
        if options.guided:
            conditionings += [_encode(model, torch.zeros_like(song.text), ()) for song in songs]
    return Branches(model.precompute(Conditioning.concatenate(conditionings)), len(sources))


def _without_text(song: Words, options: SamplingOptions) -> Tensor:
    # Without ERG for the lyrics the text is left out whole, as released.
    if options.erg_text and options.erg_lyric:
        if song.weak_text is None:
            raise ValueError("these words were heard without ERG: the weakened text is missing")
        return song.weak_text
    return torch.zeros_like(song.text)


def _without_lyrics(model: Transformer, text: Tensor, song: Words, options: SamplingOptions) -> Conditioning:
    if options.erg_lyric:
        return _encode(model, text, song.lyric_ids, erg=True)
    return _encode(model, text, (0,) * len(song.lyric_ids))


def _encode(
    model: Transformer, text: Tensor, lyric_ids: tuple[int, ...], *, erg: bool = False
) -> Conditioning:
    """One song's sequence without padding: (1, 1 + text tokens + lyric tokens, D)."""
    device = model.device
    ids = torch.tensor([lyric_ids], dtype=torch.int64, device=device)
    text_mask = torch.ones(text.shape[:2], dtype=torch.bool, device=device)
    speaker = torch.zeros(1, model.config.speaker_embedding_dim, device=device)
    return model.encode(text.to(device), text_mask, speaker, ids, torch.ones_like(ids), erg=erg)
