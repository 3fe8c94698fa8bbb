"""What the gateway opens before it can do anything: databases, objects, channels, the chain, other places.

Opens and closes; uses nothing.
"""

import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import aiohttp
import asyncpg
import grpc

from services.common.channels import open_channel
from services.common.migrations import MigrationError, migrate, missing_at, why_not_open
from services.common.server import StartError
from services.gateway.chain import Chain, open_chain
from services.gateway.database import MIGRATIONS, SCHEMA, Database, DatabaseUnavailable, open_database
from services.gateway.minting.keeping import Keeper
from services.gateway.minting.places import open_places
from services.gateway.minting.remote_pins import RemotePins
from services.gateway.notices import Notices
from services.gateway.objects import Objects
from services.gateway.settings import GatewaySettings
from services.gateway.tiers import DEFAULT_FILE, Tiers, TiersError, read_tiers
from services.gateway.webhooks.addresses import look_up
from services.gateway.webhooks.sending import open_session
from services.gateway.work.discovery import addresses_of, name_of
from services.gateway.work.pods import Pods

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resources:
    settings: GatewaySettings
    tiers: Tiers
    # for people, and for workers: a crowd of listeners must not keep the workers waiting for a connection
    database: Database
    workers_database: Database
    notices: Notices
    objects: Objects
    lyrics: grpc.aio.Channel
    signer: grpc.aio.Channel
    pods: Pods
    # None: not set
    chain: Chain | None
    # other places that pin
    keeper: Keeper
    # calls webhooks
    session: aiohttp.ClientSession


async def open_resources(settings: GatewaySettings, stack: AsyncExitStack) -> Resources:
    """Everything is closed again as the stack unwinds.

    Raises:
        StartError: one of them cannot be used.
    """
    database, workers_database = await _open_databases(settings, stack)
    try:
        tiers = read_tiers(settings.tiers_file or DEFAULT_FILE)
    except TiersError as error:
        raise StartError(f"GATEWAY_TIERS_FILE: {error}") from error
    try:
        objects = Objects.open(settings.objects_url, workers_database, grace_s=settings.sweep_grace_s)
    except (ValueError, OSError) as error:
        raise StartError(f"cannot open the objects in GATEWAY_OBJECTS_URL: {error}") from error
    lyrics, signer = [
        await stack.enter_async_context(open_channel(target, settings))
        for target in (settings.lyrics_target, settings.signer_target)
    ]
    url = settings.chain_rpc_url
    places = await stack.enter_async_context(open_places(settings))
    return Resources(
        settings=settings,
        tiers=tiers,
        database=database,
        workers_database=workers_database,
        notices=Notices(
            settings.database_url.get_secret_value(), poll_s=settings.poll_s, listen=settings.listen
        ),
        objects=objects,
        lyrics=lyrics,
        signer=signer,
        pods=_pods(settings),
        chain=await stack.enter_async_context(open_chain(url.get_secret_value())) if url else None,
        keeper=Keeper(RemotePins(workers_database), objects, places, poll_s=settings.pin_poll_s),
        session=await stack.enter_async_context(
            open_session(anywhere=settings.webhooks_anywhere, look_up=look_up)
        ),
    )


def _pods(settings: GatewaySettings) -> Pods:
    name = name_of(settings.music_target)

    def open_pod(address: str) -> grpc.aio.Channel:
        # An address has no certificate; the name that it was found under has.
        return open_channel(address, settings, server_name=name[0] if name else "")

    return Pods(
        partial(addresses_of, settings.music_target),
        open_pod,
        resolve_every_s=settings.resolve_every_s,
        ahead=settings.ahead,
    )


async def _open_databases(settings: GatewaySettings, stack: AsyncExitStack) -> tuple[Database, Database]:
    dsn = settings.database_url.get_secret_value()
    try:
        if settings.migrate:
            if applied := await migrate(dsn, SCHEMA, MIGRATIONS):
                _log.info("migrated", extra={"applied": applied})
        elif lacking := await missing_at(dsn, SCHEMA, MIGRATIONS):
            raise MigrationError(f"{lacking[0]} is not applied; run python -m services.gateway.migrate")
        people = await stack.enter_async_context(
            open_database(dsn, connections=settings.database_connections)
        )
        workers = await stack.enter_async_context(open_database(dsn, connections=settings.workers + 4))
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, MigrationError) as error:
        raise StartError(f"cannot use the database in GATEWAY_DATABASE_URL: {why_not_open(error)}") from error
    except DatabaseUnavailable as error:
        raise StartError("cannot connect to the database in GATEWAY_DATABASE_URL") from error
    return people, workers
