"""One whole mesh for the end-to-end tests: processes of its own, on free ports and a folder of its own, that
send their spans here."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from acesteps import AsyncClient
from deploy.local.ports import free_ports
from deploy.local.stack import SERVICES, Stack
from tests.e2e.collector import Collector, collecting

# Short enough that a test need not wait long for a killed gateway's lease to run out.
OVERRIDES = {"GATEWAY_LEASE_S": "3", "GATEWAY_BACKOFF_S": "0.2", "GATEWAY_REAP_EVERY_S": "0.5"}


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with collecting() as opened:
        yield opened


@pytest.fixture(scope="session")
def metrics_ports() -> Mapping[str, int]:
    """Of the services, by name."""
    return dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector, metrics_ports: Mapping[str, int]
) -> Iterator[Stack]:
    ports = {f"{name.upper()}_METRICS_PORT": str(port) for name, port in metrics_ports.items()}
    mesh = Stack(tmp_path_factory.mktemp("mesh"), http_port=0, grpc_port=0, overrides=OVERRIDES | ports)
    with pytest.MonkeyPatch.context() as environment:  # which services are given at their start
        for name, value in collector.environment.items():
            environment.setenv(name, value)
        mesh.start()
    try:
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture
async def artist(stack: Stack) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(stack.gateway_target) as connected:
        yield connected


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path
