"""What a review says: findings, scores with their reasons, and the total by which candidates are compared.

Knows the weights. Judges nothing itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# What a listener minds most weighs most: that it rhymes and is what was asked for, then that it can be sung
# and does not go round in circles. Structure and language are nearly always right, and clichés are taste.
WEIGHTS: Mapping[str, float] = {
    "structure": 1.0,
    "rhyme": 2.0,
    "syllables": 1.5,
    "repetition": 1.5,
    "language": 1.0,
    "fit": 1.0,
    "brief": 2.0,
    "cliches": 0.5,
}


@dataclass(frozen=True)
class Finding:
    """One remark. A `gate` makes the document unusable as it is. Indexes from 0; -1 is the whole."""

    code: str
    message: str
    gate: bool = False
    section: int = -1
    line: int = -1


@dataclass(frozen=True)
class Score:
    """A value from 0 to 1, without a meaning when it was not `assessed`. `reason` is one line for people."""

    value: float
    reason: str
    assessed: bool = True


@dataclass(frozen=True)
class Judged:
    """One score and what was found on the way."""

    score: Score
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Review:
    """Scores by name, in the order of `WEIGHTS`, and findings, gates first."""

    scores: Mapping[str, Score]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """No gate failed."""
        return not any(finding.gate for finding in self.findings)

    @property
    def score(self) -> float:
        """Weighted mean of the scores that were assessed; 0 when none was."""
        assessed = {name: score.value for name, score in self.scores.items() if score.assessed}
        total = sum(WEIGHTS[name] for name in assessed)
        return sum(WEIGHTS[name] * value for name, value in assessed.items()) / total if total else 0.0

    @property
    def rank(self) -> tuple[bool, float]:
        """What the best of several candidates has most of: passing the gates first, then the score."""
        return self.passed, self.score


def judged(value: float, reason: str, findings: Iterable[Finding] = ()) -> Judged:
    """A score, cut to 0 to 1."""
    return Judged(Score(min(1.0, max(0.0, value)), reason), tuple(findings))


def not_assessed(reason: str, findings: Iterable[Finding] = ()) -> Judged:
    """A score that cannot be told here, and why."""
    return Judged(Score(0.0, reason, assessed=False), tuple(findings))
