"""Titles of songs that were given none: of the sung words, of a prompt that is public, or of the seed.

A title is public: it is in the file's tags and in the minted metadata. Knows no request.
"""

import re
from collections.abc import Iterable

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb

LONGEST_TITLE = 120
_PROMPT_WORDS = 6
_LONGEST_LINE = 60
_WORD = re.compile(r"[^\W_]+(?:['’&.-][^\W_]+)*")
# English words that want another one after them.
_LEADING_ON = re.compile(
    r"an?|the|th(?:is|at|ese|ose)|my|your|his|her|its|our|their|some|and|or|but|nor|with(?:out)?|of|in(?:to)?"
    r"|on(?:to)?|at|to|for|from|by|as|over|under|about|like|through|between|while|when|where|who|which|is|are|was|were",
    re.IGNORECASE,
)


def title_of_prompt(prompt: str) -> str:
    """At most six words of the prompt's first clause; "" for a prompt without words."""
    clause = next((c for c in re.split(r"[,;:.!?\n()]", prompt) if _WORD.search(c)), "")
    words = _WORD.findall(clause)
    kept = _well_ended(words[:_PROMPT_WORDS], cut=len(words) > _PROMPT_WORDS)
    return " ".join(word[:1].upper() + word[1:] for word in kept)[:LONGEST_TITLE]


def title_of_words(document: lyrics_pb.LyricDocument) -> str:
    """The document's own title, else its first line, cut between words; "" for one without words."""
    return document.title.strip()[:LONGEST_TITLE] or next(
        (_shortened(line) for line in _lines(document) if _WORD.search(line)), ""
    )


def title_without_words(prompt: str, *, revealed: bool, seed: int) -> str:
    """The prompt's title if the prompt is public, else "Untitled 3F9A" with the seed's lower 16 bits."""
    return (title_of_prompt(prompt) if revealed else "") or f"Untitled {seed & 0xFFFF:04X}"


def _lines(document: lyrics_pb.LyricDocument) -> Iterable[str]:
    return (line.text for section in document.sections for line in section.lines)


def _shortened(line: str) -> str:
    text = " ".join(line.split())
    if len(text) > _LONGEST_LINE:
        whole, _, _ = text[: _LONGEST_LINE + 1].rpartition(" ")
        text = " ".join(_well_ended(whole.split(), cut=True)) or text[:_LONGEST_LINE]
    return text.rstrip(" ,;:–—-")


def _well_ended(words: list[str], *, cut: bool) -> list[str]:
    """`words` without an end that leads on ("Piano With"; where more was cut off, also "Piano With Warm")."""
    end = len(words)
    if cut and end > 2 and _leads_on(words[end - 2]):
        end -= 2
    while end > 1 and _leads_on(words[end - 1]):
        end -= 1
    return words[:end]


def _leads_on(word: str) -> bool:
    return _LEADING_ON.fullmatch(word.strip(",;:.!?\"'’")) is not None
