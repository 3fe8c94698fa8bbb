"""What is wrong in a render, in one line: where, which object, which field, what is there, what should be.

Knows nothing of how it was found.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    where: str
    """The render, `overlays/staging` or `base + components/mtls`, or a file."""
    object: str
    """`Deployment/gateway`; empty where it is about the whole."""
    path: str
    """`spec.template.spec.containers[0].ports`; empty where it is about the whole object."""
    wrong: str
    expected: str = ""


def lines(findings: Iterable[Finding]) -> list[str]:
    """One line for each; what several renders share is told once."""
    places: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for finding in findings:
        places[(finding.object, finding.path, finding.wrong, finding.expected)].add(finding.where)
    return sorted(_line(_places(where), *what) for what, where in places.items())


def _line(where: str, object_: str, path: str, wrong: str, expected: str) -> str:
    told = ": ".join(part for part in (where, object_, path, wrong) if part)
    return f"{told}; expected {expected}" if expected else told


def _places(names: set[str]) -> str:
    first, *others = sorted(names)
    return f"{first} and {len(others)} more" if others else first
