"""The change of a permit key, step by step: a new key, its role, both in use, the switch, the old role's end.

Knows what the chain, the record and the ledger say of a rotation and what may come next; every step can be
asked for again. Knows no command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import asyncpg

from services.signer.onchain.node import ChainError
from services.signer.onchain.operator import Chain
from services.signer.onchain.song_nft import (
    EIP712_ROLE,
    PACKED_ROLE,
    check_contract,
    grant_data,
    has_role,
    revoke_data,
)
from services.signer.onchain.transactions import Call
from services.signer.request import PermitFormat

ROLES = {PermitFormat.EIP712: EIP712_ROLE, PermitFormat.PACKED: PACKED_ROLE}
# Clocks of the signer, of this machine and of the chain's blocks may differ by this much.
CLOCK_MARGIN = timedelta(seconds=60)
_CONNECT_TIMEOUT_S = 5.0

# From the audit, because the ledger forgets a permit that was renewed. No permit lasts longer than a day.
_LAST_PERMIT = """
SELECT max(deadline) AS deadline, max(at) AS signed_at FROM signer.audit
 WHERE signer = $1 AND verdict = 'permitted' AND at > now() - interval '30 days'
"""


@dataclass(frozen=True)
class LastPermit:
    """When a key signed last, and until when its permits are good, by the audit; None: it never did."""

    deadline: datetime | None
    signed_at: datetime | None


@dataclass(frozen=True)
class Rotation:
    """From one key to another. Addresses are EIP-55; `new` is None until the key was made."""

    contract: str
    admin: str
    format: PermitFormat
    old: str
    new: str | None
    lifetime: timedelta
    at_once: bool = False
    """The old key was stolen: its role ends before anything else, with what it signed."""

    @property
    def role(self) -> str:
        return ROLES[self.format]


@dataclass(frozen=True)
class Situation:
    """What is so now. `now` is the chain's time, which deadlines are compared with."""

    new_has_role: bool
    old_has_role: bool
    switched_at: datetime | None
    last_permit: LastPermit | None
    now: datetime

    @property
    def signed_late(self) -> datetime | None:
        """When the old key signed after the switch: some signer was not switched."""
        last = self.last_permit.signed_at if self.last_permit else None
        if last is None or self.switched_at is None or last <= self.switched_at + CLOCK_MARGIN:
            return None
        return last


@dataclass(frozen=True)
class Step:
    """One line of the walk. `call` is what the admin sends for it, if it is a transaction."""

    name: Literal["key", "grant", "switch", "revoke"]
    what: str
    done: bool
    call: Call | None = None
    waits_for: str = ""
    """Why it cannot be done now; empty when it can."""


def read_situation(
    chain: Chain, rotation: Rotation, switched_at: datetime | None, last_permit: LastPermit | None
) -> Situation:
    """Raises ChainError when the contract is not the signer's, or the node cannot be asked."""
    check_contract(chain.node, rotation.contract, chain.chain_id)
    if rotation.old == rotation.new:
        raise ChainError(f"the new key is the old one, {rotation.old}")

    def holds(account: str | None) -> bool:
        return account is not None and has_role(chain.node, rotation.contract, rotation.role, account)

    return Situation(
        new_has_role=holds(rotation.new),
        old_has_role=holds(rotation.old),
        switched_at=switched_at,
        last_permit=last_permit,
        now=datetime.fromtimestamp(chain.node.now(), UTC),
    )


def steps(rotation: Rotation, situation: Situation) -> Sequence[Step]:
    """The whole walk, in its order; what is done stays in it."""
    new, role = rotation.new or "the new key", rotation.role
    key = Step("key", f"new key {new}" if rotation.new else "make the new key", rotation.new is not None)
    grant = Step(
        "grant",
        f"grant {role} to {new}",
        situation.new_has_role,
        Call(f"grant {role} to {new}", rotation.admin, rotation.contract, grant_data(role, rotation.new))
        if rotation.new
        else None,
        "" if rotation.new else "there is no new key yet",
    )
    switch = Step(
        "switch",
        "switch every signer to the new key, then say --switched",
        situation.switched_at is not None,
        waits_for="" if situation.new_has_role else "the new key has no role yet",
    )
    revoke = Step(
        "revoke",
        f"revoke {role} of {rotation.old}",
        not situation.old_has_role,
        Call(
            f"revoke {role} of {rotation.old}",
            rotation.admin,
            rotation.contract,
            revoke_data(role, rotation.old),
        ),
        "" if rotation.at_once else _revocation_waits_for(rotation, situation),
    )
    return [revoke, key, grant, switch] if rotation.at_once else [key, grant, switch, revoke]


def _revocation_waits_for(rotation: Rotation, situation: Situation) -> str:
    """Why the old role must stay: a permit by it may still be good, or a signer still use it."""
    if not situation.new_has_role:
        return "the new key has no role yet"
    if situation.switched_at is None:
        return "the signers still use the old key"
    if situation.signed_late:
        return (
            f"the old key signed at {_shown(situation.signed_late)}, after the switch: a signer still uses "
            "it; switch that one, and say --switched again"
        )
    if rotation.format is PermitFormat.PACKED:
        return ""  # its permits have no deadline: whoever holds one asks again and gets the new key's
    last_deadline = situation.switched_at + rotation.lifetime
    if (last := situation.last_permit) and last.deadline:
        last_deadline = max(last_deadline, last.deadline)
    if situation.now > last_deadline + CLOCK_MARGIN:
        return ""
    return f"permits by the old key are good until {_shown(last_deadline + CLOCK_MARGIN)}"


async def last_permit(dsn: str, signer: bytes) -> LastPermit:
    """What the ledger holds of a key, by its address (20 bytes). Raises ChainError when it cannot be read."""
    try:
        connection: Any = await asyncpg.connect(
            dsn, timeout=_CONNECT_TIMEOUT_S, server_settings={"default_transaction_read_only": "on"}
        )
        try:
            row = await connection.fetchrow(_LAST_PERMIT, signer, timeout=_CONNECT_TIMEOUT_S)
        finally:
            connection.terminate()
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ChainError(f"cannot read the ledger in SIGNER_DATABASE_URL: {type(error).__name__}") from None
    return LastPermit(row["deadline"], row["signed_at"])


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
