"""The gRPC face of webhooks: the generated servicer over the use cases."""

from acesteps.gateway.v1 import webhook_service_pb2 as pb
from acesteps.gateway.v1.webhook_service_pb2_grpc import (
    WebhookServiceServicer,
    add_WebhookServiceServicer_to_server,
)
from services.common.server import GrpcService
from services.gateway.faces.calls import Context, credentials_of
from services.gateway.models import Account
from services.gateway.use_cases import UseCases


class WebhookServicer(WebhookServiceServicer):
    def __init__(self, use_cases: UseCases) -> None:
        self._accounts, self._webhooks = use_cases.accounts, use_cases.webhooks

    async def CreateWebhook(
        self, request: pb.CreateWebhookRequest, context: Context
    ) -> pb.CreateWebhookResponse:
        return await self._webhooks.create(await self._account(context), request)

    async def ListWebhooks(
        self, request: pb.ListWebhooksRequest, context: Context
    ) -> pb.ListWebhooksResponse:
        return await self._webhooks.list(await self._account(context), request)

    async def UpdateWebhook(
        self, request: pb.UpdateWebhookRequest, context: Context
    ) -> pb.UpdateWebhookResponse:
        return await self._webhooks.update(await self._account(context), request)

    async def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, context: Context
    ) -> pb.RotateWebhookSecretResponse:
        return await self._webhooks.rotate(await self._account(context), request)

    async def DeleteWebhook(
        self, request: pb.DeleteWebhookRequest, context: Context
    ) -> pb.DeleteWebhookResponse:
        return await self._webhooks.delete(await self._account(context), request)

    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: Context
    ) -> pb.ListDeliveriesResponse:
        return await self._webhooks.deliveries(await self._account(context), request)

    async def Redeliver(self, request: pb.RedeliverRequest, context: Context) -> pb.RedeliverResponse:
        return await self._webhooks.redeliver(await self._account(context), request)

    async def PingWebhook(self, request: pb.PingWebhookRequest, context: Context) -> pb.PingWebhookResponse:
        return await self._webhooks.ping(await self._account(context), request)

    async def _account(self, context: Context) -> Account:
        return await self._accounts.authenticate(credentials_of(context))


def webhook_service(use_cases: UseCases) -> GrpcService:
    servicer = WebhookServicer(use_cases)
    name = pb.DESCRIPTOR.services_by_name["WebhookService"].full_name
    return GrpcService(name, lambda server: add_WebhookServiceServicer_to_server(servicer, server))
