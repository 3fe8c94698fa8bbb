"""Webhooks and their deliveries in the database: one statement for each thing done with them.

Events are entered by a trigger on songs. What a sender says of a delivery carries its attempt, so that one
whose lease ran out changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from services.gateway.database import Database

MOST_WEBHOOKS = 10
KEPT_DAYS = 30
# After a rotation, what is sent is signed with the old secret too, for so long.
OVERLAP = "1 day"


@dataclass(frozen=True)
class Webhook:
    """Field names are the columns'."""

    id: UUID
    account_id: UUID
    url: str
    events: tuple[str, ...]
    enabled: bool
    secret_version: int
    created_at: datetime


@dataclass(frozen=True)
class Delivery:
    """Field names are the columns'."""

    id: UUID
    webhook_id: UUID
    event: str
    # None: a ping
    song_id: UUID | None
    state: str
    attempts: int
    status: int
    error: str
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime


@dataclass(frozen=True)
class Due:
    """A delivery that is this sender's for a while, and where it goes."""

    delivery: Delivery
    webhook: Webhook
    # whether the secret before counts too
    overlapping: bool


_WEBHOOK = tuple(f.name for f in fields(Webhook))
_DELIVERY = tuple(f.name for f in fields(Delivery))
_WEBHOOK_COLUMNS = ", ".join(_WEBHOOK)
_DELIVERY_COLUMNS = ", ".join(_DELIVERY)


