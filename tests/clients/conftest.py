"""Clients of both kinds, led in the same way, against gateways inside the test's own loop."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acesteps import AsyncClient, Client
from acesteps.gateway.v1 import account_service_pb2 as account_pb
from acesteps.gateway.v1.account_service_pb2_grpc import AccountServiceStub
from deploy.local.chain import Chain
from deploy.local.postgres import Database
from services.common.channels import open_channel
from services.common.settings import ServiceSettings
from tests.clients.shell import Shell
from tests.gateway.mesh import CALL_S, Gateway, Mesh, mesh
from tests.gateway.wallets import SITE, Wallet, bearer, signed_in


class InThreads:
    """A synchronous client whose calls do not stop the loop that its gateway runs in."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if inspect.isgeneratorfunction(method):
            return lambda *given, **fields: _drawn(method(*given, **fields))
        return lambda *given, **fields: asyncio.to_thread(method, *given, **fields)


async def _drawn(values: Iterator[Any]) -> AsyncIterator[Any]:
    end = object()
    try:
        while (value := await asyncio.to_thread(next, values, end)) is not end:
            yield value
    finally:
        await asyncio.to_thread(values.close)


Connect = Callable[..., Any]


@pytest.fixture(params=[AsyncClient, Client])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Makes clients of one kind; every method of theirs is awaited or iterated as the asynchronous one's."""
    asynchronous, opened = request.param is AsyncClient, list[Any]()

    def make(target: str, **settings: Any) -> Any:
        opened.append((AsyncClient if asynchronous else Client)(target, **settings))
        return opened[-1] if asynchronous else InThreads(opened[-1])

    yield make
    for client in opened:
        if isinstance(client, AsyncClient):
            await client.close()
        else:
            await asyncio.to_thread(client.close)


@pytest.fixture
async def pods(database: Database, tmp_path: Path) -> AsyncIterator[Mesh]:
    async with mesh(database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def gateway(pods: Mesh) -> Gateway:
    return await pods.open()


@dataclass(frozen=True)
class Keyed:
    """A gateway that asks for an API key, and an account there that has them made."""

    target: str
    accounts: Any
    session: Any

    async def secret(self, *scopes: account_pb.Scope) -> str:
        request = account_pb.CreateApiKeyRequest(name="test", scopes=scopes)
        made = await self.accounts.CreateApiKey(request, timeout=CALL_S, metadata=self.session)
        return str(made.secret)


@pytest.fixture
async def keyed(pods: Mesh, anvil: Chain) -> AsyncIterator[Keyed]:
    gateway = await pods.open(
        auth="accounts", site_url=SITE, chain_rpc_url=anvil.rpc_url, chain_id=anvil.chain_id
    )
    async with open_channel(target_of(gateway), ServiceSettings()) as channel:
        accounts = AccountServiceStub(channel)
        session = bearer((await signed_in(accounts, Wallet())).session_token)
        yield Keyed(target_of(gateway), accounts, session)


def target_of(gateway: Gateway) -> str:
    return f"127.0.0.1:{gateway.settings.grpc_port}"


async def listed(values: Any) -> list[Any]:
    async with aclosing(values):
        return [value async for value in values]


@pytest.fixture
def shell(tmp_path: Path, gateway: Gateway) -> Shell:
    (tmp_path / "home").mkdir()
    return Shell(tmp_path / "home", target_of(gateway))
