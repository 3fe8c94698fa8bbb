"""The whole mesh on one laptop: PostgreSQL, a chain with the contract, and the four services as processes.

Knows in which order things need one another, and keeps all that lasts in one folder. For programs,
`with Stack(folder) as stack:`; in the foreground, `python -m deploy.local.stack`.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from deploy.local import keys
from deploy.local.chain import Chain, Deployment
from deploy.local.cluster import PostgresError
from deploy.local.contract import ARTIFACT, ChainError
from deploy.local.folder import Folder, FolderError, Occupancy
from deploy.local.keys import KeyCommandError, Keystore
from deploy.local.ports import LOOPBACK, free_ports, is_free
from deploy.local.postgres import Database, Postgres
from deploy.local.processes import Child, ChildError, Report
from deploy.local.services import describe_engine, service_command

HTTP_PORT = 8080
GRPC_PORT = 50050
DATABASE = "acesteps"
FAILURE_POLL_S = 0.1
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Ended in this order: nobody loses what it needs while it drains.
STOP_ORDER = ("gateway", "signer", "music", "lyrics", "anvil", "postgres")
SERVICES = ("lyrics", "music", "signer", "gateway")


class StackError(RuntimeError):
    """Why the stack cannot start, in words that say what to change."""


# What a start can fail with, besides what is a mistake of ours.
START_ERRORS = (StackError, FolderError, ChildError, ChainError, PostgresError, KeyCommandError, OSError)


class Supervised(Protocol):
    """What is kept alive: a service, the chain, the database."""

    @property
    def pid(self) -> int | None: ...
    def kill(self, signal_number: signal.Signals) -> int: ...
    def wait_ready(self, after: int | None = None) -> None: ...
    def stop(self) -> None: ...


S = TypeVar("S", bound=Supervised)
V = TypeVar("V")


class Stack:
    """One mesh. Its state (songs, chain, keys) is in `data_dir` and survives restarts and kills.

    Only the gateway's two ports are fixed; all else listens on free loopback ports or a unix socket, so that
    stacks on different folders and ports run side by side.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        http_port: int = HTTP_PORT,
        grpc_port: int = GRPC_PORT,
        overrides: Mapping[str, str] | None = None,
        report: Report = lambda line: None,
    ) -> None:
        """Starts nothing. Port 0 means any free one.

        `overrides` are settings of services by their full names, as `GATEWAY_LOG_LEVEL`, that win over ours.
        Raises StackError for one that belongs to no service.
        """
        self.folder = Folder(data_dir.resolve())
        self.http_port = http_port
        self.grpc_port = grpc_port
        self._overrides = dict(overrides or {})
        self._ports: Mapping[str, int] = {}
        self._report = report
        self._running: dict[str, Supervised] = {}
        self._chain: Chain | None = None
        self._deployment: Deployment | None = None
        self._database: Database | None = None
        self._occupancy = Occupancy(self.folder)
        self._inherit: tuple[int, ...] = ()
        self._lock = threading.Lock()
        self._stopping = False
        for name in self._overrides:
            if name.split("_")[0].lower() not in SERVICES:
                raise StackError(f"{name} is no service's setting: it must start with one of {SERVICES}")

    @property
    def gateway_url(self) -> str:
        """The REST API."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def gateway_target(self) -> str:
        """The gRPC API, as `grpc.insecure_channel` takes it."""
        return f"{LOOPBACK}:{self.grpc_port}"

    @property
    def targets(self) -> Mapping[str, str]:
        """Of the services behind the gateway, by name, as the gateway is given them."""
        return {name: f"{LOOPBACK}:{port}" for name, port in self._ports.items()}

    @property
    def rpc_url(self) -> str:
        """JSON-RPC of the chain."""
        return _started(self._chain).rpc_url

    @property
    def chain_id(self) -> int:
        return _started(self._chain).chain_id

    @property
    def contract(self) -> str:
        """Address of `SongNFT`, EIP-55."""
        return _started(self._deployment).address

    @property
    def database(self) -> Database:
        return _started(self._database)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids, by name (postgres, anvil, lyrics, music, signer, gateway), of what is up now."""
        return {name: pid for name, child in self._running.items() if (pid := child.pid) is not None}

    def kill(self, name: str, signal_number: signal.Signals = signal.SIGKILL) -> int:
        """Sends a signal to a process and returns its pid; when it ends, it is started again."""
        return self._running[name].kill(signal_number)

    def wait_ready(self, name: str, after: int | None = None) -> None:
        """Waits until a process is ready; with `after`, a pid that `kill` gave, until its successor is."""
        self._running[name].wait_ready(after)

    def start(self) -> None:
        """Starts everything and waits until it is ready; when something fails, nothing stays behind.

        Raises one of START_ERRORS, with words for a person.
        """
        began = time.monotonic()
        try:
            # Ports first: whoever starts a second demo is told once what to change.
            self._choose_ports()
            self._inherit = (self._occupancy.take(self._report),)
            with ThreadPoolExecutor() as pool:
                try:
                    self._start_all(pool)
                except BaseException:
                    self.stop()  # before the pool waits for what is still being started
                    raise
        except BaseException:
            self.stop()
            raise
        self._report(f"the mesh is up after {time.monotonic() - began:.1f} s")

    def stop(self) -> None:
        """Ends every process, those first that need the others. Repeatable, also while `start` runs."""
        with self._lock:
            self._stopping = True
        with _undisturbed():
            for name in STOP_ORDER:
                if name in self._running:
                    self._running[name].stop()
            self._occupancy.release()

    def __enter__(self) -> "Stack":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _choose_ports(self) -> None:
        http_port, grpc_port = free_ports(2)
        self.http_port, self.grpc_port = self.http_port or http_port, self.grpc_port or grpc_port
        for port, face in ((self.http_port, "HTTP"), (self.grpc_port, "gRPC")):
            if not is_free(port):
                raise StackError(
                    f"port {port}, where the gateway's {face} API goes, is in use: "
                    f"choose others, for example HTTP_PORT={http_port} GRPC_PORT={grpc_port}"
                )

    def _start_all(self, pool: ThreadPoolExecutor) -> None:
        ports = self._ports = dict(zip(("lyrics", "music", "signer"), free_ports(3), strict=True))
        lyrics = self._start_service("lyrics", ports["lyrics"], {})
        music = pool.submit(self._start_music, ports["music"])
        chain = pool.submit(self._start_chain)
        postgres = pool.submit(self._start_postgres)
        # One key per format: the packed one's permits name no contract, so it signs for this one only.
        eip712, packed = (
            pool.submit(keys.ensure_keystore, self.folder.keys, name) for name in ("eip712", "packed")
        )
        keystores = self._result(eip712), self._result(packed)
        self._chain = self._result(chain)
        self._deployment = self._chain.ensure_song_nft(*([keystore.address] for keystore in keystores))
        self._report(f"chain {self.chain_id} is ready, SongNFT is at {self.contract}")
        self._database = self._result(postgres)
        if not self.folder.trust_bundle.exists():
            self._result(music)
        signer = self._start_signer(ports["signer"], *keystores)
        gateway = self._start_gateway(ports)
        self._result(music)
        for child in (lyrics, signer, gateway):
            self._result(pool.submit(child.wait_ready))
            self._report(f"{child.command.name} is ready")

    def _result(self, future: Future[V]) -> V:
        """The future's result, unless a service fails meanwhile: that is raised at once."""
        while not wait([future], timeout=FAILURE_POLL_S).done:
            for child in list(self._running.values()):
                if isinstance(child, Child):
                    child.raise_failure()
        return future.result()

    def _start_chain(self) -> Chain:
        chain = Chain(self.folder.chain, report=self._report, inherit=self._inherit)
        self._register("anvil", chain).start()
        return chain

    def _start_postgres(self) -> Database:
        server = Postgres(self.folder.postgres, report=self._report, inherit=self._inherit)
        self._register("postgres", server).start()
        database = server.create_database(DATABASE)
        self._report("PostgreSQL is ready")
        return database

    def _start_music(self, port: int) -> None:
        """Starts the pod and has its key trusted for the engine that it says it runs."""
        key_file = keys.ensure_pod_key(self.folder.keys)
        child = self._start_service(
            "music",
            port,
            {
                "ATTESTATION_KEY_FILE": key_file,
                "POD_ID": "local",
                # Written below, once the pod has said what it is; until then it makes no edits.
                "TRUST_BUNDLE_FILE": self.folder.trust_bundle,
                "TRUST_STATE_FILE": self.folder.trust_state("music"),
            },
        )
        child.wait_ready()
        engine = describe_engine(port)
        made = (engine.name, engine.weights_digest, engine.tasks)
        if not keys.trusts(self.folder.trust_bundle, engine.attestation_key_id, *made):
            keys.trust_pod(self.folder.trust_bundle, key_file, *made)
        self._report(f"music is ready with engine {engine.name}")

    def _start_signer(self, port: int, eip712: Keystore, packed: Keystore) -> Child:
        return self._start_service(
            "signer",
            port,
            {
                "DATABASE_URL": self.database.signer_dsn,
                "OWNER_DATABASE_URL": self.database.signer_owner_dsn,
                "KEYSTORE_FILE": eip712.file,
                "KEYSTORE_PASSWORD_FILE": eip712.password_file,
                "PACKED_KEYSTORE_FILE": packed.file,
                "PACKED_KEYSTORE_PASSWORD_FILE": packed.password_file,
                "CHAIN_ID": self.chain_id,
                "CONTRACT": self.contract,
                "TRUST_BUNDLE_FILE": self.folder.trust_bundle,
                "TRUST_STATE_FILE": self.folder.trust_state("signer"),
            },
        )

    def _start_gateway(self, ports: Mapping[str, int]) -> Child:
        return self._start_service(
            "gateway",
            self.grpc_port,
            {
                "HTTP_HOST": LOOPBACK,
                "HTTP_PORT": self.http_port,
                "DATABASE_URL": self.database.gateway_dsn,
                **{f"{name.upper()}_TARGET": f"{LOOPBACK}:{port}" for name, port in ports.items()},
                "OBJECTS_URL": self.folder.objects.as_uri(),
                "URL_KEYS": keys.ensure_secret(self.folder.keys, "url.key"),
                "WEBHOOK_KEY": keys.ensure_secret(self.folder.keys, "webhook.key"),
                "CONTRACT_ABI_FILE": ARTIFACT,
                "CHAIN_RPC_URL": self.rpc_url,
                "CHAIN_ID": self.chain_id,
                "CONTRACT": self.contract,
                # anvil makes a block for each transaction, and none on its own: a mint has nothing on top.
                "CHAIN_CONFIRMATIONS": 0,
                "CHAIN_POLL_S": 0.5,
                "PUBLIC_URL": self.gateway_url,
                # One machine, no network between: a gateway that was killed gives its songs back soon.
                "LEASE_S": 10,
            },
        )

    def _start_service(self, name: str, port: int, settings: Mapping[str, object]) -> Child:
        prefix = f"{name.upper()}_"
        own = {key.removeprefix(prefix): v for key, v in self._overrides.items() if key.startswith(prefix)}
        command = service_command(name, port, {**settings, **own}, self.folder.log(name), self._inherit)
        child = self._register(name, Child(command, self._report))
        child.start()
        return child

    def _register(self, name: str, child: S) -> S:
        with self._lock:
            if self._stopping:
                raise StackError("the stack was stopped while it started")
            self._running[name] = child
            return child


