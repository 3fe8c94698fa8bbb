"""What Prometheus is told of an accelerator's memory, by the real engine process of a real service.

No accelerator is here: its reading is stood in for, inside the engine process, by a count of the readings.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.music.pod import Pod, spec

# Python runs it at its start, whoever starts it.
STAND_IN = """
import sys
if "services.music.engine_process" in sys.orig_argv:
    from itertools import count
    from services.music.engine import DeviceMemory
    from services.music.sketch.engine import SketchEngine
    readings = count(1)
    SketchEngine.memory = lambda self: DeviceMemory(
        allocated_bytes=next(readings), reserved_bytes=1 << 30, total_bytes=80 << 30
    )
"""


@pytest.fixture(scope="module")
def gpu_pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder = tmp_path_factory.mktemp("device")
    (folder / "sitecustomize.py").write_text(STAND_IN)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    with Pod(folder / "pod", settings={"PYTHONPATH": path}).running() as running:
        yield running


def memory(pod: Pod, kind: str) -> float:
    return pod.metric(f'acesteps_music_gpu_memory_bytes{{kind="{kind}"}}')


def soon(check: Callable[[], bool], within_s: float = 5.0) -> None:
    until = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_an_idle_engine_has_told_once(gpu_pod: Pod) -> None:
    soon(lambda: memory(gpu_pod, "allocated") == 1)
    assert (memory(gpu_pod, "reserved"), memory(gpu_pod, "total")) == (1 << 30, 80 << 30)


async def test_memory_is_told_at_every_step_and_at_the_end_of_a_song(gpu_pod: Pod) -> None:
    heard = await gpu_pod.song(spec())
    # Besides those of the service's own, which the engine does not send from a step.
    assert len(heard.progress) > 5
    soon(lambda: memory(gpu_pod, "allocated") == 1 + len(heard.progress) + 1)


def test_with_the_engine_its_memory_is_gone_until_the_next_one_tells(gpu_pod: Pod) -> None:
    os.kill(gpu_pod.engine_pid, signal.SIGKILL)
    gpu_pod.wait_ready(False)
    assert memory(gpu_pod, "total") == 0
    gpu_pod.wait_ready()
    soon(lambda: memory(gpu_pod, "allocated") == 1)


def test_without_an_accelerator_nothing_is_told(pod: Pod) -> None:
    assert pod.metric("process_start_time_seconds") > 0
    assert memory(pod, "total") == 0
