"""One line of the table: what was compared, how far apart the two are, whether that is tolerated."""

from dataclasses import dataclass
from enum import Enum

from torch import Tensor

TOLERANCE = 1e-4
"""float32 on CPU, of either measure. The released code, run again, agrees with its own record to 3e-6."""


class Measure(Enum):
    """What must be within the tolerance."""

    RELATIVE_L2 = "relative L2"  # ‖ours - golden‖ / ‖golden‖: final latents
    MAX = "max / max(1, |golden|)"  # of any number: modules


@dataclass(frozen=True)
class Row:
    name: str
    relative_l2: float
    max_difference: float
    scaled_max: float  # the largest difference / max(1, |golden|)
    measure: Measure
    problem: str = ""  # why there is nothing to compare

    @property
    def agrees(self) -> bool:
        measured = self.relative_l2 if self.measure is Measure.RELATIVE_L2 else self.scaled_max
        return not self.problem and measured <= TOLERANCE  # NaN does not agree

    def __str__(self) -> str:
        verdict = "ok" if self.agrees else f"OUT  {self.problem}".rstrip()
        return (
            f"{self.name:<36} {self.relative_l2:>11.2e} {self.max_difference:>11.2e} "
            f"{TOLERANCE:>9.0e} {self.measure.value:<22}  {verdict}"
        )


HEADER = f"{'case':<36} {'relative L2':>11} {'max diff':>11} {'tolerance':>9} {'of':<22}"


def compare(name: str, ours: Tensor, golden: Tensor, measure: Measure) -> Row:
    if ours.shape != golden.shape:
        return failed(name, measure, f"shape {tuple(ours.shape)}, golden {tuple(golden.shape)}")
    ours, golden = ours.detach().cpu().double(), golden.double()
    difference = ours - golden
    norm = golden.norm().item()
    relative = difference.norm().item() / norm if norm else difference.norm().item()
    magnitude = difference.abs()
    scaled = magnitude / golden.abs().clamp(min=1)
    return Row(name, relative, magnitude.max().item(), scaled.max().item(), measure)


def failed(name: str, measure: Measure, problem: str) -> Row:
    nan = float("nan")
    return Row(name, nan, nan, nan, measure, problem)
