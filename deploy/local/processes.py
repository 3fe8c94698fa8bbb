"""Child processes that are kept alive: started with an explicit environment, watched, restarted, stopped.

Knows processes, signals and log files. What is run, and when it counts as ready, is the caller's business.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")
READY_POLL_S = 0.02
FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
# A child that has lived this long is taken as healthy: its next restart is quick again.
STEADY_S = 30.0
LOG_TAIL_LINES = 15

Report = Callable[[str], None]


class ChildError(RuntimeError):
    """A child ended before it was ready or did not become ready in time; ends with its last log lines."""


@dataclass(frozen=True)
class Command:
    """What to run. `environment` is the child's whole environment: it inherits nothing."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    log_file: Path
    # Asked with the child's pid after each start, again and again until it says True.
    is_ready: Callable[[int], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    # What the kernel sends when this process is gone (Linux).
    death_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0
    ready_timeout_s: float = 30.0
    # Root becomes this user; others stay who they are.
    root_becomes: str | None = None
    # Runs before every start, for what a killed predecessor left behind.
    prepare: Callable[[], None] = field(default=lambda: None)
    # File descriptors that the child holds open for as long as it lives.
    inherit: Sequence[int] = ()


class Child:
    """One supervised process. `start` returns at once, `wait_ready` waits.

    Each child has a thread of its own that starts it and waits for its end: the kernel ties the child's life
    to the thread that started it, so that thread must live as long as the child.
    """

    def __init__(self, command: Command, report: Report) -> None:
        self.command = command
        self.restarts = 0
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ready_pid: int | None = None
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._supervise, name=f"supervise-{command.name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process id, or None while no process runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def start(self) -> None:
        """Has the process started; what goes wrong is told by `wait_ready`."""
        with self._lock:
            if not self._stopping.is_set():
                self._thread.start()

    def wait_ready(self, after: int | None = None) -> None:
        """Waits until the child is ready; with `after`, a pid that `kill` gave, until its successor is.

        Raises ChildError.
        """
        deadline = time.monotonic() + self.command.ready_timeout_s
        while self._ready_pid in (None, after):
            self.raise_failure()
            if self._stopping.is_set():
                raise ChildError(f"{self.command.name} was stopped")
            if time.monotonic() > deadline:
                raise ChildError(self._with_log(f"is not ready after {self.command.ready_timeout_s:g} s"))
            time.sleep(READY_POLL_S)

    def raise_failure(self) -> None:
        """Raises ChildError if the child has failed for good, else does nothing."""
        if self._failure is not None:
            raise ChildError(self._failure)

    def kill(self, signal_number: signal.Signals) -> int:
        """Sends a signal to the process and returns its pid. Raises ProcessLookupError when none runs."""
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                raise ProcessLookupError(f"{self.command.name} is not running")
            process.send_signal(signal_number)
            return process.pid

    def stop(self) -> None:
        """Ends the child: its stop signal, then after the grace SIGKILL. Returns once it is gone."""
        with self._lock:
            self._stopping.set()
            if self._thread.ident is None:  # never started
                return
        with suppress(ProcessLookupError):
            self.kill(self.command.stop_signal)
        self._thread.join(self.command.grace_s)
        if self._thread.is_alive():
            self._report(f"{self.command.name} did not end within {self.command.grace_s:g} s and is killed")
            with suppress(ProcessLookupError):
                self.kill(signal.SIGKILL)
            self._thread.join()

    def _supervise(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._stopping.is_set():
            started_at = time.monotonic()
            try:
                self.command.prepare()
                process = self._launch()
            except Exception as error:  # this thread has no caller to raise to: whoever waits must hear of it
                self._failure = f"{self.command.name} cannot be started: {error}"
                if not self._stopping.is_set():
                    self._report(self._failure)
                return
            if self._stopping.is_set():  # asked to stop while it was being started
                process.send_signal(self.command.stop_signal)
            was_ready = self._wait_until_ready(process)
            status = process.wait()
            if self._stopping.is_set():
                return
            if not was_ready and self.restarts == 0:
                self._failure = self._with_log(f"ended ({_describe(status)}) before it was ready")
                return
            if time.monotonic() - started_at > STEADY_S:
                backoff_s = FIRST_BACKOFF_S
            name = self.command.name
            self._report(f"{name} ended ({_describe(status)}), starting it again in {backoff_s:g} s")
            self._ready_pid = None
            self.restarts += 1
            self._stopping.wait(backoff_s)
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    def _launch(self) -> subprocess.Popen[bytes]:
        command = self.command
        launch = launch_arguments(command.death_signal, command.root_becomes)
        with self._lock, command.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*launch, *command.argv],
                env=dict(command.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal reaches the parent only, which stops its children in order.
                start_new_session=True,
                pass_fds=self.command.inherit,
            )
            return self._process

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> bool:
        while process.poll() is None:
            if self.command.is_ready(process.pid):
                self._ready_pid = process.pid
                return True
            time.sleep(READY_POLL_S)
        return False

    def _with_log(self, what: str) -> str:
        log = self.command.log_file
        lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n  ".join([f"{self.command.name} {what}; its log {log} ends:", *lines])


def launch_arguments(death_signal: signal.Signals, root_becomes: str | None) -> list[str]:
    """What to put before a command so that it dies with this thread and, if root, becomes another user."""
    launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(death_signal))]
    if root_becomes is not None and os.geteuid() == 0:
        launch += ["--user", root_becomes]
    return [*launch, "--"]


def _describe(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"status {status}"