def _started(value: V | None) -> V:
    if value is None:
        raise StackError("the stack has not been started")
    return value


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Holds off an impatient second Ctrl-C, which would leave children to end by themselves."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in END_SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def interrupt_on_signals() -> None:
    """Has every signal that asks for the end raise KeyboardInterrupt, also where a shell has it ignored."""
    for number in END_SIGNALS:
        signal.signal(number, signal.default_int_handler)


def port_number(text: str) -> int:
    """A TCP port from the command line; 0 means any free one. Raises ValueError."""
    port = int(text)
    if not 0 <= port <= 65_535:
        raise ValueError(f"{port} is no port: 0 to 65535")
    return port


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.stack", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path("var/stack"), help="default: %(default)s")
    for name, own, text in (("http", HTTP_PORT, "REST"), ("grpc", GRPC_PORT, "gRPC")):
        variable = f"{name.upper()}_PORT"
        default = os.environ.get(variable) or own
        text = f"{text}, default: ${variable}, else {own}"
        parser.add_argument(f"--{name}-port", type=port_number, default=default, help=text)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of a service; repeatable"
    )
    options = parser.parse_args(arguments)
    overrides = dict(pair.partition("=")[::2] for pair in options.set)
    interrupt_on_signals()
    try:
        stack = Stack(
            options.data_dir,
            http_port=options.http_port,
            grpc_port=options.grpc_port,
            overrides=overrides,
            report=lambda line: print(line, flush=True),
        )
        with stack:
            print(f"REST {stack.gateway_url}/docs, gRPC {stack.gateway_target}, chain {stack.rpc_url}")
            print(f"logs are in {stack.folder.logs}; Ctrl-C ends everything", flush=True)
            threading.Event().wait()
    except START_ERRORS as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("everything has ended", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
