"""A local Ethereum chain: anvil as a supervised child, on loopback, with its state in a file.

Knows how to run the node and to keep one `SongNFT` on it. What is minted is others' business.
"""

import json
import os
import platform
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from deploy.local import contract
from deploy.local.contract import ChainError
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import Child, Command, Report

NODE_MODULES = Path(__file__).parents[2] / "node_modules"
CHAIN_ID = 31337
# What a kill -9 may lose; anvil writes its state when it ends, and this often.
STATE_INTERVAL_S = 1


@dataclass(frozen=True)
class Deployment:
    """The `SongNFT` of a chain, EIP-55."""

    address: str
    admin: str


class Chain:
    """A node on loopback."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        report: Report = lambda line: None,
        inherit: Sequence[int] = (),
    ) -> None:
        """Prepares to run the node whose state is in `data_dir`, on a free port if none is given.

        Starts nothing. `inherit` are descriptors that it holds while it runs. Raises ChainError.
        """
        port = port or free_ports(1)[0]
        data_dir.mkdir(parents=True, exist_ok=True)
        self.rpc_url = f"http://{LOOPBACK}:{port}"
        self.chain_id = CHAIN_ID
        self._report = report
        self._state_file = data_dir / "state.json"
        self._record_file = data_dir / "contract.json"
        self._signers: tuple[Sequence[str], Sequence[str]] | None = None
        argv = [str(foundry_binary("anvil")), "--host", LOOPBACK, "--port", str(port)]
        argv += ["--chain-id", str(CHAIN_ID)]
        argv += ["--state", str(self._state_file), "--state-interval", str(STATE_INTERVAL_S)]
        self._child = Child(
            Command(
                name="anvil",
                argv=argv,
                environment={"PATH": os.defpath, "HOME": str(data_dir), "NO_COLOR": "1"},
                log_file=data_dir / "anvil.log",
                is_ready=lambda pid: self._answers(),
                prepare=self._drop_broken_state,
                inherit=inherit,
            ),
            report,
        )

    @property
    def pid(self) -> int | None:
        """The node's process id, or None while it is down."""
        return self._child.pid

    def start(self) -> None:
        """Starts the node and waits until it answers. Raises ChildError."""
        self._child.start()
        try:
            self._child.wait_ready()
        except BaseException:
            self.stop()
            raise

    def ensure_song_nft(
        self, eip712_signers: Sequence[str], packed_signers: Sequence[str] = ()
    ) -> Deployment:
        """The chain's contract: the recorded one, or a new one where it is gone or its source has changed.

        The signers given get their roles. A node that comes back without the contract gets it again before
        it counts as ready. Raises ChainError.
        """
        deployment = self._ensure(eip712_signers, packed_signers)
        self._signers = (eip712_signers, packed_signers)
        return deployment

    def kill(self, signal_number: signal.Signals) -> int:
        """Sends a signal to the node and returns its pid; when it ends, it is started again."""
        return self._child.kill(signal_number)

    def wait_ready(self, after: int | None = None) -> None:
        """Waits until the node answers; with `after`, a pid that `kill` gave, its successor."""
        self._child.wait_ready(after)

    def stop(self) -> None:
        """Ends the node, which writes its state."""
        self._child.stop()

    def __enter__(self) -> "Chain":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ensure(self, eip712_signers: Sequence[str], packed_signers: Sequence[str]) -> Deployment:
        admin = contract.development_accounts(self.rpc_url)[0]
        built = contract.read_artifact().digest
        try:
            record = json.loads(self._record_file.read_text())
        except (OSError, ValueError):
            record = {}
        address = record.get("address", "")
        if record.get("bytecode_sha256") != built or not contract.has_code(self.rpc_url, address):
            address = contract.deploy_song_nft(self.rpc_url, admin)
            # Written before the roles are granted, which is repeated on every start.
            _replace(self._record_file, json.dumps({"address": address, "bytecode_sha256": built}))
        roles = {"EIP712_SIGNER_ROLE": eip712_signers, "PACKED_SIGNER_ROLE": packed_signers}
        contract.grant_roles(self.rpc_url, admin, address, roles)
        return Deployment(address, admin)

    def _answers(self) -> bool:
        try:
            contract.chain_id(self.rpc_url)
            if self._signers is not None:
                self._ensure(*self._signers)
        except ChainError:
            return False
        return True

    def _drop_broken_state(self) -> None:
        """Puts a state aside that anvil could not read: it does not write the file in one piece."""
        try:
            json.loads(self._state_file.read_text())
        except FileNotFoundError:
            return
        except ValueError:
            self._state_file.replace(self._state_file.with_suffix(".broken"))
            self._report("the chain's state was cut off by a kill: the chain starts anew")


def start(data_dir: Path, *, report: Report = lambda line: None) -> Chain:
    """A node with its state in `data_dir`, started and ready; see `Chain`. Raises its errors."""
    chain = Chain(data_dir, report=report)
    chain.start()
    return chain


def foundry_binary(tool: str) -> Path:
    """`anvil` or `forge` as npm brought it for this platform. Raises ChainError.

    Not their own launchers, Node scripts whose child outlives them and whose status is 0 whatever it says.
    """
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    package = f"{tool}-{sys.platform}-{machine.get(platform.machine().lower(), platform.machine())}"
    path = NODE_MODULES / "@foundry-rs" / package / "bin" / tool
    if not path.exists():
        raise ChainError(f"{path} is missing: install it with `make setup`")
    return path


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text(text)
    unfinished.replace(path)
