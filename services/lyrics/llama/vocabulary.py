"""Which tokens may come where in a lyric: the constraint, as masks over the tokenizer's vocabulary.

Knows what each token says. Knows no song: a draft says which of the masks is in force.
"""

import unicodedata
from collections.abc import Iterable
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor

from services.lyrics.llama.options import CannotStart

_BRACKETS = set("[]{}<>#*_|")


class Place(IntEnum):
    """Where in a song the next token stands."""

    # anything that a model may say, also the end of the song
    FREE = 0
    # a line without words yet: words only
    LINE_START = 1
    # a line with words: words, or its end
    IN_LINE = 2
    # the last line of a section: its end may be a blank line
    LAST_LINE = 3
    # a line that is long enough: its end only
    LINE_FULL = 4
    # behind a word that was given: it ends there
    AFTER_WORD = 5


class Vocabulary:
    """`masks` (2 × places, vocabulary) are bool; rows from `len(Place)` on also hold parts of characters."""

    def __init__(self, tokenizer: Any, size: int, device: torch.device) -> None:
        self._tokenizer = tokenizer
        known = len(tokenizer)
        texts = tokenizer.batch_decode([[i] for i in range(known)], clean_up_tokenization_spaces=False)
        special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
        self.end_tokens = frozenset(i for i in special if texts[i] in _ENDS) | {tokenizer.eos_token_id}

        def mask(tokens: Iterable[int]) -> Tensor:
            row = torch.zeros(size, dtype=torch.bool)
            row[list(tokens)] = True
            return row

        plain = [i for i in range(known) if i not in special and _is_plain(texts[i])]
        ends = [i for i in plain if "\n" in texts[i]]
        bare = [i for i in ends if not texts[i].strip()]
        text = [i for i in plain if "\n" not in texts[i] and not _BRACKETS & set(texts[i])]
        single = [i for i in ends if texts[i].count("\n") == 1 and not _BRACKETS & set(texts[i])]
        double = [i for i in ends if texts[i].count("\n") <= 2 and not _BRACKETS & set(texts[i])]
        full = [i for i in bare if texts[i].count("\n") == 1]
        if not full or not text:
            raise CannotStart("the tokenizer has no token that ends a line")
        whole = {
            Place.FREE: [*plain, *self.end_tokens],
            Place.LINE_START: [i for i in text if texts[i].strip()],
            Place.IN_LINE: [*text, *single],
            Place.LAST_LINE: [*text, *double],
            Place.LINE_FULL: full,
            Place.AFTER_WORD: [i for i in [*text, *single] if texts[i][0] in " ,.!?\n"],
        }
        parts = [
            i for i in range(known) if i not in special and "\ufffd" in texts[i] and "\n" not in texts[i]
        ]
        closed = {Place.LINE_FULL, Place.AFTER_WORD}
        rows = [mask(whole[place]) for place in Place]
        rows += [mask(whole[place] if place in closed else [*whole[place], *parts]) for place in Place]
        self.masks = torch.stack(rows).to(device)
        # what the repetition penalty passes over: line ends and punctuation repeat in every song
        self.words = mask(i for i in text if any(c.isalnum() for c in texts[i])).to(device)

    def encode(self, text: str) -> list[int]:
        """Tokens of text as it stands in a song."""
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return tokens

    def decode(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, clean_up_tokenization_spaces=False)
        return text

    def chat(self, messages: list[dict[str, str]], answer: str) -> list[int]:
        """Tokens of a chat whose answer begins with `answer`."""
        asked: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return self.encode(asked + answer)


_ENDS = {"<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"}


def _is_plain(text: str) -> bool:
    """Whole characters that can be sung or end a line, line ends last."""
    if not text or "\ufffd" in text or "\n" in text.rstrip("\n"):
        return False
    return all(c == "\n" or unicodedata.category(c)[0] not in "CZ" or c == " " for c in text)
