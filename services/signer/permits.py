"""One request for a permit: read, judge, commit, sign, record, answer, in this order and never another.

Knows how the parts go together; what each decides is in `request`, `policy`, `ledger`, `formats` and `keys`.
A verdict leaves only once it stands in the audit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from acesteps.signer.v1 import signer_service_pb2 as pb
from services.common.errors import ServiceError, Unavailable
from services.common.tracing import span
from services.common.trust import TrustStore
from services.signer import metrics, policy
from services.signer.audit import Audit, Line, Verdict
from services.signer.formats import Domain, eip712_digest, packed_digest
from services.signer.keys import KEY_UNAVAILABLE, SignatureDefect, SigningKey, recover, sign_checked
from services.signer.ledger import Entry, Identity, Ledger
from services.signer.request import (
    Legible,
    PermitFormat,
    PermitRequest,
    legible,
    legible_request,
    read_request,
)


@dataclass(frozen=True)
class Permit:
    """A permit as it is given out."""

    signature: bytes
    signer: bytes
    deadline: datetime | None
    metadata_digest: bytes
    repeated: bool


@dataclass(frozen=True)
class Signer:
    """All that a verdict depends on."""

    scope: policy.Scope
    keys: Mapping[PermitFormat, SigningKey]
    trust: TrustStore
    ledger: Ledger
    audit: Audit
    lifetime: timedelta

    async def permit(self, message: pb.SignMintPermitRequest, caller: str) -> Permit:
        """A permit for `caller`, by the rules.

        Raises:
            ServiceError: as the proto says.
            SignatureDefect: a key or a row of the ledger is not as it must be.
        """
        asked: Legible | None = None
        song_id: str | None = None
        try:
            request = read_request(message)
            asked = legible_request(request)
            now = datetime.now(UTC)
            policy.check_scope(request, self.scope)
            statements = policy.verified_statements(request, self.trust.bundle(), now)
            attested_id = statements[0].song_id
            song_id = attested_id if policy.keepable_song_id(attested_id) else None
            policy.check_song(request, statements, self.scope)
            return await self._sign(request, asked, attested_id, caller, now)
        except Exception as refusal:
            if isinstance(refusal, Unavailable) and refusal.reason != KEY_UNAVAILABLE:
                raise  # the audit is where the ledger is
            line = Line(
                caller=caller,
                verdict=Verdict.REFUSED,
                asked=asked or legible(message),
                song_id=song_id,
                reason=refusal.reason if isinstance(refusal, ServiceError) else "INTERNAL",
                rule=rule_of(refusal),
            )
            await self.audit.write(line)
            raise

    async def _sign(
        self, request: PermitRequest, asked: Legible, song_id: str, caller: str, now: datetime
    ) -> Permit:
        key = self.keys[request.format]
        packed = request.format is PermitFormat.PACKED
        deadline = None if packed else now.replace(microsecond=0) + self.lifetime
        entry = await self.ledger.reserve(Identity.of(request), song_id, deadline, now, key.address)
        digest = _digest(entry, request.metadata_digest)

        def line(verdict: Verdict, signer: bytes | None) -> Line:
            return Line(
                caller=caller,
                verdict=verdict,
                asked=asked,
                song_id=song_id,
                signer=signer,
                deadline=entry.deadline,
            )

        if entry.signature is None:
            with span("sign"), metrics.SIGN_SECONDS.time():
                signature = await sign_checked(key, digest)
            entry, ours = await self.ledger.record(entry, signature, line(Verdict.PERMITTED, key.address))
            if ours:
                await self.ledger.check_open()  # storing saw the switch as it was when it began
                return Permit(signature, key.address, entry.deadline, request.metadata_digest, repeated=False)
        stored, signer = entry.signature, entry.signer
        if stored is None or signer is None or recover(digest, stored) != signer:
            raise SignatureDefect(f"the ledger's row of {entry.identity.audio_hash.hex()} was changed")
        await self.audit.write(line(Verdict.REPEATED, signer))
        await self.ledger.check_open()
        return Permit(stored, signer, entry.deadline, request.metadata_digest, repeated=True)


def rule_of(refusal: Exception) -> str | None:
    """The name of the rule that refuses, or of the field that is malformed."""
    if not isinstance(refusal, ServiceError):
        return None
    return refusal.metadata.get("rule") or refusal.metadata.get("field")


def _digest(entry: Entry, metadata_digest: bytes) -> bytes:
    """What is signed for an entry of the ledger: its identity and its deadline, not the request's."""
    identity = entry.identity
    if entry.deadline is None:
        return packed_digest(identity.recipient, identity.metadata_uri, identity.audio_hash)
    return eip712_digest(
        _domain(identity.chain_id, identity.contract),
        identity.recipient,
        identity.audio_hash,
        metadata_digest,
        int(entry.deadline.timestamp()),
    )


@cache
def _domain(chain_id: int, contract: bytes) -> Domain:
    """The one domain that a signer has, and so its separator, for all permits."""
    return Domain(chain_id, contract)
