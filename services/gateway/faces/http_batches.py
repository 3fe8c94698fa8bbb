"""Routes of batches: make several songs at once, read, watch, stop."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import Depends, FastAPI, Header
from fastapi.responses import Response

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.faces import http_songs
from services.gateway.faces.proto_models import json_of, request_of
from services.gateway.faces.routing import answers, caller_of, proto_response, rate_limits
from services.gateway.faces.streaming import Event, EventStream, event_stream
from services.gateway.models import Account
from services.gateway.use_cases import UseCases


def add_batches(app: FastAPI, use_cases: UseCases) -> None:
    caller, batches = caller_of(use_cases.accounts), use_cases.batches

    @app.post(
        "/v1/batches", status_code=201, responses=answers(pb.CreateBatchResponse, 201), tags=["batches"]
    )
    async def create_batch(
        account: Annotated[Account, caller],
        request: Annotated[pb.CreateBatchRequest, Depends(request_of(pb.CreateBatchRequest))],
    ) -> Response:
        """Puts several songs into the queue: each prompt, each so many times. Idempotent by `request_id`."""
        response = await batches.create(account, request)
        headers = {"Location": f"/v1/batches/{response.batch.id}"}
        left = await use_cases.allowances.left(account)
        return proto_response(response, 201, headers | rate_limits(left))

    @app.get("/v1/batches/{batch_id}", responses=answers(pb.GetBatchResponse), tags=["batches"])
    async def get_batch(account: Annotated[Account, caller], batch_id: str) -> Response:
        """Reads a batch and its songs."""
        return proto_response(await batches.get(account, pb.GetBatchRequest(batch_id=batch_id)))

    @app.get("/v1/batches/{batch_id}/events", tags=["batches"], response_class=EventStream)
    async def watch_batch(
        account: Annotated[Account, caller],
        batch_id: str,
        cursor: str = "",
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Server-sent events: each song after every change (`event: song`, `id:` a cursor) until all ended.

        `Last-Event-ID` (or `cursor`) resumes. A batch whose songs have ended and were seen so answers 204,
        which tells an EventSource to stop asking.
        """
        seen = cursor if last_event_id is None else last_event_id
        watch = pb.WatchBatchRequest(batch_id=batch_id, cursor=seen)
        if await batches.over(account, watch):
            return Response(status_code=204)

        async def open_events() -> AsyncGenerator[Event]:
            return _events(batches.watch(account, watch))

        return event_stream(open_events, http_songs.HEARTBEAT_S)

    @app.post("/v1/batches/{batch_id}:cancel", responses=answers(pb.CancelBatchResponse), tags=["batches"])
    async def cancel_batch(account: Annotated[Account, caller], batch_id: str) -> Response:
        """Stops every song of the batch that has not ended."""
        return proto_response(await batches.cancel(account, pb.CancelBatchRequest(batch_id=batch_id)))


async def _events(changes: AsyncGenerator[pb.WatchBatchResponse]) -> AsyncGenerator[Event]:
    async with aclosing(changes):
        async for change in changes:
            yield Event(change.cursor, "song", json_of(change.song))
