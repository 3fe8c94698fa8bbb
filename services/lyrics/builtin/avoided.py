"""The words that a song must not say, in any of their forms.

Knows how to find them in a text. Chooses nothing.
"""

from collections.abc import Iterable

from services.lyrics import pronunciation
from services.lyrics.inflections import forms


class Avoided:
    """Words and phrases to keep out; false when there are none."""

    def __init__(self, phrases: Iterable[str]) -> None:
        split = [tuple(forms(word) for word in pronunciation.words(phrase)) for phrase in phrases]
        self._words = frozenset(word for phrase in split if len(phrase) == 1 for word in phrase[0])
        self._phrases = [phrase for phrase in split if len(phrase) > 1]

    def __bool__(self) -> bool:
        return bool(self._words or self._phrases)

    def in_text(self, text: str) -> bool:
        """Whether the text says one of them."""
        if not self:
            return False
        said = pronunciation.words(text)
        return not self._words.isdisjoint(said) or any(
            all(word in known for word, known in zip(said[i:], phrase, strict=False))
            for phrase in self._phrases
            for i in range(len(said) - len(phrase) + 1)
        )
