"""The signer's gRPC face: read, judge, commit, sign, record, answer, in this order and never another.

Knows how the parts go together; what each decides is in `request`, `policy`, `ledger`, `formats` and `keys`.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from google.protobuf.timestamp_pb2 import Timestamp

from acesteps.signer.v1 import signer_service_pb2 as pb
from acesteps.signer.v1 import signer_service_pb2_grpc as rpc
from services.common.errors import ServiceError
from services.common.migrations import MigrationError
from services.common.server import GrpcService, Health, StartError
from services.common.trust import TrustStore
from services.signer import metrics, policy
from services.signer.formats import Domain, eip712_digest, packed_digest
from services.signer.keys import KeystoreKey, SignatureDefect, SigningKey, checksummed, recover, sign_checked
from services.signer.keystore import KeystoreError
from services.signer.ledger import Entry, Identity, Ledger, open_ledger
from services.signer.request import PermitFormat, PermitRequest, address_bytes, read_request
from services.signer.settings import SignerSettings

# For the names in SIGNER_OPERATORS; all other methods are for those in SIGNER_ALLOWED_CALLERS.
OPERATOR_METHODS = ("ListPermits", "Pause", "Resume")
# How late readiness can be.
WATCH_INTERVAL_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Signer:
    """All that a verdict depends on."""

    scope: policy.Scope
    keys: Mapping[PermitFormat, SigningKey]
    trust: TrustStore
    ledger: Ledger
    lifetime: timedelta

    async def permit(self, request: PermitRequest) -> tuple[Entry, bool]:
        """A signed entry, and whether its signature was made now.

        Raises:
            FailedPrecondition, AlreadyExists, Unavailable: as the proto says.
        """
        now = datetime.now(UTC)
        policy.check_scope(request, self.scope)
        statements = policy.verified_statements(request, self.trust.bundle(), now)
        policy.check_song(request, statements, self.scope)

        identity = Identity(
            audio_hash=request.audio_hash,
            recipient=request.to,
            metadata_uri=request.metadata_uri,
            format=request.format,
            chain_id=request.chain_id,
            contract=request.contract,
        )
        packed = request.format is PermitFormat.PACKED
        deadline = None if packed else now.replace(microsecond=0) + self.lifetime
        key = self.keys[request.format]
        entry = await self.ledger.reserve(identity, statements[0].song_id, deadline, now, key.address)
        digest = _digest(entry, request.metadata_digest)
        if entry.signature is None:
            with metrics.SIGN_SECONDS.time():
                signature = await sign_checked(key, digest)
            entry, ours = await self.ledger.record(entry, signature, key.address)
            if ours:
                return entry, True
        _expect_intact(entry, digest)
        return entry, False


def _expect_intact(entry: Entry, digest: bytes) -> None:
    """Raises SignatureDefect when what the ledger gave back is not what was signed: a row was changed."""
    if entry.signature is None or recover(digest, entry.signature) != entry.signer:
        raise SignatureDefect(f"the ledger's row of {entry.identity.audio_hash.hex()} was changed")


def _digest(entry: Entry, metadata_digest: bytes) -> bytes:
    """What is signed for an entry of the ledger: its identity and its deadline, not the request's."""
    identity = entry.identity
    if entry.deadline is None:
        return packed_digest(identity.recipient, identity.metadata_uri, identity.audio_hash)
    return eip712_digest(
        Domain(identity.chain_id, identity.contract),
        identity.recipient,
        identity.audio_hash,
        metadata_digest,
        int(entry.deadline.timestamp()),
    )


class SignerServicer(rpc.SignerServiceServicer):
    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    async def SignMintPermit(
        self, request: pb.SignMintPermitRequest, context: Any
    ) -> pb.SignMintPermitResponse:
        audio_hash = request.audio_hash.hex()[:64]  # of any length, until it was checked
        try:
            asked = read_request(request)
            entry, signed_now = await self._signer.permit(asked)
        except ServiceError as error:
            metrics.PERMITS.labels("refused", error.reason).inc()
            _log.info(
                "permit refused",
                extra={
                    "audio_hash": audio_hash,
                    "reason": error.reason,
                    "rule": error.metadata.get("rule", ""),
                },
            )
            raise
        metrics.PERMITS.labels("permitted" if signed_now else "repeated", "").inc()
        _log.info(
            "permit given",
            extra={"audio_hash": audio_hash, "format": asked.format.value, "repeated": not signed_now},
        )
        assert entry.signature is not None
        assert entry.signer is not None
        return pb.SignMintPermitResponse(
            signature=entry.signature,
            deadline=_timestamp(entry.deadline),
            signer=checksummed(entry.signer),
            metadata_digest=asked.metadata_digest,
            repeated_permit=not signed_now,
        )

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
        )


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


async def build(settings: SignerSettings, stack: AsyncExitStack, health: Health) -> Sequence[GrpcService]:
    """Open keys, trust bundle and ledger.

    Raises:
        StartError: when one of them cannot be used.
    """
    keys = _load_keys(settings)
    try:
        trust = TrustStore(
            settings.trust_bundle_file, settings.trust_state_file, settings.trust_least_version
        )
    except (OSError, ValueError) as error:
        raise StartError(f"trust bundle {settings.trust_bundle_file}: {error}") from error
    try:
        ledger = await stack.enter_async_context(open_ledger(settings.database_url.get_secret_value()))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, MigrationError) as error:
        first_line = next(iter(str(error).splitlines()), "no answer")
        raise StartError(f"cannot open the ledger in SIGNER_DATABASE_URL: {first_line}") from error

    scope = policy.Scope(settings.chain_id, address_bytes(settings.contract, "contract"), frozenset(keys))
    signer = Signer(scope, keys, trust, ledger, timedelta(seconds=settings.permit_lifetime_s))
    watch = asyncio.create_task(_watch(ledger, trust, health))
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
    servicer = SignerServicer(signer)
    name = pb.DESCRIPTOR.services_by_name["SignerService"].full_name
    return [
        GrpcService(
            name,
            lambda server: rpc.add_SignerServiceServicer_to_server(servicer, server),
            callers=dict.fromkeys(OPERATOR_METHODS, settings.operators),
        )
    ]


def _load_keys(settings: SignerSettings) -> dict[PermitFormat, SigningKey]:
    """One key per format. A packed permit names no contract, so its key must be good for nothing else."""
    try:
        eip712 = KeystoreKey.load(settings.keystore_file, settings.keystore_password_file)
        if settings.packed_keystore_file is None or settings.packed_keystore_password_file is None:
            return {PermitFormat.EIP712: eip712}
        packed = KeystoreKey.load(settings.packed_keystore_file, settings.packed_keystore_password_file)
    except KeystoreError as error:
        raise StartError(str(error)) from error
    if packed.address == eip712.address:
        raise StartError(
            "SIGNER_PACKED_KEYSTORE_FILE holds the key of SIGNER_KEYSTORE_FILE; make another one"
        )
    return {PermitFormat.EIP712: eip712, PermitFormat.PACKED: packed}


async def _watch(ledger: Ledger, trust: TrustStore, health: Health) -> None:
    """Ready while the ledger can be written. Takes up, and logs, a new trust bundle also without calls."""
    up: bool | None = None
    while True:
        metrics.TRUST_BUNDLE_VERSION.set(trust.bundle().version)
        try:
            await ledger.check()
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
