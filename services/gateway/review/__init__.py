"""What may be asked for: limits of texts, what the platform does not make, what a prompt states, advice.

What is refused, understood and advised is data, in the TOML files here. What other rooms need is below.
"""

from services.gateway.review.judging import Finding, admit, require_allowed, review
from services.gateway.review.reading import read_prompt
from services.gateway.review.texts import LONGEST_PROMPT, checked_text

__all__ = [
    "LONGEST_PROMPT",
    "Finding",
    "admit",
    "checked_text",
    "read_prompt",
    "require_allowed",
    "review",
]
