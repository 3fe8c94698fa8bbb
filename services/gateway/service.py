"""The gateway put together: what it opens, and in which order it starts and stops.

Knows every room and no rule.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import asyncpg
import grpc

from services.common.channels import open_channel
from services.common.migrations import MigrationError, migrate, why_not_open
from services.common.server import GrpcService, Health, StartError
from services.gateway.accounts import DEVELOPMENT_ACCOUNT, Accounts
from services.gateway.allowances import Allowances
from services.gateway.arranging import Arranging
from services.gateway.audio.chunks import Chunks
from services.gateway.audio.download import Files
from services.gateway.audio.listening import Listening
from services.gateway.audio.pictures import Pictures
from services.gateway.audio.signed_urls import SignedUrls, drawn_key
from services.gateway.audio.workbench import Workbench
from services.gateway.batch_store import BatchStore
from services.gateway.batches import Batches
from services.gateway.capabilities import Capabilities
from services.gateway.chain import open_chain
from services.gateway.database import SCHEMA, Database, DatabaseUnavailable, open_database
from services.gateway.faces.grpc_accounts import account_service
from services.gateway.faces.grpc_face import grpc_service
from services.gateway.faces.grpc_operator import operator_service
from services.gateway.faces.grpc_webhooks import webhook_service
from services.gateway.faces.http_face import create_app
from services.gateway.faces.http_guard import Patience
from services.gateway.faces.http_server import serve_http
from services.gateway.identity.identities import Identities
from services.gateway.identity.leaving import Leaving
from services.gateway.identity.signing_in import SigningIn, Site
from services.gateway.identity.use_cases import AccountUseCases
from services.gateway.minting.keeping import Keeper
from services.gateway.minting.mints import Contract, Mints
from services.gateway.minting.places import open_places
from services.gateway.minting.remote_pins import RemotePins
from services.gateway.minting.saving import Saver
from services.gateway.minting.use_cases import Minting
from services.gateway.minting.watcher import Watch, Watcher
from services.gateway.models import Song
from services.gateway.notices import Notices
from services.gateway.objects import Objects
from services.gateway.operating import Operating
from services.gateway.ordering import Ordering
from services.gateway.settings import GatewaySettings
from services.gateway.sharing import Sharing
from services.gateway.shelf import Shelf
from services.gateway.songs import Songs
from services.gateway.store import Store
from services.gateway.tiers import DEFAULT_FILE, TiersError, read_tiers
from services.gateway.use_cases import UseCases
from services.gateway.waiting import WaitingRoom
from services.gateway.webhooks.addresses import look_up
from services.gateway.webhooks.delivering import Delivering
from services.gateway.webhooks.hooks import Hooks
from services.gateway.webhooks.sending import Sender, open_session
from services.gateway.webhooks.signing import Secrets
from services.gateway.webhooks.use_cases import Webhooks
from services.gateway.words import Words
from services.gateway.work.attempt import Attempt, Outcome
from services.gateway.work.discovery import addresses_of, name_of
from services.gateway.work.dispatch import Dispatcher, measure
from services.gateway.work.lyricist import Lyricist
from services.gateway.work.pods import Pods, Turn
from services.gateway.work.queue import Limits, Queue
from services.gateway.work.renderer import Renderer
from services.gateway.work.source import Sources
from services.gateway.work.sweeping import Sweeper

_log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).with_name("migrations")
CHECK_S = 1.0
RESTART_S = 1.0


async def build(settings: GatewaySettings, stack: AsyncExitStack, health: Health) -> Sequence[GrpcService]:
    """Opens the database, the objects and the channels, starts the workers and the HTTP face.

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
    store = Store(database)
    if settings.auth == "development":
        await store.enter_account(DEVELOPMENT_ACCOUNT.id, DEVELOPMENT_ACCOUNT.tier)
    notices = Notices(
        settings.database_url.get_secret_value(), poll_s=settings.poll_s, listen=settings.listen
    )
    lyrics, signer = [
        await stack.enter_async_context(open_channel(target, settings))
        for target in (settings.lyrics_target, settings.signer_target)
    ]
    pods = _pods(settings)
    lyricist = Lyricist(lyrics)
    identities, shelf = Identities(database), Shelf(database)
    chain_url = settings.chain_rpc_url
    chain = await stack.enter_async_context(open_chain(chain_url.get_secret_value())) if chain_url else None
    signing_in = SigningIn(
        identities,
        Site(settings.site, settings.chain_id),
        chain,
        tier=tiers.first,
        session_s=settings.session_s,
    )
    allowances = Allowances(store, tiers)
    identity = AccountUseCases(identities, signing_in, allowances)
    ordering, waiting = Ordering(store, lyricist, allowances), WaitingRoom(database, tiers)
    workbench = Workbench()
    files = Files(objects, workbench)
    hooks, secrets_ = Hooks(database), Secrets(_webhook_key(settings))
    anywhere = settings.webhooks_anywhere
    session = await stack.enter_async_context(open_session(anywhere=anywhere, look_up=look_up))
    sender = Sender(session, store, secrets_, anywhere=anywhere)
    delivering = Delivering(hooks, sender, notices, pause_s=settings.webhook_pause_s)
    keeper = Keeper(
        RemotePins(workers_database),
        objects,
        await stack.enter_async_context(open_places(settings)),
        poll_s=settings.pin_poll_s,
    )
    use_cases = UseCases(
        webhooks=Webhooks(hooks, secrets_, delivering, anywhere=anywhere, look_up=look_up),
        accounts=Accounts(identities, development=settings.auth == "development"),
        signing_in=signing_in,
        identity=identity,
        leaving=Leaving(database, store, identity),
        allowances=allowances,
        songs=Songs(store, notices, ordering, waiting, health.draining),
        batches=Batches(BatchStore(database), notices, ordering, waiting, health.draining),
        words=Words(lyrics),
        listening=Listening(store, Chunks(database), files, notices, _signed_urls(settings), health.draining),
        pictures=Pictures(store, files, workbench),
        arranging=Arranging(store, shelf, settings.public_url),
        sharing=Sharing(shelf, settings.public_url),
        operating=Operating(shelf),
        capabilities=Capabilities(lambda: pods.ready, lyrics, settings.chain_id),
        minting=Minting(
            store,
            objects,
            Saver(store, objects, keeper, signer, public_url=settings.public_url),
            settings.contract_abi_file,
        ),
    )

    for work in (
        notices.run,
        partial(measure, store),
        partial(_follow_database, store, health),
        partial(_wake_when_draining, notices, health.draining),
        pods.run,
        delivering.run,
        partial(Sweeper(workers_database, objects).run, settings.sweep_every_s),
    ):
        _run_beside(stack, work)
    if keeper.places:
        _run_beside(stack, keeper.run)
    if settings.contract and chain:
        contract = Contract(settings.chain_id, settings.contract)
        mints = Mints(
            workers_database, contract, start_block=settings.chain_start_block, lease_s=settings.lease_s
        )
        watch = Watch(contract, settings.chain_confirmations, settings.chain_poll_s)
        _run_beside(stack, Watcher(chain, mints, watch).run)
    if settings.workers:
        queue = Queue(
            workers_database,
            Limits(
                lease_s=settings.lease_s,
                max_failures=settings.max_failures,
                backoff_s=settings.backoff_s,
                tiers=tiers,
            ),
        )
        renderer = Renderer(
            objects,
            Sources(Store(workers_database), objects),
            silence_s=settings.lease_s,
            timeout_s=settings.render_timeout_s,
        )

        async def make(song: Song, turn: Turn) -> Outcome:
            return await Attempt(song, turn, queue, lyricist, renderer, notices).run()

        dispatcher = Dispatcher(
            queue,
            notices,
            make,
            workers=settings.workers,
            poll_s=settings.poll_s,
            pods=pods,
        )
        _run_beside(stack, partial(dispatcher.reap, settings.reap_every_s))
        await stack.enter_async_context(_working(dispatcher, health.draining, settings.drain_grace_s))
    port = await stack.enter_async_context(
        serve_http(
            create_app(
                use_cases,
                health,
                cors_origins=settings.cors_origins,
                public_url=settings.public_url,
                site=settings.site,
                body_s=settings.http_body_s,
            ),
            settings.http_host,
            settings.http_port,
            patience=Patience(
                head_s=settings.http_head_s,
                body_s=settings.http_body_s,
                answer_s=settings.listener_patience_s,
                connections=settings.http_connections,
            ),
            draining=health.draining,
            drain_delay_s=settings.drain_delay_s,
            grace_s=settings.drain_grace_s,
        )
    )
    _log.info("serving HTTP", extra={"http": f"{settings.http_host}:{port}", "url": settings.public_url})
    return [
        grpc_service(use_cases, listener_patience_s=settings.listener_patience_s),
        account_service(use_cases),
        operator_service(use_cases),
        webhook_service(use_cases),
    ]


