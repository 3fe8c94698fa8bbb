"""One whole mesh for the end-to-end tests: processes of its own, on free ports and a folder of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from acesteps import AsyncClient
from deploy.local.stack import Stack

# Short enough that a test need not wait long for a killed gateway's lease to run out.
OVERRIDES = {"GATEWAY_LEASE_S": "3", "GATEWAY_BACKOFF_S": "0.2", "GATEWAY_REAP_EVERY_S": "0.5"}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("mesh"), http_port=0, grpc_port=0, overrides=OVERRIDES) as mesh:
        yield mesh


@pytest.fixture
async def artist(stack: Stack) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(stack.gateway_target) as connected:
        yield connected


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path