class Hooks:
    """Raises DatabaseUnavailable from every method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, account_id: UUID, url: str, events: Sequence[str]) -> Webhook | None:
        """None if the account has as many as it may."""
        row = await self._database.row(
            "INSERT INTO webhooks (id, account_id, url, events) SELECT $1, $2, $3, $4"
            " WHERE (SELECT count(*) FROM webhooks WHERE account_id = $2) < $5"
            f" RETURNING {_WEBHOOK_COLUMNS}",
            uuid4(), account_id, url, list(events), MOST_WEBHOOKS,
        )  # fmt: skip
        return None if row is None else _webhook(row)

    async def all(self, account_id: UUID) -> list[Webhook]:
        rows = await self._database.rows(
            f"SELECT {_WEBHOOK_COLUMNS} FROM webhooks WHERE account_id = $1 ORDER BY created_at, id",
            account_id,
        )
        return [_webhook(row) for row in rows]

    async def get(self, account_id: UUID, webhook_id: UUID) -> Webhook | None:
        row = await self._database.row(
            f"SELECT {_WEBHOOK_COLUMNS} FROM webhooks WHERE id = $1 AND account_id = $2",
            webhook_id,
            account_id,
        )
        return None if row is None else _webhook(row)

    async def update(
        self,
        account_id: UUID,
        webhook_id: UUID,
        url: str | None,
        events: Sequence[str] | None,
        enabled: bool | None,
    ) -> Webhook | None:
        """With what is not None changed."""
        row = await self._database.row(
            "UPDATE webhooks SET url = coalesce($3, url), events = coalesce($4, events),"
            " enabled = coalesce($5, enabled) WHERE id = $1 AND account_id = $2"
            f" RETURNING {_WEBHOOK_COLUMNS}",
            webhook_id, account_id, url, None if events is None else list(events), enabled,
        )  # fmt: skip
        return None if row is None else _webhook(row)

    async def rotate(self, account_id: UUID, webhook_id: UUID) -> Webhook | None:
        row = await self._database.row(
            "UPDATE webhooks SET secret_version = secret_version + 1, rotated_at = now()"
            f" WHERE id = $1 AND account_id = $2 RETURNING {_WEBHOOK_COLUMNS}",
            webhook_id, account_id,
        )  # fmt: skip
        return None if row is None else _webhook(row)

    async def delete(self, account_id: UUID, webhook_id: UUID) -> None:
        """With what was still to be sent."""
        await self._database.value(
            "DELETE FROM webhooks WHERE id = $1 AND account_id = $2", webhook_id, account_id
        )

    async def deliveries(
        self, webhook_id: UUID, limit: int, after: tuple[datetime, UUID] | None
    ) -> list[Delivery]:
        """Newest first, those behind `after` (creation time, id)."""
        moment, delivery_id = after if after else (None, None)
        rows = await self._database.rows(
            f"SELECT {_DELIVERY_COLUMNS} FROM webhook_deliveries WHERE webhook_id = $1"
            " AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))"
            " ORDER BY created_at DESC, id DESC LIMIT $4",
            webhook_id, moment, delivery_id, limit,
        )  # fmt: skip
        return [Delivery(**row) for row in rows]

    async def redeliver(self, account_id: UUID, delivery_id: UUID) -> Delivery | None:
        row = await self._database.row(
            "UPDATE webhook_deliveries d SET state = 'WAITING', next_attempt_at = now(), attempts = 0,"
            " error = '', status = 0"
            " FROM webhooks w WHERE d.id = $1 AND w.id = d.webhook_id AND w.account_id = $2"
            f" RETURNING {', '.join(f'd.{name}' for name in _DELIVERY)}",
            delivery_id, account_id,
        )  # fmt: skip
        return None if row is None else Delivery(**row)

    async def ping(self, webhook: Webhook, lease_s: float) -> Due:
        """A ping that is ours to send now."""
        row = await self._database.row(
            "INSERT INTO webhook_deliveries (webhook_id, event, attempts, last_attempt_at, leased_until)"
            " VALUES ($1, 'PING', 1, now(), now() + make_interval(secs => $2))"
            f" RETURNING {_DELIVERY_COLUMNS},"
            f" (SELECT coalesce(rotated_at > now() - interval '{OVERLAP}', false)"
            "   FROM webhooks WHERE id = $1) AS overlapping",
            webhook.id, lease_s,
        )  # fmt: skip
        assert row is not None
        return Due(Delivery(**{n: row[n] for n in _DELIVERY}), webhook, row["overlapping"])

    async def due(self, most: int, lease_s: float) -> list[Due]:
        """Deliveries that are to be sent now, leased; one for each webhook, so that they come in their order
        and one that is slow holds up nobody else."""
        rows = await self._database.rows(
            "WITH first AS ("
            "  SELECT d.id FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id AND w.enabled"
            "  WHERE d.state = 'WAITING' AND d.next_attempt_at <= now() AND d.leased_until < now()"
            "  AND NOT EXISTS (SELECT FROM webhook_deliveries o WHERE o.webhook_id = d.webhook_id"
            "    AND o.state = 'WAITING' AND (o.leased_until >= now()"
            "      OR (o.next_attempt_at <= now() AND (o.created_at, o.id) < (d.created_at, d.id))))"
            "  ORDER BY d.next_attempt_at LIMIT $1 FOR UPDATE OF d SKIP LOCKED"
            "), leased AS ("
            "  UPDATE webhook_deliveries d SET attempts = attempts + 1, last_attempt_at = now(),"
            "    leased_until = now() + make_interval(secs => $2) FROM first WHERE d.id = first.id"
            f"  RETURNING {', '.join(f'd.{name}' for name in _DELIVERY)}"
            f") SELECT {', '.join(f'l.{name} AS d_{name}' for name in _DELIVERY)},"
            f"  {', '.join(f'w.{name}' for name in _WEBHOOK)},"
            f"  coalesce(w.rotated_at > now() - interval '{OVERLAP}', false) AS overlapping"
            "  FROM leased l JOIN webhooks w ON w.id = l.webhook_id",
            most, lease_s,
        )  # fmt: skip
        return [
            Due(Delivery(**{n: row[f"d_{n}"] for n in _DELIVERY}), _webhook(row), row["overlapping"])
            for row in rows
        ]

    async def next_due_s(self) -> float | None:
        """Seconds until something is to be sent, None where nothing waits."""
        due_s = await self._database.value(
            "SELECT extract(epoch FROM min(greatest(next_attempt_at, leased_until)) - now())::float8"
            " FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id AND w.enabled"
            " WHERE d.state = 'WAITING'"
        )
        return None if due_s is None else max(0.0, float(due_s))

    async def ended(
        self, due: Due, state: str, status: int, error: str, again_in_s: float | None
    ) -> Delivery | None:
        """What came of an attempt; None if it is another's meanwhile. `again_in_s` with WAITING."""
        row = await self._database.row(
            "UPDATE webhook_deliveries SET state = $3, status = $4, error = $5, leased_until = '-infinity',"
            " next_attempt_at = CASE WHEN $6::float8 IS NULL THEN next_attempt_at"
            "   ELSE now() + make_interval(secs => $6) END"
            f" WHERE id = $1 AND attempts = $2 AND state = 'WAITING' RETURNING {_DELIVERY_COLUMNS}",
            due.delivery.id, due.delivery.attempts, state, status, error, again_in_s,
        )  # fmt: skip
        return None if row is None else Delivery(**row)

    async def forget(self) -> None:
        """Takes deliveries away that are too old to be asked for."""
        await self._database.value(
            "DELETE FROM webhook_deliveries WHERE created_at < now() - make_interval(days => $1)", KEPT_DAYS
        )


def _webhook(row: Mapping[str, Any]) -> Webhook:
    return Webhook(**{**{name: row[name] for name in _WEBHOOK}, "events": tuple(row["events"])})
