"""The signer's gRPC face, and how the process is put together from its settings.

Knows messages, callers and what is opened at the start; how a permit comes about is in `permits`.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Any

import asyncpg

from acesteps.signer.v1 import signer_service_pb2 as pb
from acesteps.signer.v1 import signer_service_pb2_grpc as rpc
from services.common.callers import names_of, shown
from services.common.errors import ServiceError, Unavailable
from services.common.migrations import MigrationError, migrate, why_not_open
from services.common.server import GrpcService, Health, StartError
from services.common.tracing import exemplar
from services.common.trust import TrustStore
from services.signer import listing, metrics, policy
from services.signer.audit import Audit
from services.signer.database import MIGRATIONS, SCHEMA, Database, open_database
from services.signer.keys import checksummed
from services.signer.keys.opening import open_keys
from services.signer.ledger import Ledger
from services.signer.listing import timestamp
from services.signer.permits import Permit, Signer, rule_of
from services.signer.quota import Quotas
from services.signer.request import PermitFormat, address_bytes
from services.signer.settings import SignerSettings
from services.signer.switch import Switch

# For the names in SIGNER_OPERATORS; all other methods are for those in SIGNER_ALLOWED_CALLERS.
OPERATOR_METHODS = ("ListPermits", "Pause", "Resume")
# How late readiness can be.
WATCH_INTERVAL_S = 1.0

_log = logging.getLogger(__name__)


class SignerServicer(rpc.SignerServiceServicer):
    def __init__(self, signer: Signer, switch: Switch) -> None:
        self._signer, self._switch = signer, switch
        self._was_paused = False
        self._verdicts: set[asyncio.Task[Permit]] = set()

    async def SignMintPermit(
        self, request: pb.SignMintPermitRequest, context: Any
    ) -> pb.SignMintPermitResponse:
        # To its end, also when its caller has left: who hangs up early is not spared the audit.
        verdict = asyncio.create_task(self._verdict(request, caller_of(context)))
        self._verdicts.add(verdict)
        verdict.add_done_callback(self._forget)
        permit = await asyncio.shield(verdict)
        return pb.SignMintPermitResponse(
            signature=permit.signature,
            deadline=timestamp(permit.deadline),
            signer=checksummed(permit.signer),
            metadata_digest=permit.metadata_digest,
            repeated_permit=permit.repeated,
        )

    def _forget(self, verdict: asyncio.Task[Permit]) -> None:
        self._verdicts.discard(verdict)
        if not verdict.cancelled():
            verdict.exception()  # looked at, in case nobody waits for it any more

    async def _verdict(self, request: pb.SignMintPermitRequest, caller: str) -> Permit:
        """The permit, counted and logged, and so is its refusal."""
        begun = time.perf_counter()
        verdict, reason = "refused", "INTERNAL"
        audio_hash = request.audio_hash.hex()[:64]  # of any length, until it was checked
        try:
            permit = await self._signer.permit(request, caller)
            verdict, reason = "repeated" if permit.repeated else "permitted", ""
            extra = {"audio_hash": audio_hash, "caller": caller, "repeated": permit.repeated}
            _log.info("permit given", extra=extra)
            return permit
        except ServiceError as refusal:
            reason, rule = refusal.reason, rule_of(refusal) or ""
            extra = {"audio_hash": audio_hash, "caller": caller, "reason": reason, "rule": rule}
            _log.info("permit refused", extra=extra)
            raise
        finally:
            metrics.PERMITS.labels(verdict, reason).inc()
            metrics.PERMIT_SECONDS.labels(verdict).observe(time.perf_counter() - begun, exemplar())

    async def DescribeSigner(
        self, request: pb.DescribeSignerRequest, context: Any
    ) -> pb.DescribeSignerResponse:
        signer, packed = self._signer, self._signer.keys.get(PermitFormat.PACKED)
        return pb.DescribeSignerResponse(
            chain_id=signer.scope.chain_id,
            contract=checksummed(signer.scope.contract),
            eip712_signer=checksummed(signer.keys[PermitFormat.EIP712].address),
            packed_signer=checksummed(packed.address) if packed else "",
            permit_lifetime_s=int(signer.lifetime.total_seconds()),
            trust_bundle_version=signer.trust.bundle().version,
            paused=await self._paused(),
            creator_daily_quota=signer.ledger.quotas.creator,
            daily_quota=signer.ledger.quotas.overall,
        )

    async def _paused(self) -> bool:
        """As the ledger says; while it is down, as it said last: who signs can be told without it."""
        with suppress(Unavailable):
            self._was_paused = await self._switch.paused()
        return self._was_paused

    async def ListPermits(self, request: pb.ListPermitsRequest, context: Any) -> pb.ListPermitsResponse:
        which, size = listing.read(request)
        lines, token = await self._signer.audit.page(which, size, request.page_token)
        return pb.ListPermitsResponse(entries=map(listing.entry, lines), next_page_token=token)

    async def Pause(self, request: pb.PauseRequest, context: Any) -> pb.PauseResponse:
        caller = caller_of(context)
        since = await self._switch.pause(request.reason, caller)
        _log.warning("signing is paused", extra={"caller": caller})
        return pb.PauseResponse(paused_since=timestamp(since))

    async def Resume(self, request: pb.ResumeRequest, context: Any) -> pb.ResumeResponse:
        caller = caller_of(context)
        was_paused = await self._switch.resume(caller)
        _log.warning("signing goes on", extra={"caller": caller})
        return pb.ResumeResponse(was_paused=was_paused)


def caller_of(context: Any) -> str:
    """Names on the caller's certificate, "" without TLS."""
    return shown(names_of(context))


