"""The whole mesh on one machine: up with one call, gone with one signal, one per folder."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

from deploy.local.folder import FolderError
from deploy.local.stack import STOP_ORDER, Stack, StackError

START_PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with Stack(folder, http_port=0, grpc_port=0, report=lines.append) as running:
        yield running


def is_healthy(stack: Stack) -> bool:
    with urllib.request.urlopen(f"{stack.gateway_url}/healthz", timeout=5) as answer:
        return bool(answer.status == 200)


def children_of(pid: int, but: Set[int] = frozenset()) -> set[int]:
    """Living descendants of a process without `but` and theirs, and of those that have died meanwhile nobody
    (Linux)."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(") ")
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if state != "Z":
            parents[int(name.split()[0])] = int(parent)
    found, new = set[int](), {pid}
    while new:
        found |= new
        new = {child for child, parent in parents.items() if parent in new} - found - but
    return found - {pid}


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and "Z" not in _state(pid)}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return "Z"


class Foreground:
    """`python -m deploy.local.stack`, as a person starts it."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "deploy.local.stack", "--data-dir", str(folder)]
        self.process = subprocess.Popen(
            [*command, "--http-port", "0", "--grpc-port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []

    def wait_until_up(self) -> str:
        """The contract's address."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("logs are in"):
                found = re.search(r"SongNFT is at (0x\w{40})", "".join(self.lines))
                assert found
                return found[1]
        raise AssertionError("".join(self.lines))


def test_every_process_is_up_and_the_gateway_answers(stack: Stack, lines: list[str]) -> None:
    assert set(stack.pids) == set(STOP_ORDER)
    assert is_healthy(stack)
    assert re.fullmatch(r"the mesh is up after \d+\.\d s", lines[-1])


def test_nothing_but_loopback_is_listened_on(stack: Stack) -> None:
    pids = {str(pid) for pid in stack.pids.values()}
    sockets = {
        os.readlink(link)
        for pid in pids
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if link.exists() or link.is_symlink()
    }
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:  # LISTEN
                # 127.0.0.1 as the kernel writes it, in an IPv6 socket with ::ffff: before it
                assert fields[1].partition(":")[0].endswith("0100007F"), f"{table} {fields[1]}"


def test_a_second_stack_on_the_same_folder_is_refused_by_the_name_of_the_first(stack: Stack) -> None:
    with pytest.raises(FolderError, match=rf"process {os.getpid()}, runs on .*DATA_DIR"):
        Stack(stack.folder.root, http_port=0, grpc_port=0).start()
    assert is_healthy(stack)


def test_a_port_in_use_is_named_with_the_variable_to_change(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=rf"port {stack.http_port}, .*HTTP API.* HTTP_PORT"):
        Stack(tmp_path, http_port=stack.http_port, grpc_port=0).start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {port}, .*gRPC API.* GRPC_PORT"):
            Stack(tmp_path, http_port=0, grpc_port=port).start()


def test_a_setting_of_no_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="GATEWY_LEASE_S is no service's setting"):
        Stack(tmp_path, overrides={"GATEWY_LEASE_S": "1"})


def test_a_service_that_refuses_its_settings_stops_the_start_and_leaves_nothing(tmp_path: Path) -> None:
    before = children_of(os.getpid())
    stack = Stack(tmp_path, http_port=0, grpc_port=0, overrides={"LYRICS_NO_SUCH": "1"})
    with pytest.raises(RuntimeError, match=r"(?s)lyrics ended.*LYRICS_NO_SUCH"):
        stack.start()
    assert stack.pids == {}
    # PostgreSQL servers of other tests begin and end workers of their own at any moment.
    assert children_of(os.getpid(), but=before) == set()


@pytest.mark.parametrize("name", ["gateway", "music", "anvil"])
def test_a_killed_process_comes_back(stack: Stack, name: str) -> None:
    pid = stack.kill(name)
    stack.wait_ready(name, after=pid)
    assert stack.pids[name] != pid
    stack.wait_ready("gateway")
    assert is_healthy(stack)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_a_killed_stack_leaves_nothing_and_the_next_goes_on_until_ctrl_c(tmp_path: Path) -> None:
    first = Foreground(tmp_path)
    contract = first.wait_until_up()
    orphans = children_of(first.process.pid)
    assert len(orphans) >= len(STOP_ORDER)
    first.process.kill()
    first.process.wait()

    second = Foreground(tmp_path)  # at once, while they are still ending
    assert second.wait_until_up() == contract
    assert not alive(orphans)
    children = children_of(second.process.pid)
    os.killpg(second.process.pid, signal.SIGINT)  # as the terminal does
    output, _ = second.process.communicate(timeout=START_PATIENCE_S)
    assert (second.process.returncode, output) == (0, "everything has ended\n")
    assert not alive(children)


def test_a_stack_that_is_interrupted_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    starting = Foreground(tmp_path)
    assert starting.process.stdout is not None
    starting.process.stdout.readline()
    children = children_of(starting.process.pid)
    os.killpg(starting.process.pid, signal.SIGINT)
    began = time.monotonic()
    starting.process.communicate(timeout=START_PATIENCE_S)
    assert time.monotonic() - began < 15
    assert not alive(children)
