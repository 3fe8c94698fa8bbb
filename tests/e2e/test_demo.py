"""`make demo` as a person meets it: the process, what it prints, what it leaves behind."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.ports import free_ports

START_S = 60


def command(folder: Path, *options: str) -> list[str]:
    http_port, grpc_port = free_ports(2)
    return [
        sys.executable, "-m", "clients.demo", "--duration", "6",
        "--data-dir", str(folder / "data"), "--out", str(folder / "out"),
        "--http-port", str(http_port), "--grpc-port", str(grpc_port), *options,
    ]  # fmt: skip


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    environment = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME")} | {"COLUMNS": "200"}
    with subprocess.Popen(
        command(folder, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that speak of the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            line += (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and int(entry.name) != os.getpid():
            found.append(line[:200])
    return found


def test_once_makes_a_song_prints_a_summary_and_leaves_nothing_running(tmp_path: Path) -> None:
    with demo(tmp_path, "--once", "--seed", "3", "--prompt", "lo-fi hip hop, 80 BPM") as process:
        printed, errors = process.communicate(timeout=START_S)
    assert process.returncode == 0, printed + errors
    (song,) = (tmp_path / "out").iterdir()
    digest = hashlib.sha256(song.read_bytes()).hexdigest()
    assert re.search(rf"sha256\s+{digest}", printed)
    assert re.search(r"tokenURI\s+ipfs://b", printed)
    assert re.search(r"the gateway says\s+MINTED in block \d+", printed)
    assert re.search(r"first audio\s+[0-9.]+ s", printed)
    assert processes_of(tmp_path) == []


def test_ctrl_c_stops_every_child(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Serving until Ctrl-C"):
                break
        assert len(processes_of(tmp_path)) >= 6
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert processes_of(tmp_path) == []


def test_a_busy_port_is_named_with_the_variable_to_change(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with demo(tmp_path, "--http-port", str(port)) as process:
            _, errors = process.communicate(timeout=START_S)
    assert process.returncode == 2
    assert str(port) in errors
    assert "HTTP_PORT" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--duration", "soon"), ["--duration", "not a number"]),
        (("--seed", "5000000000"), ["seed", "4294967295"]),
        (("--http-port", "70000"), ["--http-port", "65535"]),
        (("--lyrics", "words-that-are-not-there.txt"), ["no file", "words-that-are-not-there.txt"]),
        (("--lyrics", "/tmp"), ["no file"]),
    ],
)
def test_a_bad_order_is_one_clear_line(tmp_path: Path, options: tuple[str, ...], words: list[str]) -> None:
    with demo(tmp_path, "--once", *options) as process:
        _, errors = process.communicate(timeout=START_S)
    assert process.returncode != 0
    assert all(word in errors for word in words), errors
    assert "Traceback" not in errors
