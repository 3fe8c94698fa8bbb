"""A title for a song that was given none: the prompt's first words, as a title is written."""

import re

LONGEST_TITLE = 120
_WORDS = 6
_WORD = re.compile(r"[^\W_]+(?:['’&.-][^\W_]+)*")


def title_of(prompt: str) -> str:
    """At most six words of the prompt's first clause; "Untitled" for a prompt without words."""
    clause = next((c for c in re.split(r"[,;:.!?\n()]", prompt) if _WORD.search(c)), "")
    words = _WORD.findall(clause)[:_WORDS]
    return " ".join(word[:1].upper() + word[1:] for word in words)[:LONGEST_TITLE] or "Untitled"
