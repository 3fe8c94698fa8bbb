"""Rhyme schemes: how well line ends follow one, and which one a stanza follows.

Knows letters and end words. How words sound is said by whoever gives `strength`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from services.lyrics.likeness import NEAR, NONE, PERFECT, SAME
from services.lyrics.pronunciation import rhyme_strength

# How well two words rhyme, as `likeness` says.
Strength = Callable[[str, str], float]

_FOUR = ("AABB", "ABAB", "ABCB", "ABBA", "AAAA")
# A perfect rhyme between lines of different letters takes away as much: else AAAA would pass ABAB.
_ACROSS_COST = 0.5
# Lines that stand farther apart are not heard together.
_HEARD = 4


@dataclass(frozen=True)
class Fault:
    """A line whose end does not do what the scheme says."""

    code: str
    message: str
    line: int


@dataclass(frozen=True)
class Judged:
    """How well ends follow a scheme, 0 to 1, and where they do not."""

    value: float
    faults: tuple[Fault, ...]


def judge(ends: Sequence[str], scheme: str, strength: Strength = rhyme_strength) -> Judged:
    """Judges end words (lower case) against a scheme with a letter per line.

    Lines of one letter are compared with the next line of that letter; lines of different letters
    within four lines of one another should not rhyme perfectly.
    """
    faults, strengths, crossed, apart = [], [], 0, 0
    last: dict[str, int] = {}
    for i, letter in enumerate(scheme[: len(ends)]):
        if letter in last:
            other = last[letter]
            heard = strength(ends[other], ends[i])
            strengths.append(heard)
            if heard < NEAR:
                same = heard == SAME
                code = "RHYME_SAME_WORD" if same else "RHYME_MISSED"
                verb = "sounds the same as" if same else "does not rhyme with"
                if NONE < heard < SAME:
                    verb = "shares only its vowel with"
                faults.append(Fault(code, f'"{ends[i]}" {verb} "{ends[other]}"', i))
        last[letter] = i
    for i, j in combinations(range(min(len(ends), len(scheme))), 2):
        if scheme[i] != scheme[j] and j - i < _HEARD:
            apart += 1
            if strength(ends[i], ends[j]) in (SAME, PERFECT):
                crossed += 1
                message = f'"{ends[j]}" rhymes with "{ends[i]}", which the scheme keeps apart'
                faults.append(Fault("RHYME_ACROSS", message, j))
    value = sum(strengths) / len(strengths) if strengths else 0.0
    if apart:
        value -= _ACROSS_COST * crossed / apart
    return Judged(max(0.0, value), tuple(faults))


def likeliest_scheme(ends: Sequence[str], strength: Strength = rhyme_strength) -> str:
    """The scheme that the ends follow best: couplets for two lines, known schemes for each four."""
    scheme = ""
    for start in range(0, len(ends), 4):
        block = ends[start : start + 4]
        options = _FOUR if len(block) == 4 else ("AAB", "ABA", "ABB", "AAA") if len(block) == 3 else ("AA",)
        best = (
            max(options, key=lambda option: judge(block, option, strength).value) if len(block) > 1 else "A"
        )
        # Each block has letters of its own.
        scheme += "".join(chr(ord(letter) + 4 * (start // 4)) for letter in best)
    return scheme


def stretched(scheme: str, lines: int) -> str:
    """A scheme for as many lines: cut, or repeated with letters of its own for every repetition."""
    letters, rounds = scheme.upper(), -(-lines // len(scheme))
    step = max(map(ord, letters)) - ord("A") + 1
    return "".join(chr(ord(c) + step * k) for k in range(rounds) for c in letters)[:lines]
