"""What a measurement of the gateway comes to: lines of a table, each with its target. Measures nothing."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One figure; `met` is None where it has no target."""

    name: str
    figure: str
    target: str = ""
    met: bool | None = None


def cpu_line(unit: str, before: Mapping[str, float], after: Mapping[str, float], times: float) -> Line:
    """What of the CPU each part has used between, `times` seconds or songs, in ms for each."""
    each = {name: (after[name] - before[name]) / times * 1e3 for name in before}
    return Line(f"  CPU ms per {unit}: {', '.join(each)}", ", ".join(f"{ms:.3g}" for ms in each.values()))


def table(lines: Iterable[Line]) -> str:
    rows = [f"{line.name:<58}{line.figure:>22}  {line.target:<16}{_verdict(line.met)}" for line in lines]
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    return "\n".join([*rows, f"{os.cpu_count()} CPUs, load average {load}"])


def missed(lines: Iterable[Line]) -> list[str]:
    return [line.name for line in lines if line.met is False]


def _verdict(met: bool | None) -> str:
    return "" if met is None else "met" if met else "MISSED"


def percentile(values: Sequence[float], share: float) -> float:
    """Of sorted values: the smallest that `share` of them do not exceed."""
    return values[min(len(values) - 1, int(len(values) * share))]
