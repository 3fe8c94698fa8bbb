"""Nobody gets past the account check, on either face."""

from collections.abc import Mapping
from dataclasses import fields

import httpx
import pytest
from fastapi.routing import APIRoute

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import Unauthenticated
from services.common.server import Health
from services.gateway.accounts import Accounts
from services.gateway.faces.grpc_face import GatewayServicer
from services.gateway.faces.http_face import create_app
from services.gateway.models import Account
from services.gateway.use_cases import UseCases

STRANGE = "00000000-0000-4000-8000-000000000000"
# What needs no account.
PUBLIC = {"/ipfs/{cid}", "/healthz", "/readyz"}


class Locked(Accounts):
    """Lets nobody in."""

    def __init__(self) -> None:
        super().__init__("development")

    async def authenticate(self, credentials: Mapping[str, str]) -> Account:
        raise Unauthenticated("CREDENTIALS_MISSING", "who are you?")


def locked() -> UseCases:
    """Nothing behind the check is reached."""
    return UseCases(**{f.name: Locked() if f.name == "accounts" else None for f in fields(UseCases)})


async def test_every_route_but_the_public_ones_asks_who_is_calling() -> None:
    app = create_app(locked(), Health(), cors_origins=())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        asked = 0
        for route in app.routes:
            if not isinstance(route, APIRoute) or route.path in PUBLIC | {"/docs"}:
                continue
            for method in route.methods or ():
                answer = await client.request(
                    method, route.path.replace("{song_id}", STRANGE), json={"prompt": "x"}
                )
                assert answer.status_code == 401, (method, route.path)
                asked += 1
    assert asked >= 10


async def test_every_rpc_asks_who_is_calling() -> None:
    class NoMetadata:
        def invocation_metadata(self) -> tuple[()]:
            return ()

    servicer = GatewayServicer(locked())
    methods = pb.DESCRIPTOR.services_by_name["GatewayService"].methods
    assert len(methods) >= 9
    for method in methods:
        answer = getattr(servicer, method.name)(None, NoMetadata())
        with pytest.raises(Unauthenticated):
            await (anext(answer) if hasattr(answer, "__anext__") else answer)
