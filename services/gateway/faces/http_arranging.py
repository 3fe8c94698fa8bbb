"""Routes of songs that are there: change, retry, delete, share, family; and what is shared, for anyone."""

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.faces.http_audio import AskedAudio, AudioResponse, answer_audio, asked_audio
from services.gateway.faces.proto_models import request_of
from services.gateway.faces.routing import answers, caller_of, proto_response
from services.gateway.models import Account
from services.gateway.use_cases import UseCases


def add_arranging(app: FastAPI, use_cases: UseCases) -> None:
    caller, arranging = caller_of(use_cases.accounts), use_cases.arranging

    @app.patch("/v1/songs/{song_id}", responses=answers(pb.UpdateSongResponse), tags=["songs"])
    async def update_song(
        account: Annotated[Account, caller],
        request: Annotated[
            pb.UpdateSongRequest, Depends(request_of(pb.UpdateSongRequest, path=("song_id",)))
        ],
    ) -> Response:
        """Changes a song's title, whether it is a favourite, whether lists leave it out."""
        return proto_response(await arranging.update(account, request))

    @app.delete("/v1/songs/{song_id}", status_code=204, response_class=Response, tags=["songs"])
    async def delete_song(account: Annotated[Account, caller], song_id: str) -> Response:
        """Deletes a song and all of its files. One with a permit can only be hidden. Repeatable."""
        await arranging.delete(account, pb.DeleteSongRequest(song_id=song_id))
        return Response(status_code=204)

    @app.post("/v1/songs/{song_id}:retry", responses=answers(pb.RetrySongResponse), tags=["songs"])
    async def retry_song(account: Annotated[Account, caller], song_id: str) -> Response:
        """Puts a song that has failed or was cancelled into the queue again. Repeatable."""
        return proto_response(await arranging.retry(account, pb.RetrySongRequest(song_id=song_id)))

    @app.post("/v1/songs/{song_id}:share", responses=answers(pb.ShareSongResponse), tags=["sharing"])
    async def share_song(account: Annotated[Account, caller], song_id: str) -> Response:
        """Makes a link under which anyone can hear the song. Repeatable: the link stays."""
        return proto_response(await arranging.share(account, pb.ShareSongRequest(song_id=song_id)))

    @app.post("/v1/songs/{song_id}:unshare", responses=answers(pb.UnshareSongResponse), tags=["sharing"])
    async def unshare_song(account: Annotated[Account, caller], song_id: str) -> Response:
        """Takes the link back. Repeatable."""
        return proto_response(await arranging.unshare(account, pb.UnshareSongRequest(song_id=song_id)))

    @app.get("/v1/songs/{song_id}/family", responses=answers(pb.GetFamilyResponse), tags=["songs"])
    async def get_family(account: Annotated[Account, caller], song_id: str) -> Response:
        """The song that this one comes from at first, and all that was made from that."""
        return proto_response(await arranging.family(account, pb.GetFamilyRequest(song_id=song_id)))

    _add_shared(app, use_cases)


def _add_shared(app: FastAPI, use_cases: UseCases) -> None:
    """What needs no account, only the token."""
    sharing, listening = use_cases.sharing, use_cases.listening

    @app.get("/v1/shared/{share_token}", responses=answers(pb.GetSharedSongResponse), tags=["sharing"])
    async def get_shared_song(share_token: str) -> Response:
        """A song that was shared."""
        return proto_response(await sharing.get(pb.GetSharedSongRequest(share_token=share_token)))

    @app.head("/v1/shared/{share_token}/audio", include_in_schema=False)
    @app.get("/v1/shared/{share_token}/audio", tags=["sharing"], response_class=AudioResponse)
    async def get_shared_audio(
        request: Request, share_token: str, asked: Annotated[AskedAudio, Depends(asked_audio)]
    ) -> Response:
        """The audio of a song that was shared: a file, with Range, HEAD and ETag."""
        return await answer_audio(request, listening, await sharing.song(share_token), asked)
