"""What an account does with its webhooks: the use cases behind both faces, one method for each RPC.

Knows no transport, and of sending only that a ping is sent at once.
"""

from collections.abc import Sequence
from uuid import UUID

from acesteps.gateway.v1 import webhook_service_pb2 as pb
from services.common.errors import FailedPrecondition, InvalidField, NotFound
from services.gateway.messages import timestamp
from services.gateway.models import Account, Scope
from services.gateway.pages import page_size_of, page_token, read_page_token
from services.gateway.webhooks.addresses import LookUp, checked_url
from services.gateway.webhooks.delivering import LEASE_S, Delivering
from services.gateway.webhooks.hooks import MOST_WEBHOOKS, Delivery, Hooks, Webhook
from services.gateway.webhooks.signing import Secrets

# PING is sent to whom it is asked for, whatever events it wants.
_EVENTS = {
    pb.EventType.Value(name): name.removeprefix("EVENT_TYPE_")
    for name in pb.EventType.DESCRIPTOR.values_by_name
    if name not in ("EVENT_TYPE_UNSPECIFIED", "EVENT_TYPE_PING")
}


class Webhooks:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), PermissionDenied (SCOPE_MISSING)."""

    def __init__(
        self, hooks: Hooks, secrets: Secrets, delivering: Delivering, *, anywhere: bool, look_up: LookUp
    ) -> None:
        self._hooks, self._secrets, self._delivering = hooks, secrets, delivering
        self._anywhere, self._look_up = anywhere, look_up

    async def create(self, account: Account, request: pb.CreateWebhookRequest) -> pb.CreateWebhookResponse:
        account.require(Scope.WRITE)
        events = _events(request.events, required=True)
        url = await checked_url(request.url, anywhere=self._anywhere, look_up=self._look_up)
        webhook = await self._hooks.create(account.id, url, events)
        if webhook is None:
            limit = f"at most {MOST_WEBHOOKS}"
            message = "the account has too many webhooks"
            raise FailedPrecondition("TOO_MANY", message, metadata={"limit": limit})
        secret = self._secrets.of(webhook.id, webhook.secret_version)
        return pb.CreateWebhookResponse(webhook=_message(webhook), secret=secret)

    async def list(self, account: Account, request: pb.ListWebhooksRequest) -> pb.ListWebhooksResponse:
        account.require(Scope.READ)
        return pb.ListWebhooksResponse(webhooks=map(_message, await self._hooks.all(account.id)))

    async def update(self, account: Account, request: pb.UpdateWebhookRequest) -> pb.UpdateWebhookResponse:
        account.require(Scope.WRITE)
        webhook_id = _id(request.webhook_id, "webhook_id", "WEBHOOK_NOT_FOUND")
        url = None
        if request.HasField("url"):
            url = await checked_url(request.url, anywhere=self._anywhere, look_up=self._look_up)
        events = _events(request.events, required=False) or None
        enabled = request.enabled if request.HasField("enabled") else None
        if url is None and events is None and enabled is None:
            limit = "at least one of url, events, enabled"
            raise InvalidField("REQUIRED", "url", "nothing is to be changed", limit=limit)
        webhook = await self._hooks.update(account.id, webhook_id, url, events, enabled)
        return pb.UpdateWebhookResponse(webhook=_message(_found(webhook)))

    async def rotate(
        self, account: Account, request: pb.RotateWebhookSecretRequest
    ) -> pb.RotateWebhookSecretResponse:
        account.require(Scope.WRITE)
        webhook_id = _id(request.webhook_id, "webhook_id", "WEBHOOK_NOT_FOUND")
        webhook = _found(await self._hooks.rotate(account.id, webhook_id))
        return pb.RotateWebhookSecretResponse(secret=self._secrets.of(webhook.id, webhook.secret_version))

    async def delete(self, account: Account, request: pb.DeleteWebhookRequest) -> pb.DeleteWebhookResponse:
        account.require(Scope.WRITE)
        await self._hooks.delete(account.id, _id(request.webhook_id, "webhook_id", "WEBHOOK_NOT_FOUND"))
        return pb.DeleteWebhookResponse()

    async def deliveries(
        self, account: Account, request: pb.ListDeliveriesRequest
    ) -> pb.ListDeliveriesResponse:
        account.require(Scope.READ)
        webhook = await self._webhook(account, request.webhook_id)
        size, of_list = page_size_of(request.page_size), webhook.id.bytes
        after = read_page_token(request.page_token, of_list) if request.page_token else None
        found = await self._hooks.deliveries(webhook.id, size + 1, after)
        page, more = found[:size], len(found) > size
        return pb.ListDeliveriesResponse(
            deliveries=map(_delivery_message, page),
            next_page_token=page_token(page[-1].created_at, page[-1].id, of_list) if more else "",
        )

    async def redeliver(self, account: Account, request: pb.RedeliverRequest) -> pb.RedeliverResponse:
        account.require(Scope.WRITE)
        delivery_id = _id(request.delivery_id, "delivery_id", "DELIVERY_NOT_FOUND")
        delivery = await self._hooks.redeliver(account.id, delivery_id)
        if delivery is None:
            raise _not_found("delivery_id", "DELIVERY_NOT_FOUND")
        self._delivering.look()
        return pb.RedeliverResponse(delivery=_delivery_message(delivery))

    async def ping(self, account: Account, request: pb.PingWebhookRequest) -> pb.PingWebhookResponse:
        account.require(Scope.WRITE)
        due = await self._hooks.ping(await self._webhook(account, request.webhook_id), LEASE_S)
        ended = await self._delivering.send(due, again=False)
        return pb.PingWebhookResponse(delivery=_delivery_message(ended or due.delivery))

    async def _webhook(self, account: Account, webhook_id: str) -> Webhook:
        found = await self._hooks.get(account.id, _id(webhook_id, "webhook_id", "WEBHOOK_NOT_FOUND"))
        return _found(found)


def _events(numbers: Sequence[int], *, required: bool) -> list[str]:
    """Each once. Raises InvalidField."""
    limit = "one or more of " + ", ".join(f"EVENT_TYPE_{name}" for name in _EVENTS.values())
    if required and not numbers:
        raise InvalidField("REQUIRED", "events", "events are missing", limit=limit)
    for index, number in enumerate(numbers):
        if number not in _EVENTS:
            raise InvalidField(
                "UNKNOWN_VALUE", f"events[{index}]", f"event {number} is not known", limit=limit
            )
    return [name for number, name in _EVENTS.items() if number in numbers]


def _id(text: str, field: str, reason: str) -> UUID:
    """Raises NotFound for what cannot be an id."""
    try:
        found = UUID(text)
    except ValueError:
        raise _not_found(field, reason) from None
    if str(found) != text:
        raise _not_found(field, reason)
    return found


def _found(webhook: Webhook | None) -> Webhook:
    if webhook is None:
        raise _not_found("webhook_id", "WEBHOOK_NOT_FOUND")
    return webhook


def _not_found(field: str, reason: str) -> NotFound:
    what = field.removesuffix("_id")
    metadata = {"field": field, "limit": f"the id of a {what} of yours (UUID)"}
    return NotFound(reason, f"there is no such {what}", metadata=metadata)


def _message(webhook: Webhook) -> pb.Webhook:
    return pb.Webhook(
        id=str(webhook.id),
        url=webhook.url,
        events=[number for number, name in _EVENTS.items() if name in webhook.events],
        enabled=webhook.enabled,
        create_time=timestamp(webhook.created_at),
    )


def _delivery_message(delivery: Delivery) -> pb.Delivery:
    waits = delivery.state == "WAITING"
    return pb.Delivery(
        id=str(delivery.id),
        event=pb.EventType.Value(f"EVENT_TYPE_{delivery.event}"),
        song_id=str(delivery.song_id or ""),
        state=pb.DeliveryState.Value(f"DELIVERY_STATE_{delivery.state}"),
        attempts=delivery.attempts,
        status=delivery.status,
        error=delivery.error,
        create_time=timestamp(delivery.created_at),
        last_attempt_time=timestamp(delivery.last_attempt_at),
        next_attempt_time=timestamp(delivery.next_attempt_at) if waits else None,
    )
