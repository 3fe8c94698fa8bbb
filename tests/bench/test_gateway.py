"""The measurement of the gateway, in its smallest sizes: that it measures, not how fast anything is."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.gateway_figures import Line, missed, percentile, table

ROOT = Path(__file__).parents[2]
SMALLEST = {"--song-s": 1, "--songs": 3, "--progress-s": 1, "--listeners": 10, "--live-s": 0.5}


def test_watchers_and_listeners_are_measured() -> None:
    sizes = [str(word) for option in SMALLEST.items() for word in option]
    command = [sys.executable, "-m", "bench.gateway", "progress", "listeners", *sizes]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for face in ("SSE", "gRPC"):
        (seen,) = [line for line in lines if line.startswith(f"progress of 3 songs over {face}")]
        assert int(seen.split(", ")[1].split()[0]) > 10, "hardly an event was seen"
    (heard,) = [line for line in lines if line.startswith("10 HTTP listeners")]
    assert " 10 in " in heard, "not all had every byte"


def test_a_measure_that_is_not_known_is_refused() -> None:
    command = [sys.executable, "-m", "bench.gateway", "loudness"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "unknown: loudness" in done.stderr


def test_only_missed_targets_are_told() -> None:
    lines = [
        Line("fast enough", "1 ms", "2 ms", True),
        Line("too slow", "3 ms", "2 ms", False),
        Line("as it is", "4 ms"),
    ]
    assert missed(lines) == ["too slow"]
    assert [row.split()[-1] for row in table(lines).splitlines()[:3]] == ["met", "MISSED", "ms"]


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 51.0), (0.99, 100.0), (1.0, 100.0)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile([float(n) for n in range(1, 101)], share) == value
