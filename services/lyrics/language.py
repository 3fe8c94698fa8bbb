"""Whether a text is English: enough to know if its rhymes can be judged by an English dictionary.

Knows common English words. Names no other language.
"""

from collections.abc import Iterable

from services.lyrics import pronunciation

_COMMON = frozenset(
    ["the", "and", "you", "i", "a", "to", "of", "my", "me", "it", "is", "in", "on", "your", "for",
     "be", "that", "we", "so", "all", "but", "with", "this", "are", "was", "not", "no", "just",
     "like", "when", "what", "do", "if", "at", "can", "have", "i'm", "it's", "don't", "know", "now",
     "oh", "love", "up", "down", "out", "from", "her", "him", "they", "their", "our"]
)  # fmt: skip
# Lyrics are full of names and vocables: most words known, and one in eight among the commonest.
_KNOWN_SHARE, _COMMON_SHARE = 0.8, 0.125


def is_english(lines: Iterable[str]) -> bool:
    """True when most words are in the dictionary and enough of them are the commonest English ones."""
    words = [word for line in lines for word in pronunciation.words(line) if not word.isdigit()]
    if not words:
        return False
    known = sum(pronunciation.is_known(word) for word in words)
    common = sum(word in _COMMON for word in words)
    return known >= _KNOWN_SHARE * len(words) and common >= _COMMON_SHARE * len(words)
