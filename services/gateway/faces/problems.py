"""Errors on HTTP: RFC 9457 problem documents with the same reasons, fields and limits as on gRPC.

One table from status to status. Nothing of a defect of ours is shown but that there is one.
"""

import logging
from http import HTTPStatus
from http.client import responses
from typing import Any

import grpc
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from opentelemetry import trace
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from services.common.errors import ServiceError
from services.gateway.faces.proto_models import BODY_LIMIT, invalid_field

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.OUT_OF_RANGE: 416,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,  # the client is gone; nobody reads it
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_REASONS = {
    400: "MALFORMED",
    404: "ROUTE_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "BODY_TOO_SLOW",
    413: "BODY_TOO_LARGE",
    415: "NOT_JSON",
}


class Problem(BaseModel):
    """An RFC 9457 problem document. `reason` is stable; `field` and `limit` are there for a bad field."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    reason: str
    field: str | None = None
    limit: str | None = None


def problem(error: ServiceError) -> JSONResponse:
    status = HTTP_STATUS[error.code]
    headers = {}
    if error.retry_delay_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_delay_s)))
    if (limit := error.metadata.get("songs_per_day")) is not None:
        headers |= {
            "RateLimit-Limit": limit,
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": headers.get("Retry-After", "1"),
        }
    return _document(status, error.reason, error.message, error.metadata, headers)


def _document(
    status: int, reason: str, detail: str, members: dict[str, Any], headers: dict[str, str]
) -> JSONResponse:
    trace.get_current_span().set_attribute("acesteps.reason", reason)
    content = {
        **members,
        "type": f"urn:acesteps:problem:{reason}",
        "title": responses.get(status, "Client Closed Request"),
        "status": status,
        "detail": detail,
        "reason": reason,
    }
    return JSONResponse(content, status, {**headers, "Cache-Control": "no-store"}, MEDIA_TYPE)


def nonsense(detail: str) -> bytes:
    """The problem document of what is no HTTP request."""
    answer = _document(400, "MALFORMED", detail, {"field": "request", "limit": "HTTP/1.1"}, {})
    return bytes(answer.body)


def body_too_large(limit_bytes: int) -> HTTPException:
    return HTTPException(413, f"a body has at most {limit_bytes} bytes")


def http_problem(error: HTTPException) -> JSONResponse:
    """The problem document of an error of the framework's own."""
    reason = _REASONS.get(error.status_code, HTTPStatus(error.status_code).name)
    members = {"field": "body", "limit": BODY_LIMIT} if error.status_code == 400 else {}
    return _document(error.status_code, reason, error.detail, members, dict(error.headers or {}))


def answer_with_problems(app: FastAPI) -> None:
    """Has every error of `app` answered with a problem document."""

    async def service_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ServiceError)
        return problem(error)

    async def validation_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return problem(invalid_field(error.errors()[0]))

    async def http_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return http_problem(error)

    async def defect(_: Request, error: Exception) -> JSONResponse:
        return _document(500, "INTERNAL", "internal error; the log of the service has the details", {}, {})

    app.add_exception_handler(ServiceError, service_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, defect)
