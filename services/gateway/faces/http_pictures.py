"""Routes of what players show of a song: JSON and PNG that a browser may keep."""

import asyncio
import json
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.audio.download import Download
from services.gateway.faces.proto_models import request_of
from services.gateway.faces.routing import answers, caller_of
from services.gateway.faces.streaming import file_response
from services.gateway.models import Account
from services.gateway.use_cases import UseCases

# A song's sound never changes; whether the account still has it is asked each time.
_HEADERS = {"Cache-Control": "private, no-cache"}


def add_pictures(app: FastAPI, use_cases: UseCases) -> None:
    caller, pictures = caller_of(use_cases.accounts), use_cases.pictures

    @app.head("/v1/songs/{song_id}/peaks", include_in_schema=False)
    @app.get("/v1/songs/{song_id}/peaks", responses=answers(pb.GetPeaksResponse), tags=["audio"])
    async def get_peaks(
        request: Request,
        account: Annotated[Account, caller],
        asked: Annotated[
            pb.GetPeaksRequest, Depends(request_of(pb.GetPeaksRequest, path=("song_id",), query=True))
        ],
    ) -> Response:
        """The waveform of a finished song, as audiowaveform writes it (version 2, mono, 8 bits)."""
        response = await pictures.peaks(account, asked)
        body = await asyncio.to_thread(_peaks_json, response)
        return file_response(request, Download.of("application/json", body), _HEADERS)

    @app.head("/v1/songs/{song_id}/spectrogram", include_in_schema=False)
    @app.get("/v1/songs/{song_id}/spectrogram", tags=["audio"], response_class=_Picture)
    async def get_spectrogram(
        request: Request,
        account: Annotated[Account, caller],
        asked: Annotated[
            pb.GetSpectrogramRequest,
            Depends(request_of(pb.GetSpectrogramRequest, path=("song_id",), query=True)),
        ],
    ) -> Response:
        """A picture of a finished song's spectrum over time: pitch upwards, level as colour."""
        response = await pictures.spectrogram(account, asked)
        return file_response(request, Download.of(response.media_type, response.image), _HEADERS)


class _Picture(Response):
    media_type = "image/png"


def _peaks_json(response: pb.GetPeaksResponse) -> bytes:
    """The proto's JSON, written by hand: the mapping takes a second for hundreds of thousands of numbers."""
    fields = {field.name: getattr(response, field.name) for field in response.DESCRIPTOR.fields}
    return json.dumps(fields | {"data": list(response.data)}, separators=(",", ":")).encode()
