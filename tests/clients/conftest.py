"""Clients of both kinds, led in the same way, against gateways inside the test's own loop."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from acesteps import AsyncClient, Client
from deploy.local.postgres import Database
from tests.gateway.mesh import Gateway, Mesh, mesh


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


def target_of(gateway: Gateway) -> str:
    return f"127.0.0.1:{gateway.settings.grpc_port}"


async def listed(values: Any) -> list[Any]:
    async with aclosing(values):
        return [value async for value in values]
