"""Nobody gets past the account check, on either face."""

import re
from collections.abc import Mapping
from dataclasses import fields

import httpx
import pytest
from fastapi.routing import APIRoute
from google.protobuf import message_factory

from acesteps.gateway.v1 import account_service_pb2 as account_pb
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1 import webhook_service_pb2 as webhook_pb
from services.common.errors import Unauthenticated
from services.common.server import Health
from services.gateway.accounts import Accounts
from services.gateway.faces.grpc_accounts import AccountServicer
from services.gateway.faces.grpc_face import GatewayServicer
from services.gateway.faces.grpc_operator import OperatorServicer
from services.gateway.faces.grpc_webhooks import WebhookServicer
from services.gateway.faces.http_face import create_app
from services.gateway.identity.identities import Identities
from services.gateway.models import Account
from services.gateway.use_cases import UseCases

STRANGE = "00000000-0000-4000-8000-000000000000"
# What needs no account.
PUBLIC = {"/ipfs/{cid}", "/healthz", "/readyz", "/v1/auth/nonce", "/v1/auth/sign-in"}
PUBLIC |= {"/v1/shared/{share_token}", "/v1/shared/{share_token}/audio", "/v1/capabilities"}
PUBLIC |= {"/v1/shared/{share_token}/timeline"}
PUBLIC_CALLS = {"CreateNonce", "SignIn", "GetSharedSong", "GetCapabilities"}
SERVICERS = {
    "GatewayService": GatewayServicer, "OperatorService": OperatorServicer, "AccountService": AccountServicer,
    "WebhookService": WebhookServicer,
}  # fmt: skip


class Locked(Accounts):
    """Lets nobody in."""

    def __init__(self) -> None:
        super().__init__(Identities.__new__(Identities), development=True)  # nobody is looked up

    async def authenticate(self, credentials: Mapping[str, str]) -> Account:
        raise Unauthenticated("CREDENTIALS_MISSING", "who are you?")


class Unreached:
    """What is behind the check."""

    def __getattr__(self, name: str) -> object:
        def reached(*_: object) -> None:
            raise AssertionError(f"{name} was reached")

        return reached


def locked() -> UseCases:
    return UseCases(**{f.name: Locked() if f.name == "accounts" else Unreached() for f in fields(UseCases)})


async def test_every_route_but_the_public_ones_asks_who_is_calling() -> None:
    app = create_app(locked(), Health(), cors_origins=())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        asked = 0
        for route in app.routes:
            if not isinstance(route, APIRoute) or route.path in PUBLIC | {"/docs"}:
                continue
            for method in route.methods or ():
                path = re.sub(r"\{\w+\}", STRANGE, route.path)
                answer = await client.request(method, path, json={"prompt": "x"})
                assert answer.status_code == 401, (method, route.path)
                asked += 1
    assert asked >= 10


async def test_every_rpc_asks_who_is_calling() -> None:
    class NoMetadata:
        def invocation_metadata(self) -> tuple[()]:
            return ()

    asked = 0
    for file in (pb, account_pb, webhook_pb):
        for service in file.DESCRIPTOR.services_by_name.values():
            servicer = SERVICERS[service.name](locked())
            for method in service.methods:
                if method.name in PUBLIC_CALLS:
                    continue
                request = message_factory.GetMessageClass(method.input_type)()
                answer = getattr(servicer, method.name)(request, NoMetadata())
                with pytest.raises(Unauthenticated):
                    await (anext(answer) if hasattr(answer, "__anext__") else answer)
                asked += 1
    assert asked >= 20
