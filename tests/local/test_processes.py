"""Children of the stack: restarted when they die, gone when their parent is."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.processes import Child, ChildError, Command

SLEEP = "import time; print('up', flush=True); time.sleep(60)"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Without an init in the container, nobody collects an orphan: it stays as a zombie.
    return subprocess.run(
        ["cat", f"/proc/{pid}/stat"], capture_output=True, text=True, check=False
    ).stdout.split(") ")[-1][:1] not in ("Z", "")


def until(condition: Callable[[], bool], patience_s: float = 10.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def run(tmp_path: Path, lines: list[str]) -> Iterator[Callable[..., Child]]:
    """Starts a Python program as a child that is ready once it has written `up` to its log."""
    children: list[Child] = []

    def start(program: str, **options: object) -> Child:
        log = tmp_path / f"{len(children)}.log"
        fields: dict[str, object] = {
            "name": "song",
            "argv": [sys.executable, "-c", program],
            "environment": {"GIVEN": "yes"},
            "log_file": log,
            "is_ready": lambda pid: "up" in log.read_text(),
            "grace_s": 5.0,
            "ready_timeout_s": 5.0,
        }
        child = Child(Command(**{**fields, **options}), lines.append)  # typed at run time
        children.append(child)
        child.start()
        return child

    yield start
    for child in children:
        child.stop()


def test_a_killed_child_is_started_again_and_a_line_says_so(
    run: Callable[..., Child], lines: list[str]
) -> None:
    child = run(SLEEP)
    child.wait_ready()
    first = child.kill(signal.SIGKILL)
    child.wait_ready(after=first)
    assert child.pid not in (None, first)
    assert child.restarts == 1
    assert lines == ["song ended (SIGKILL), starting it again in 0.2 s"]


def test_a_child_that_ends_before_it_is_ready_is_an_error_with_its_last_words(
    run: Callable[..., Child],
) -> None:
    child = run("raise SystemExit('settings: SONG_PORT: Input should be a valid integer')")
    with pytest.raises(ChildError, match=r"(?s)song ended \(status 1\).*SONG_PORT: Input should be"):
        child.wait_ready()
    assert child.restarts == 0


def test_a_program_that_is_missing_is_an_error_that_names_it(run: Callable[..., Child]) -> None:
    with pytest.raises(ChildError, match="/no/such/program: No such file"):
        run(SLEEP, argv=["/no/such/program"]).wait_ready()


def test_a_child_that_never_gets_ready_is_an_error_after_the_timeout(run: Callable[..., Child]) -> None:
    with pytest.raises(ChildError, match=r"is not ready after 0\.3 s"):
        run(SLEEP, is_ready=lambda pid: False, ready_timeout_s=0.3).wait_ready()


def test_a_stopped_child_ends_by_its_own_hand_and_stays_down(run: Callable[..., Child]) -> None:
    program = """
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: (print('drained', flush=True), sys.exit(0)))
    print('up', flush=True)
    time.sleep(60)
    """
    child = run(textwrap.dedent(program))
    child.wait_ready()
    pid = child.pid
    child.stop()
    assert pid is not None
    assert not is_alive(pid)
    assert child.pid is None
    assert child.restarts == 0
    assert "drained" in child.command.log_file.read_text()


def test_a_child_that_does_not_listen_is_killed_after_its_grace(
    run: Callable[..., Child], lines: list[str]
) -> None:
    child = run("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP, grace_s=0.3)
    child.wait_ready()
    child.stop()
    assert child.pid is None
    assert lines == ["song did not end within 0.3 s and is killed"]


def test_a_child_has_the_given_environment_and_no_other(
    run: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNER_SECRET", "of the parent")
    child = run("import os; print(sorted(os.environ), 'up', flush=True); " + SLEEP)
    child.wait_ready()
    log = child.command.log_file.read_text()
    assert "GIVEN" in log
    assert "SIGNER_SECRET" not in log


def test_ctrl_c_in_the_terminal_does_not_reach_a_child(run: Callable[..., Child]) -> None:
    child = run(SLEEP)
    child.wait_ready()
    assert child.pid is not None
    assert os.getsid(child.pid) == child.pid != os.getsid(0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_no_child_outlives_a_killed_parent(tmp_path: Path) -> None:
    program = f"""
    import sys, time
    from pathlib import Path
    from deploy.local import postgres
    from deploy.local.processes import Child, Command
    folder = Path({str(tmp_path)!r})
    log = folder / "song.log"
    child = Child(Command("song", [sys.executable, "-c", {SLEEP!r}], {{}}, log,
                          lambda pid: "up" in log.read_text()), print)
    child.start()
    child.wait_ready()
    server = postgres.start(folder / "postgres")
    print(child.pid, server.pid, flush=True)
    time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        parent.kill()
    until(lambda: not any(map(is_alive, pids)))