async def build(settings: SignerSettings, stack: AsyncExitStack, health: Health) -> Sequence[GrpcService]:
    """Open keys, trust bundle and ledger.

    Raises:
        StartError: when one of them cannot be used.
    """
    keys = await asyncio.to_thread(open_keys, settings)
    try:
        trust = TrustStore(
            settings.trust_bundle_file, settings.trust_state_file, settings.trust_least_version
        )
    except (OSError, ValueError) as error:
        raise StartError(f"trust bundle {settings.trust_bundle_file}: {error}") from error
    try:
        if settings.owner_database_url is not None:
            await migrate(settings.owner_database_url.get_secret_value(), SCHEMA, MIGRATIONS)
        database = await stack.enter_async_context(open_database(settings.database_url.get_secret_value()))
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, MigrationError) as error:
        raise StartError(f"cannot open the ledger in SIGNER_DATABASE_URL: {why_not_open(error)}") from error

    scope = policy.Scope(settings.chain_id, address_bytes(settings.contract, "contract"), frozenset(keys))
    ledger = Ledger(database, Quotas(settings.creator_daily_quota, settings.daily_quota))
    lifetime = timedelta(seconds=settings.permit_lifetime_s)
    signer = Signer(scope, keys, trust, ledger, Audit(database), lifetime)
    watch = asyncio.create_task(_watch(database, trust, health))
    stack.callback(watch.cancel)
    _log.info(
        "signing for one contract",
        extra={
            "chain_id": settings.chain_id,
            "contract": settings.contract,
            "signers": {format_.value: checksummed(key.address) for format_, key in keys.items()},
            "trust_bundle_version": trust.bundle().version,
        },
    )
    for condition in policy.CONDITIONS:  # at 0 from the start, so that the first refusal is an increase
        metrics.PERMITS.labels("refused", condition.reason)
    servicer = SignerServicer(signer, Switch(database))
    name = pb.DESCRIPTOR.services_by_name["SignerService"].full_name
    return [
        GrpcService(
            name,
            lambda server: rpc.add_SignerServiceServicer_to_server(servicer, server),
            callers=dict.fromkeys(OPERATOR_METHODS, settings.operators),
        )
    ]


async def _watch(database: Database, trust: TrustStore, health: Health) -> None:
    """Ready while the ledger can be written. Takes up, and logs, a new trust bundle also without calls."""
    up: bool | None = None
    while True:
        trust.bundle()
        try:
            metrics.PAUSED.set(await database.check())
            now_up = True
        except Exception as error:  # whatever it is, no permit could be committed
            _log.debug("ledger check failed", extra={"error": type(error).__name__})
            now_up = False
        if now_up != up:
            up = now_up
            metrics.LEDGER_UP.set(up)
            health.set_ready(up)
            _log.log(logging.INFO if up else logging.ERROR, "ledger is %s", "up" if up else "down")
        await asyncio.sleep(WATCH_INTERVAL_S)
