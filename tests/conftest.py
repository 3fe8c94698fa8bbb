"""The real things that tests stand on: one PostgreSQL and one chain per run, a fresh database per test."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from deploy.local import chain as local_chain
from deploy.local import postgres as local_postgres
from deploy.local.chain import Chain, Deployment
from deploy.local.contract import deploy_song_nft, development_accounts
from deploy.local.postgres import Database, Postgres
from services.common.migrations import migrate
from services.signer.database import MIGRATIONS, SCHEMA

TEMPLATE = "acesteps_template"
# Tests kill processes, not machines: what the kernel has is safe.
WITHOUT_FSYNC = {"fsync": "off", "full_page_writes": "off"}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running server; a test may `kill` it and then `wait_ready(after=pid)`: it comes back."""
    folder = tmp_path_factory.mktemp("postgres")
    with local_postgres.start(folder / "data", settings=WITHOUT_FSYNC) as server:
        template = server.create_database(TEMPLATE)
        # As an operator does it before the signer runs, whose role cannot.
        asyncio.run(migrate(template.signer_owner_dsn, SCHEMA, MIGRATIONS))
        yield server


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Callable[[], Database]:
    """Makes databases with all roles, the signer's tables and an empty schema for the gateway's."""
    numbers = count(1)
    return lambda: postgres.create_database(f"test_{next(numbers)}", template=TEMPLATE)


@pytest.fixture
def database(postgres: Postgres, new_database: Callable[[], Database]) -> Iterator[Database]:
    """A fresh database for one test: `gateway_dsn`, `signer_dsn`, `superuser_dsn`."""
    fresh = new_database()
    yield fresh
    postgres.wait_ready()
    postgres.drop_database(fresh.name)


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A running chain (`rpc_url`, `chain_id` 31337) with funded, unlocked development accounts."""
    with local_chain.start(tmp_path_factory.mktemp("chain")) as node:
        yield node


@pytest.fixture
def song_nft(anvil: Chain) -> Deployment:
    """A fresh `SongNFT` (`address`, `admin`) that trusts no signer yet: see `contract.grant_roles`."""
    admin = development_accounts(anvil.rpc_url)[0]
    return Deployment(deploy_song_nft(anvil.rpc_url, admin), admin)
