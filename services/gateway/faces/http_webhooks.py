"""Routes of webhooks and their deliveries."""

from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import Response

from acesteps.gateway.v1 import webhook_service_pb2 as pb
from services.gateway.faces.proto_models import request_of
from services.gateway.faces.routing import answers, caller_of, proto_response
from services.gateway.models import Account
from services.gateway.use_cases import UseCases


def add_webhooks(app: FastAPI, use_cases: UseCases) -> None:
    caller, webhooks = caller_of(use_cases.accounts), use_cases.webhooks

    @app.post(
        "/v1/webhooks", status_code=201, responses=answers(pb.CreateWebhookResponse, 201), tags=["webhooks"]
    )
    async def create_webhook(
        account: Annotated[Account, caller],
        request: Annotated[pb.CreateWebhookRequest, Depends(request_of(pb.CreateWebhookRequest))],
    ) -> Response:
        """Adds a webhook. Its secret is in this answer and never again."""
        return proto_response(await webhooks.create(account, request), 201)

    @app.get("/v1/webhooks", responses=answers(pb.ListWebhooksResponse), tags=["webhooks"])
    async def list_webhooks(account: Annotated[Account, caller]) -> Response:
        """Lists the account's webhooks."""
        return proto_response(await webhooks.list(account, pb.ListWebhooksRequest()))

    @app.patch("/v1/webhooks/{webhook_id}", responses=answers(pb.UpdateWebhookResponse), tags=["webhooks"])
    async def update_webhook(
        account: Annotated[Account, caller],
        request: Annotated[
            pb.UpdateWebhookRequest, Depends(request_of(pb.UpdateWebhookRequest, path=("webhook_id",)))
        ],
    ) -> Response:
        """Changes its URL, its events, or whether it is called at all."""
        return proto_response(await webhooks.update(account, request))

    @app.delete("/v1/webhooks/{webhook_id}", status_code=204, response_class=Response, tags=["webhooks"])
    async def delete_webhook(account: Annotated[Account, caller], webhook_id: str) -> Response:
        """Removes it and what was still to be sent. Repeatable."""
        await webhooks.delete(account, pb.DeleteWebhookRequest(webhook_id=webhook_id))
        return Response(status_code=204)

    @app.post(
        "/v1/webhooks/{webhook_id}:rotate-secret",
        responses=answers(pb.RotateWebhookSecretResponse),
        tags=["webhooks"],
    )
    async def rotate_webhook_secret(account: Annotated[Account, caller], webhook_id: str) -> Response:
        """Gives it a new secret; for a day what is sent is signed with both."""
        request = pb.RotateWebhookSecretRequest(webhook_id=webhook_id)
        return proto_response(await webhooks.rotate(account, request))

    @app.post("/v1/webhooks/{webhook_id}:ping", responses=answers(pb.PingWebhookResponse), tags=["webhooks"])
    async def ping_webhook(account: Annotated[Account, caller], webhook_id: str) -> Response:
        """Sends an event at once and says what came of it."""
        return proto_response(await webhooks.ping(account, pb.PingWebhookRequest(webhook_id=webhook_id)))

    @app.get(
        "/v1/webhooks/{webhook_id}/deliveries",
        responses=answers(pb.ListDeliveriesResponse),
        tags=["webhooks"],
    )
    async def list_deliveries(
        account: Annotated[Account, caller],
        request: Annotated[
            pb.ListDeliveriesRequest,
            Depends(request_of(pb.ListDeliveriesRequest, path=("webhook_id",), query=True)),
        ],
    ) -> Response:
        """Lists what was sent and what came of it, newest first."""
        return proto_response(await webhooks.deliveries(account, request))

    @app.post(
        "/v1/webhook-deliveries/{delivery_id}:redeliver",
        responses=answers(pb.RedeliverResponse),
        tags=["webhooks"],
    )
    async def redeliver(account: Annotated[Account, caller], delivery_id: str) -> Response:
        """Sends an event again, whatever came of it."""
        return proto_response(await webhooks.redeliver(account, pb.RedeliverRequest(delivery_id=delivery_id)))
