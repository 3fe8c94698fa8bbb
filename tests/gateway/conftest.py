"""Gateways for tests: a fresh one each, or one for a whole module of tests that share it."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.account_service_pb2_grpc import AccountServiceStub
from deploy.local import chain as local_chain
from deploy.local.chain import Chain
from deploy.local.postgres import Database
from services.common.channels import open_channel
from services.common.settings import ServiceSettings
from tests.gateway.ground import Ground, open_ground
from tests.gateway.mesh import CALL_S, Gateway, Mesh, mesh
from tests.gateway.wallets import SITE


@pytest.fixture
async def pods(database: Database, tmp_path: Path) -> AsyncIterator[Mesh]:
    """Pods that a test leads; it opens the gateways itself."""
    async with mesh(database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def gateway(pods: Mesh) -> Gateway:
    return await pods.open()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_pods(
    new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mesh]:
    async with mesh(new_database(), tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_pods: Mesh) -> Gateway:
    """One gateway for a module whose tests do not disturb one another."""
    return await shared_pods.open()


@pytest_asyncio.fixture(loop_scope="module")
async def undisturbed(shared_pods: Mesh, shared: Gateway) -> AsyncIterator[None]:
    """Shared pods without a past, and no song of an earlier test in the making."""
    shared_pods.lyrics.forget()
    yield
    shared_pods.music.forget()
    for song in (await shared.grpc.ListSongs(pb.ListSongsRequest(), timeout=CALL_S)).songs:
        await shared.ended(song.id)
    shared_pods.music.forget()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked(shared_pods: Mesh, anvil: Chain) -> Gateway:
    """A gateway that lets nobody in without credentials, on a chain that it can ask."""
    return await shared_pods.open(
        auth="accounts", site_url=SITE, chain_rpc_url=anvil.rpc_url, chain_id=anvil.chain_id
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def accounts(locked: Gateway) -> AsyncIterator[Any]:
    channel = open_channel(f"127.0.0.1:{locked.settings.grpc_port}", ServiceSettings())
    yield AccountServiceStub(channel)
    await channel.close()


@pytest.fixture(scope="session")
def own_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """One that tests may turn back and run ahead of the clock."""
    with local_chain.start(tmp_path_factory.mktemp("watched")) as node:
        yield node


@pytest.fixture
async def ground(pods: Mesh, own_chain: Chain) -> AsyncIterator[Ground]:
    """What a watcher of mints stands on."""
    async with open_ground(pods, own_chain) as opened:
        yield opened
