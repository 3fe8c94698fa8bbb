"""Wallets, sessions, keys and service credentials in the database: one statement for each use.

Knows secrets by their hash only, and of accounts that they are there and not deleted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from services.gateway.database import Database

# An account that has more has lost count of them.
MOST_API_KEYS = 50
# `last_used_at` is for people: written at most this often.
USE_NOTED_EVERY = "1 minute"

_WALLETS = (
    "ARRAY(SELECT address FROM wallets w WHERE w.account_id = a.id"
    " ORDER BY is_default DESC, linked_at, address) AS wallets"
)
_LIVE = "JOIN accounts a ON a.id = {of}.account_id AND a.deleted_at IS NULL"


@dataclass(frozen=True)
class Holder:
    """Who a secret stands for. Of a service, `account_id` is None and `name` says which."""

    account_id: UUID | None
    tier: str
    scopes: frozenset[str]
    # the default first
    wallets: tuple[str, ...] = ()
    name: str = ""
    operator: bool = False


@dataclass(frozen=True)
class Wallet:
    address: str
    is_default: bool
    linked_at: datetime


@dataclass(frozen=True)
class ApiKey:
    id: UUID
    name: str
    scopes: tuple[str, ...]
    prefix: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


_API_KEY = "id, name, scopes, prefix, created_at, last_used_at, expires_at"


class Identities:
    """Raises DatabaseUnavailable from every method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_nonce(self, nonce: str, lifetime_s: float) -> datetime:
        """Returns when it ends. Takes those that have ended away."""
        expires_at: datetime = await self._database.value(
            "WITH old AS (DELETE FROM nonces WHERE expires_at < now())"
            " INSERT INTO nonces (nonce, expires_at) VALUES ($1, now() + make_interval(secs => $2))"
            " RETURNING expires_at",
            nonce, lifetime_s,
        )  # fmt: skip
        return expires_at

    async def use_nonce(self, nonce: str) -> bool:
        """Whether it was ours and not used before; it is used now."""
        sql = "DELETE FROM nonces WHERE nonce = $1 RETURNING expires_at > now()"
        return bool(await self._database.value(sql, nonce))

    async def enter(self, address: str, tier: str) -> UUID:
        """The account of a wallet; made, with that wallet as its default, when it comes first."""
        # Of two first sign-ins at the same moment one wins the wallet; the other's account stays empty.
        account_id: UUID = await self._database.value(
            "WITH new AS (SELECT $2::uuid AS id WHERE NOT EXISTS (SELECT FROM wallets WHERE address = $1)),"
            " account AS (INSERT INTO accounts (id, tier) SELECT id, $3 FROM new),"
            " wallet AS (INSERT INTO wallets (address, account_id, is_default) SELECT $1, id, true FROM new"
            "   ON CONFLICT (address) DO UPDATE SET address = EXCLUDED.address RETURNING account_id)"
            " SELECT account_id FROM wallet"
            " UNION ALL SELECT account_id FROM wallets WHERE address = $1 LIMIT 1",
            address, uuid4(), tier,
        )  # fmt: skip
        return account_id

    async def link(self, account_id: UUID, address: str) -> bool:
        """Whether the wallet is the account's now; False if it is another's."""
        owner = await self._database.value(
            "INSERT INTO wallets (address, account_id) VALUES ($1, $2)"
            " ON CONFLICT (address) DO UPDATE SET address = EXCLUDED.address RETURNING account_id",
            address, account_id,
        )  # fmt: skip
        return bool(owner == account_id)

    async def set_default(self, account_id: UUID, address: str) -> bool:
        """Whether the account has that wallet, which is its default now."""
        # The old default goes first: there is only ever one.
        sql = (
            "WITH cleared AS ("
            " UPDATE wallets SET is_default = false WHERE account_id = $1 AND is_default AND address <> $2"
            " AND EXISTS (SELECT FROM wallets WHERE account_id = $1 AND address = $2) RETURNING address)"
            " UPDATE wallets SET is_default = true WHERE account_id = $1 AND address = $2"
            " AND (SELECT count(*) FROM cleared) >= 0 RETURNING true"
        )
        return bool(await self._database.value(sql, account_id, address))

    async def unlink(self, account_id: UUID, address: str) -> str:
        """Takes the wallet away, and what signed in with it: "gone", "unknown", or "last" when it is the only
        one. The one linked first becomes the default where the default went."""
        outcome: str = await self._database.value(
            "WITH mine AS (SELECT * FROM wallets WHERE account_id = $1 FOR UPDATE),"
            " gone AS (DELETE FROM wallets w USING mine WHERE w.address = $2 AND mine.address = w.address"
            "   AND (SELECT count(*) FROM mine) > 1 RETURNING w.is_default),"
            " heir AS (UPDATE wallets SET is_default = true WHERE (SELECT is_default FROM gone)"
            "   AND address = (SELECT address FROM mine WHERE address <> $2 ORDER BY linked_at, address"
            "     LIMIT 1)),"
            " out AS (DELETE FROM sessions"
            "   WHERE account_id = $1 AND address = $2 AND EXISTS (SELECT FROM gone))"
            " SELECT CASE WHEN EXISTS (SELECT FROM gone) THEN 'gone'"
            "   WHEN EXISTS (SELECT FROM mine WHERE address = $2) THEN 'last' ELSE 'unknown' END",
            account_id, address,
        )  # fmt: skip
        return outcome

    async def wallets(self, account_id: UUID) -> list[Wallet]:
        rows = await self._database.rows(
            "SELECT address, is_default, linked_at FROM wallets WHERE account_id = $1"
            " ORDER BY linked_at, address",
            account_id,
        )
        return [Wallet(**dict(row.items())) for row in rows]

    async def add_session(self, secret: bytes, account_id: UUID, address: str, lifetime_s: float) -> datetime:
        """Returns when it ends. Takes those that have ended away."""
        expires_at: datetime = await self._database.value(
            "WITH old AS (DELETE FROM sessions WHERE expires_at < now())"
            " INSERT INTO sessions (secret_sha256, account_id, address, expires_at)"
            " VALUES ($1, $2, $3, now() + make_interval(secs => $4)) RETURNING expires_at",
            secret, account_id, address, lifetime_s,
        )  # fmt: skip
        return expires_at

    async def of_session(self, secret: bytes) -> Holder | None:
        row = await self._database.row(
            f"SELECT s.account_id, a.tier, {_WALLETS} FROM sessions s {_LIVE.format(of='s')}"
            " WHERE s.secret_sha256 = $1 AND s.expires_at > now()",
            secret,
        )
        return None if row is None else _holder(row)

    async def end_session(self, secret: bytes) -> None:
        await self._database.value("DELETE FROM sessions WHERE secret_sha256 = $1", secret)

    async def end_sessions(self, account_id: UUID) -> None:
        await self._database.value("DELETE FROM sessions WHERE account_id = $1", account_id)

    async def add_api_key(
        self, account_id: UUID, name: str, scopes: Sequence[str], prefix: str, secret: bytes, days: int | None
    ) -> ApiKey | None:
        """None if the account has too many."""
        row = await self._database.row(
            "INSERT INTO api_keys (id, account_id, name, scopes, prefix, secret_sha256, expires_at)"
            " SELECT $1, $2, $3, $4, $5, $6, now() + make_interval(days => $7)"
            " WHERE (SELECT count(*) FROM api_keys WHERE account_id = $2 AND revoked_at IS NULL) < $8"
            f" RETURNING {_API_KEY}",
            uuid4(), account_id, name, list(scopes), prefix, secret, days, MOST_API_KEYS,
        )  # fmt: skip
        return None if row is None else _api_key(row)

    async def api_keys(self, account_id: UUID) -> list[ApiKey]:
        rows = await self._database.rows(
            f"SELECT {_API_KEY} FROM api_keys WHERE account_id = $1 AND revoked_at IS NULL"
            " ORDER BY created_at DESC, id",
            account_id,
        )
        return [_api_key(row) for row in rows]

    async def revoke_api_key(self, account_id: UUID, key_id: UUID) -> bool:
        """Whether the account has, or had, that key."""
        sql = (
            "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())"
            " WHERE id = $1 AND account_id = $2 RETURNING true"
        )
        return bool(await self._database.value(sql, key_id, account_id))

    async def of_api_key(self, secret: bytes) -> Holder | None:
        """Notes the use."""
        row = await self._database.row(
            "WITH found AS ("
            f" SELECT k.id, k.account_id, k.scopes, a.tier, k.last_used_at, {_WALLETS}"
            f" FROM api_keys k {_LIVE.format(of='k')}"
            " WHERE k.secret_sha256 = $1 AND k.revoked_at IS NULL"
            " AND (k.expires_at IS NULL OR k.expires_at > now())"
            "), used AS ("
            " UPDATE api_keys SET last_used_at = now() FROM found WHERE api_keys.id = found.id"
            f" AND (found.last_used_at IS NULL OR found.last_used_at < now() - interval '{USE_NOTED_EVERY}'))"
            " SELECT account_id, scopes, tier, wallets FROM found",
            secret,
        )
        return None if row is None else _holder(row)

    async def add_service(self, name: str, secret: bytes, *, operator: bool) -> bool:
        """False if there is one of that name that is not revoked."""
        sql = (
            "INSERT INTO service_credentials (id, name, operator, secret_sha256) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING RETURNING true"
        )
        return bool(await self._database.value(sql, uuid4(), name, operator, secret))

    async def revoke_service(self, name: str) -> bool:
        """Whether there was one."""
        sql = (
            "UPDATE service_credentials SET revoked_at = now()"
            " WHERE name = $1 AND revoked_at IS NULL RETURNING true"
        )
        return bool(await self._database.value(sql, name))

    async def of_service(self, secret: bytes) -> Holder | None:
        row = await self._database.row(
            "SELECT name, operator FROM service_credentials WHERE secret_sha256 = $1 AND revoked_at IS NULL",
            secret,
        )
        return None if row is None else Holder(None, "", frozenset(), (), row["name"], row["operator"])

    async def entry(self, account_id: UUID) -> tuple[str, datetime]:
        """(tier, when it was made) of an account."""
        row = await self._database.row("SELECT tier, created_at FROM accounts WHERE id = $1", account_id)
        assert row is not None
        return row["tier"], row["created_at"]

    async def of_account(self, account_id: UUID) -> Holder | None:
        """None for no account, and for one that was deleted."""
        row = await self._database.row(
            f"SELECT a.id AS account_id, a.tier, {_WALLETS} FROM accounts a"
            " WHERE id = $1 AND deleted_at IS NULL",
            account_id,
        )
        return None if row is None else _holder(row)


def _holder(row: Mapping[str, Any]) -> Holder:
    scopes = frozenset(row["scopes"]) if "scopes" in row else frozenset()
    return Holder(row["account_id"], row["tier"], scopes, tuple(row["wallets"]))


def _api_key(row: Mapping[str, Any]) -> ApiKey:
    values = dict(row.items())
    return ApiKey(**{**values, "scopes": tuple(values["scopes"])})
