"""How a required word can be sung: at a line's end, inside a line, as something sung of, or as a word quoted.

Knows which pieces of the bank say a word, and which words are names of things. Chooses no line.
"""

from collections.abc import Sequence

from services.common.errors import FailedPrecondition
from services.lyrics import pronunciation
from services.lyrics.builtin import theme
from services.lyrics.builtin.bank import Bank
from services.lyrics.builtin.palette import Palette, Spot, says


def unmet(words: Sequence[str], why: str) -> FailedPrecondition:
    """The refusal of a brief whose words cannot be sung."""
    listed = ", ".join(f'"{word}"' for word in words)
    return FailedPrecondition("BRIEF_UNMET", f"{listed}: {why}", metadata={"field": "required_words"})


def check(words: Sequence[str], palette: Palette) -> None:
    """Raises FailedPrecondition (BRIEF_UNMET) for words that nobody knows how to say, or that are avoided."""
    avoided = [word for word in words if palette.plan.avoided.in_text(word)]
    if avoided:
        raise unmet(avoided, "a word that is required is also to be avoided")
    strange = [word for word in words if not _is_sayable(word)]
    if strange:
        raise unmet(strange, "how it is said is not known")


def _is_sayable(word: str) -> bool:
    parts = pronunciation.words(word)
    return bool(parts) and all(
        not part.isdigit()
        and (
            pronunciation.is_known(part) or pronunciation.is_known(part.removesuffix("'s").removesuffix("s"))
        )
        for part in parts
    )


def ways(word: str, role: str, palette: Palette) -> list[Spot]:
    """The places that say a word, the most natural first; the last one quotes it."""
    low = " ".join(pronunciation.words(word))
    found = [Spot(role, word=low, by=by) for by in ("ending", "filler", "frame")]
    found = [spot for spot in found if palette.source(spot).endings]
    phrase = _phrase(word, palette.words)
    if phrase:
        found.append(Spot("t", phrase=phrase))
    return [*found, Spot("q", phrase=word)]


def _phrase(word: str, words: Bank) -> str:
    """The word as something to sing of, which leaves it as it was written; else ""."""
    phrase = theme.read(f"about {word}", "", "", words).phrase
    return phrase if says(phrase, " ".join(pronunciation.words(word))) else ""
