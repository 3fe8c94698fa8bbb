"""What a tree of processes holds and uses, as Linux tells it."""

import os
import subprocess
import sys

from bench.processes import tree, tree_cpu_seconds, tree_resident_bytes

PARENT = """
import subprocess, sys
code = "held = b'x' * 60_000_000; print('there', flush=True); input()"
child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
sum(n * n for n in range(3_000_000))
input()
child.communicate(b"\\n")
"""


def test_a_child_counts_with_its_parent() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        assert len(tree(process.pid)) == 2
        assert 60_000_000 < tree_resident_bytes(process.pid) < 120_000_000
        assert process.pid in tree(os.getpid())
    finally:
        process.communicate("\n", timeout=20)


def test_the_time_of_children_that_have_ended_counts() -> None:
    before = tree_cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", "sum(n * n for n in range(5_000_000))"], check=True)
    assert tree_cpu_seconds(os.getpid()) - before > 0.1
