"""What the gateway tells Prometheus of its database."""

import asyncio
import signal

import pytest
from prometheus_client import REGISTRY

from deploy.local.postgres import Database as Server
from deploy.local.postgres import Postgres
from services.common.migrations import migrate
from services.gateway.database import SCHEMA, open_database
from services.gateway.resources import MIGRATIONS
from services.gateway.store import Store
from services.gateway.work import dispatch
from services.gateway.work.dispatch import measure
from tests.gateway.mesh import eventually


async def test_it_tells_when_its_database_is_away_and_when_it_is_back(
    postgres: Postgres, database: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def up() -> bool:
        return REGISTRY.get_sample_value("acesteps_gateway_database_up") == 1

    async def away() -> bool:
        return not await up()

    monkeypatch.setattr(dispatch, "DEPTH_EVERY_S", 0.02)
    await migrate(database.gateway_dsn, SCHEMA, MIGRATIONS)
    async with open_database(database.gateway_dsn, connections=1) as opened:
        measuring = asyncio.create_task(measure(Store(opened)))
        await eventually(up)
        killed = postgres.kill(signal.SIGKILL)
        await eventually(away)
        await asyncio.to_thread(postgres.wait_ready, killed)
        await eventually(up)
        measuring.cancel()
