"""Webhooks: servers of one's own that are told what becomes of songs."""

from collections.abc import AsyncGenerator, Iterable

from acesteps.aio.calls import AsyncCalls
from acesteps.gateway.v1 import webhook_service_pb2 as pb
from acesteps.orders import EVENTS, Event


class AsyncWebhooks(AsyncCalls):
    """Every method raises AcestepsError."""

    async def create_webhook(self, url: str, events: Iterable[Event]) -> pb.CreateWebhookResponse:
        """Its secret is in the answer and never again."""
        request = pb.CreateWebhookRequest(url=url, events=[EVENTS[event] for event in events])
        return await self._once(self._webhooks.CreateWebhook, request)

    async def webhooks(self) -> list[pb.Webhook]:
        return list((await self._call(self._webhooks.ListWebhooks, pb.ListWebhooksRequest())).webhooks)

    async def update_webhook(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Iterable[Event] = (),
        enabled: bool | None = None,
    ) -> pb.Webhook:
        """What is not given stays."""
        request = pb.UpdateWebhookRequest(
            webhook_id=webhook_id, url=url, events=[EVENTS[event] for event in events], enabled=enabled
        )
        return (await self._call(self._webhooks.UpdateWebhook, request)).webhook

    async def rotate_webhook_secret(self, webhook_id: str) -> str:
        """The new secret; for a day what is sent is signed with both."""
        request = pb.RotateWebhookSecretRequest(webhook_id=webhook_id)
        return (await self._once(self._webhooks.RotateWebhookSecret, request)).secret

    async def delete_webhook(self, webhook_id: str) -> None:
        await self._call(self._webhooks.DeleteWebhook, pb.DeleteWebhookRequest(webhook_id=webhook_id))

    async def ping_webhook(self, webhook_id: str) -> pb.Delivery:
        """What came of an event that is sent at once."""
        request = pb.PingWebhookRequest(webhook_id=webhook_id)
        return (await self._once(self._webhooks.PingWebhook, request)).delivery

    async def deliveries(self, webhook_id: str) -> AsyncGenerator[pb.Delivery, None]:
        """What was sent and what came of it, newest first, page by page."""
        token = ""
        while True:
            request = pb.ListDeliveriesRequest(webhook_id=webhook_id, page_size=100, page_token=token)
            page = await self._call(self._webhooks.ListDeliveries, request)
            for delivery in page.deliveries:
                yield delivery
            if not (token := page.next_page_token):
                return

    async def redeliver(self, delivery_id: str) -> pb.Delivery:
        request = pb.RedeliverRequest(delivery_id=delivery_id)
        return (await self._call(self._webhooks.Redeliver, request)).delivery
