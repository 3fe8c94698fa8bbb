"""Routes for those who run the platform."""

from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import Response

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.faces.proto_models import request_of
from services.gateway.faces.routing import answers, caller_of, proto_response
from services.gateway.models import Account
from services.gateway.use_cases import UseCases


def add_operator(app: FastAPI, use_cases: UseCases) -> None:
    caller, operating = caller_of(use_cases.accounts), use_cases.operating

    @app.get("/v1/operator/failed-songs", responses=answers(pb.ListFailedSongsResponse), tags=["operator"])
    async def list_failed_songs(
        account: Annotated[Account, caller],
        request: Annotated[
            pb.ListFailedSongsRequest, Depends(request_of(pb.ListFailedSongsRequest, query=True))
        ],
    ) -> Response:
        """Lists songs of every account that have failed for good, the latest failure first."""
        return proto_response(await operating.failed(account, request))

    @app.post(
        "/v1/operator/songs/{song_id}:requeue", responses=answers(pb.RequeueSongResponse), tags=["operator"]
    )
    async def requeue_song(account: Annotated[Account, caller], song_id: str) -> Response:
        """Puts a song that has failed into the queue again."""
        return proto_response(await operating.requeue(account, pb.RequeueSongRequest(song_id=song_id)))
