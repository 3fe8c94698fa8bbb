"""Routes of saving, minting, and what is pinned."""

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import NotFound
from services.gateway.faces.proto_models import request_of
from services.gateway.faces.routing import answers, caller_of, proto_response
from services.gateway.faces.streaming import file_response
from services.gateway.models import Account
from services.gateway.use_cases import UseCases

# Pinned files are shown by anyone: nothing in them may run.
_PINNED_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "public, max-age=29030400, immutable",
}


def add_minting(app: FastAPI, use_cases: UseCases) -> None:
    caller, minting = caller_of(use_cases.accounts), use_cases.minting

    @app.post("/v1/songs/{song_id}:save", responses=answers(pb.SaveSongResponse), tags=["mint"])
    async def save_song(
        account: Annotated[Account, caller],
        request: Annotated[pb.SaveSongRequest, Depends(request_of(pb.SaveSongRequest, path=("song_id",)))],
    ) -> Response:
        """Builds and pins the song's metadata and gets the permit to mint it. Repeatable."""
        return proto_response(await minting.save(account, request))

    @app.get("/v1/songs/{song_id}/mint", responses=answers(pb.GetMintResponse), tags=["mint"])
    async def get_mint(account: Annotated[Account, caller], song_id: str) -> Response:
        """Gives the transaction that mints a saved song."""
        return proto_response(await minting.mint(account, pb.GetMintRequest(song_id=song_id)))

    @app.head("/ipfs/{cid}", include_in_schema=False)
    @app.get("/ipfs/{cid}", tags=["mint"], response_class=Response)
    async def get_pinned(request: Request, cid: str) -> Response:
        """A pinned file: audio, cover or metadata of a saved song."""
        download = await minting.pinned(cid)
        if download is None:
            raise NotFound(
                "NOT_PINNED",
                "nothing is pinned under this CID",
                metadata={"field": "cid", "limit": "the CID of a file of a saved song"},
            )
        return file_response(request, download, _PINNED_HEADERS)
