"""What the routes of every topic share: who is calling, and messages as answers."""

from typing import Any

from fastapi import Depends, Request
from fastapi.responses import Response
from google.protobuf.message import Message

from services.gateway.accounts import Accounts
from services.gateway.faces.csrf import require_meant
from services.gateway.faces.proto_models import json_of, model_of
from services.gateway.models import Account
from services.gateway.quota import Left


def caller_of(accounts: Accounts) -> Any:
    """The dependency that says who calls."""

    async def authenticate(request: Request) -> Account:
        require_meant(request.method, request.headers, request.app.state.origins)
        return await accounts.authenticate(request.headers)

    return Depends(authenticate)


def answers(message: type[Message], status: int = 200) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for its description."""
    return {status: {"model": model_of(message.DESCRIPTOR)}}


def rate_limits(left: Left) -> dict[str, str]:
    """Headers that say what is left of the day; none without a limit."""
    if not left.limit:
        return {}
    numbers = {"Limit": left.limit, "Remaining": left.left, "Reset": left.reset_s}
    return {f"RateLimit-{name}": str(number) for name, number in numbers.items()}


def proto_response(
    message: Message, status_code: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(json_of(message), status_code, headers, "application/json")
