"""The gateway as a process: what runs in it, and in which order it starts and stops.

What it opens is `resources`', what it can do is `assembly`'s.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

from services.common.server import GrpcService, Health
from services.gateway.accounts import DEVELOPMENT_ACCOUNT
from services.gateway.assembly import assemble
from services.gateway.database import DatabaseUnavailable
from services.gateway.faces.grpc_accounts import account_service
from services.gateway.faces.grpc_face import grpc_service
from services.gateway.faces.grpc_operator import operator_service
from services.gateway.faces.grpc_webhooks import webhook_service
from services.gateway.faces.http_face import create_app
from services.gateway.faces.http_guard import Patience
from services.gateway.faces.http_observed import Observed
from services.gateway.faces.http_server import serve_http
from services.gateway.minting.mints import Contract, Mints
from services.gateway.minting.watcher import Watch, Watcher
from services.gateway.models import Song
from services.gateway.notices import Notices
from services.gateway.resources import Resources, open_resources
from services.gateway.settings import GatewaySettings
from services.gateway.store import Store
from services.gateway.use_cases import UseCases
from services.gateway.work.attempt import Attempt, Outcome
from services.gateway.work.dispatch import Dispatcher, measure
from services.gateway.work.lyricist import Lyricist
from services.gateway.work.pods import Turn
from services.gateway.work.queue import Limits, Queue
from services.gateway.work.renderer import Renderer
from services.gateway.work.source import Sources
from services.gateway.work.sweeping import Sweeper

_log = logging.getLogger(__name__)

CHECK_S = 1.0
RESTART_S = 1.0


async def build(settings: GatewaySettings, stack: AsyncExitStack, health: Health) -> Sequence[GrpcService]:
    """Opens what is needed, starts the workers and the HTTP face.

    Raises:
        StartError: something cannot be used.
    """
    opened = await open_resources(settings, stack)
    store = Store(opened.database)
    if settings.auth == "development":
        await store.enter_account(DEVELOPMENT_ACCOUNT.id, DEVELOPMENT_ACCOUNT.tier)
    use_cases, delivering = assemble(opened, health.draining)
    works: list[Callable[[], Awaitable[None]]] = [
        opened.notices.run,
        partial(measure, store),
        partial(_follow_database, store, health),
        partial(_wake_when_draining, opened.notices, health.draining),
        opened.pods.run,
        delivering.run,
        partial(Sweeper(opened.workers_database, opened.objects).run, settings.sweep_every_s),
    ]
    if opened.keeper.places:
        works.append(opened.keeper.run)
    if (watcher := _watcher(opened)) is not None:
        works.append(watcher.run)
    for work in works:
        _run_beside(stack, work)
    if settings.workers:
        dispatcher = _dispatcher(opened)
        _run_beside(stack, partial(dispatcher.reap, settings.reap_every_s))
        await stack.enter_async_context(_working(dispatcher, health.draining, settings.drain_grace_s))
    await _serve_http(settings, use_cases, stack, health)
    return [
        grpc_service(use_cases, listener_patience_s=settings.listener_patience_s),
        account_service(use_cases),
        operator_service(use_cases),
        webhook_service(use_cases),
    ]


def _watcher(opened: Resources) -> Watcher | None:
    """None where no contract is to be watched."""
    settings = opened.settings
    if not settings.contract or opened.chain is None:
        return None
    contract = Contract(settings.chain_id, settings.contract)
    mints = Mints(
        opened.workers_database, contract, start_block=settings.chain_start_block, lease_s=settings.lease_s
    )
    watch = Watch(contract, settings.chain_confirmations, settings.chain_poll_s)
    return Watcher(opened.chain, mints, watch)


def _dispatcher(opened: Resources) -> Dispatcher:
    settings, notices, lyricist = opened.settings, opened.notices, Lyricist(opened.lyrics)
    limits = Limits(
        lease_s=settings.lease_s,
        max_failures=settings.max_failures,
        backoff_s=settings.backoff_s,
        tiers=opened.tiers,
    )
    queue = Queue(opened.workers_database, limits)
    renderer = Renderer(
        opened.objects,
        Sources(Store(opened.workers_database), opened.objects),
        silence_s=settings.lease_s,
        timeout_s=settings.render_timeout_s,
    )

    async def make(song: Song, turn: Turn) -> Outcome:
        return await Attempt(song, turn, queue, lyricist, renderer, notices).run()

    return Dispatcher(
        queue, notices, make, workers=settings.workers, poll_s=settings.poll_s, pods=opened.pods
    )


async def _serve_http(
    settings: GatewaySettings, use_cases: UseCases, stack: AsyncExitStack, health: Health
) -> None:
    app = create_app(
        use_cases,
        health,
        cors_origins=settings.cors_origins,
        public_url=settings.public_url,
        site=settings.site,
        body_s=settings.http_body_s,
    )
    patience = Patience(
        head_s=settings.http_head_s,
        body_s=settings.http_body_s,
        answer_s=settings.listener_patience_s,
        connections=settings.http_connections,
    )
    port = await stack.enter_async_context(
        serve_http(
            Observed(app),
            settings.http_host,
            settings.http_port,
            patience=patience,
            draining=health.draining,
            drain_delay_s=settings.drain_delay_s,
            grace_s=settings.drain_grace_s,
        )
    )
    _log.info("serving HTTP", extra={"http": f"{settings.http_host}:{port}", "url": settings.public_url})


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
