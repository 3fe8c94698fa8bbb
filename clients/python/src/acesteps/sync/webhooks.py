"""Webhooks: servers of one's own that are told what becomes of songs."""

from collections.abc import Generator, Iterable

from acesteps.gateway.v1 import webhook_service_pb2 as pb
from acesteps.orders import EVENTS, Event
from acesteps.sync.calls import Calls


class Webhooks(Calls):
    """Every method raises AcestepsError."""

    def create_webhook(self, url: str, events: Iterable[Event]) -> pb.CreateWebhookResponse:
        """Its secret is in the answer and never again."""
        request = pb.CreateWebhookRequest(url=url, events=[EVENTS[event] for event in events])
        return self._once(self._webhooks.CreateWebhook, request)

    def webhooks(self) -> list[pb.Webhook]:
        return list((self._call(self._webhooks.ListWebhooks, pb.ListWebhooksRequest())).webhooks)

    def update_webhook(
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
        return (self._call(self._webhooks.UpdateWebhook, request)).webhook

    def rotate_webhook_secret(self, webhook_id: str) -> str:
        """The new secret; for a day what is sent is signed with both."""
        request = pb.RotateWebhookSecretRequest(webhook_id=webhook_id)
        return (self._once(self._webhooks.RotateWebhookSecret, request)).secret

    def delete_webhook(self, webhook_id: str) -> None:
        self._call(self._webhooks.DeleteWebhook, pb.DeleteWebhookRequest(webhook_id=webhook_id))

    def ping_webhook(self, webhook_id: str) -> pb.Delivery:
        """What came of an event that is sent at once."""
        request = pb.PingWebhookRequest(webhook_id=webhook_id)
        return (self._once(self._webhooks.PingWebhook, request)).delivery

    def deliveries(self, webhook_id: str) -> Generator[pb.Delivery, None, None]:
        """What was sent and what came of it, newest first, page by page."""
        token = ""
        while True:
            request = pb.ListDeliveriesRequest(webhook_id=webhook_id, page_size=100, page_token=token)
            page = self._call(self._webhooks.ListDeliveries, request)
            yield from page.deliveries
            if not (token := page.next_page_token):
                return

    def redeliver(self, delivery_id: str) -> pb.Delivery:
        request = pb.RedeliverRequest(delivery_id=delivery_id)
        return (self._call(self._webhooks.Redeliver, request)).delivery