def _webhook_key(settings: GatewaySettings) -> bytes:
    if settings.webhook_key is not None:
        return settings.webhook_key.get_secret_value().encode()
    _log.warning("GATEWAY_WEBHOOK_KEY is not set: the secrets of webhooks last as long as this process")
    return secrets.token_bytes(32)


def _pods(settings: GatewaySettings) -> Pods:
    name = name_of(settings.music_target)

    def open_pod(address: str) -> grpc.aio.Channel:
        # An address has no certificate; the name that it was found under has.
        return open_channel(address, settings, server_name=name[0] if name else "")

    return Pods(
        partial(addresses_of, settings.music_target), open_pod, resolve_every_s=settings.resolve_every_s
    )


def _signed_urls(settings: GatewaySettings) -> SignedUrls:
    keys = [key.get_secret_value() for key in settings.url_keys]
    if not keys:
        keys = [drawn_key()]
        _log.info("GATEWAY_URL_KEYS is not set: signed URLs are good at this process only, and end with it")
    return SignedUrls(keys, settings.url_s, settings.public_url)


async def _open_databases(settings: GatewaySettings, stack: AsyncExitStack) -> tuple[Database, Database]:
    """(for people, for workers): a crowd of listeners must not keep the workers waiting for a connection."""
    dsn = settings.database_url.get_secret_value()
    try:
        applied = await migrate(dsn, SCHEMA, MIGRATIONS)
        if applied:
            _log.info("migrated", extra={"applied": applied})
        people = await stack.enter_async_context(
            open_database(dsn, connections=settings.database_connections)
        )
        workers = await stack.enter_async_context(open_database(dsn, connections=settings.workers + 4))
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, MigrationError) as error:
        raise StartError(f"cannot use the database in GATEWAY_DATABASE_URL: {why_not_open(error)}") from error
    except DatabaseUnavailable as error:
        raise StartError("cannot connect to the database in GATEWAY_DATABASE_URL") from error
    return people, workers


