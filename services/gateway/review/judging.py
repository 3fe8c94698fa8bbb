"""Says of a request's texts whether they may be made into a song, and what would make the prompt better.

Knows which texts there are and how a refusal is told; the rules are `rules`, the advice is `advice`.
"""

from dataclasses import dataclass

from services.common.errors import FailedPrecondition
from services.gateway.review.advice import advice
from services.gateway.review.reading import read_prompt
from services.gateway.review.rules import Field, refusals

_REASONS = {"prompt": "PROMPT_REFUSED", "title": "TITLE_REFUSED", "lyrics": "LYRICS_REFUSED"}


@dataclass(frozen=True)
class Finding:
    # stable, UPPER_SNAKE_CASE
    rule: str
    # True: the request is refused; else it is advice.
    refuses: bool
    message: str
    # of a refusal: what would be made in its place
    instead: str = ""
    # which text it is about
    field: str = "prompt"


def review(
    prompt: str, title: str = "", lyrics: str = "", *, duration_s: float | None = None, sung: bool = False
) -> tuple[Finding, ...]:
    """What there is to say about checked texts: refusals first, then advice on the prompt."""
    texts: tuple[tuple[Field, str], ...] = (("prompt", prompt), ("title", title), ("lyrics", lyrics))
    found = [
        Finding(r.rule, True, r.message, r.instead, r.field)
        for field, text in texts
        if text
        for r in refusals(field, text)
    ]
    return (*found, *_advice(prompt, duration_s, sung))


def admit(
    prompt: str, field: str = "prompt", *, duration_s: float | None = None, sung: bool = False
) -> tuple[Finding, ...]:
    """The advice on a prompt that may be made. `field` is what it is called in the request.

    Raises:
        FailedPrecondition: PROMPT_REFUSED, as `require_allowed`.
    """
    require_allowed("prompt", prompt, called=field)
    return _advice(prompt, duration_s, sung)


def require_allowed(field: Field, text: str, *, called: str = "") -> None:
    """Refuses a single text. `called` is the field's name in the request, where that is another.

    Raises:
        FailedPrecondition: PROMPT_REFUSED, TITLE_REFUSED or LYRICS_REFUSED, with the rule's name and what
            would be made instead in the metadata.
    """
    for refusal in refusals(field, text):
        raise FailedPrecondition(
            _REASONS[field],
            f"{refusal.message}; {refusal.instead}",
            metadata={"field": called or field, "rule": refusal.rule, "instead": refusal.instead},
        )


def _advice(prompt: str, duration_s: float | None, sung: bool) -> tuple[Finding, ...]:
    better = advice(prompt, read_prompt(prompt), duration_s=duration_s, sung=sung)
    return tuple(Finding(rule, False, message) for rule, message in better)


# Rules and words are read when the process starts, not by its first request.
review("a")
