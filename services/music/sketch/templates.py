"""Forms of songs whose words do not give one: which sections, and how many bars each.

Knows bars and weights; no tempo, no lyrics, no notes.
"""

from collections.abc import Sequence

import numpy as np

# Kinds and weights; the longest is taken that gets two bars for each weight, and a phrase for each kind.
TEMPLATES = (
    "intro 2, verse 4, pre-chorus 1, chorus 4, verse 4, pre-chorus 1, chorus 4, bridge 2, solo 2, chorus 4,"
    " outro 2",
    "intro 1, verse 2, pre-chorus 1, chorus 2, verse 2, chorus 2, bridge 1, chorus 2, outro 1",
    "intro 1, verse 2, chorus 2, verse 2, chorus 2, bridge 1, chorus 2, outro 1",
    "intro 1, verse 2, chorus 2, bridge 1, chorus 2",
    "intro 1, verse 2, chorus 2",
    "verse 1, chorus 1",
    "chorus 1",
)
WEIGHTS = {"intro": 2, "verse": 4, "pre-chorus": 2, "chorus": 4, "hook": 2, "bridge": 2, "solo": 4, "inst": 2,
           "break": 1, "outro": 2}  # fmt: skip
_BLUES = ("verse", "verse", "solo", "verse", "solo", "chorus")

Share = tuple[str, int]


def instrumental(bars: int, forms: Sequence[str], phrase: int, opens: bool) -> list[Share]:
    """Sections that fill `bars`; `opens`: with an intro, however short the song."""
    if phrase > 4 and bars >= phrase:
        return _choruses(bars, phrase)
    parts: list[Share] = [("chorus", bars)]
    for template in (*forms, *TEMPLATES):
        weights = [(kind, int(weight)) for kind, weight in (word.split() for word in template.split(", "))]
        least = 4 if bars >= 12 else 2
        if bars >= max(2 * sum(weight for _, weight in weights), least * len(weights)):
            parts = scaled(weights, bars, tagged=True)
            break
    if opens and parts[0][0] != "intro" and bars > 1:
        length = 2 if bars >= 6 else 1
        parts = [("intro", length), *scaled([(kind, weight) for kind, weight in parts], bars - length)]
    return parts


def _choruses(bars: int, phrase: int) -> list[Share]:
    """Whole rounds of a long harmony, as a blues goes; what is left opens and closes."""
    rounds, left = divmod(bars, phrase)
    intro = min(left, 4)
    kinds = [_BLUES[i % len(_BLUES)] for i in range(rounds - 1)] + ["chorus"]
    parts = [("intro", intro), *((kind, phrase) for kind in kinds), ("outro", left - intro)]
    return [(kind, length) for kind, length in parts if length]


def scaled(parts: Sequence[Share], bars: int, tagged: bool = False) -> list[Share]:
    """Parts by weight, in whole phrases where there is room for them, filling `bars` exactly.

    `tagged`: what is no phrase may become an outro of its own.
    """
    parts = parts[: max(bars, 1)]
    unit = next((u for u in (4, 2) if bars // u >= len(parts)), 1)
    units, weights = bars // unit, [max(weight, 1) for _, weight in parts]
    exact = [weight * units / sum(weights) for weight in weights]
    shares = [max(1, int(share)) for share in exact]
    while sum(shares) != units:  # to the neediest, from the richest, and never below one
        step = 1 if sum(shares) < units else -1
        need = [step * (e - s) if s + step >= 1 else -np.inf for e, s in zip(exact, shares, strict=True)]
        shares[int(np.argmax(need))] += step
    out = [(kind, share * unit) for (kind, _), share in zip(parts, shares, strict=True)]
    left = bars - units * unit
    kind, length = out[-1]
    if tagged and left > 1 and kind != "outro":
        return [*out, ("outro", left)]
    return [*out[:-1], (kind, length + left)]