async def _kept_up(work: Callable[[], Awaitable[None]]) -> None:
    """Begins `work` again when it breaks: a gateway whose reaper has died must not look well."""
    while True:
        try:
            return await work()
        except Exception:
            _log.exception("a task broke and is begun again")
            await asyncio.sleep(RESTART_S)


def _run_beside(stack: AsyncExitStack, work: Callable[[], Awaitable[None]]) -> None:
    """Runs a task until it is done or the stack unwinds."""
    task = asyncio.create_task(_kept_up(work))

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(stop)


@asynccontextmanager
async def _working(dispatcher: Dispatcher, draining: asyncio.Event, grace_s: float) -> AsyncIterator[None]:
    """Has songs made. Once `draining` is set, none is begun, and those in the making have `grace_s`."""
    claiming = asyncio.create_task(_kept_up(dispatcher.run))

    async def drain() -> None:
        await draining.wait()
        claiming.cancel()
        await asyncio.gather(claiming, return_exceptions=True)
        await dispatcher.drain(grace_s)

    ending = asyncio.create_task(drain())
    try:
        yield
    finally:
        draining.set()
        await ending


async def _follow_database(store: Store, health: Health) -> None:
    """Ready while the database answers."""
    up: bool | None = None
    while True:
        try:
            await store.ping()
            now_up = True
        except DatabaseUnavailable:
            now_up = False
        if now_up != up:
            up = now_up
            health.set_ready(up)
            _log.log(logging.INFO if up else logging.ERROR, "database is %s", "up" if up else "down")
        await asyncio.sleep(CHECK_S)


async def _wake_when_draining(notices: Notices, draining: asyncio.Event) -> None:
    """Those who wait for news learn that they have to ask another replica."""
    await draining.wait()
    notices.wake_everyone()
