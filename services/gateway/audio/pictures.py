"""What players show of a finished song: its waveform and its spectrum. The use cases behind both faces.

Knows no transport.
"""

import asyncio
from collections.abc import Callable

import numpy as np
import soundfile

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import InvalidField
from services.gateway.audio.download import Files
from services.gateway.audio.master import SAMPLE_RATE_HZ, opened
from services.gateway.audio.peaks import BITS, CHANNELS, VERSION, peaks
from services.gateway.audio.spectrogram import spectrogram
from services.gateway.audio.workbench import Workbench
from services.gateway.lookup import song_of_account
from services.gateway.models import Account, Scope, Song
from services.gateway.store import Store

# 100 pairs a second
USUAL_SAMPLES_PER_PIXEL = 441
USUAL_WIDTH, USUAL_HEIGHT = 1024, 256


class Pictures:
    """Every method may raise Unavailable (the database, the objects), NotFound (SONG_NOT_FOUND),
    FailedPrecondition (the song is not done) and InvalidField (OUT_OF_RANGE).
    """

    def __init__(self, store: Store, files: Files, workbench: Workbench) -> None:
        self._store, self._files, self._workbench = store, files, workbench

    async def peaks(self, account: Account, request: pb.GetPeaksRequest) -> pb.GetPeaksResponse:
        account.require(Scope.READ)
        samples_per_pixel = _within(
            "samples_per_pixel", request.samples_per_pixel or USUAL_SAMPLES_PER_PIXEL, 64, 65_536
        )
        song = await song_of_account(self._store, account, request.song_id)
        data = await self._made(song, "peaks", (samples_per_pixel,), peaks)
        return pb.GetPeaksResponse(
            version=VERSION,
            channels=CHANNELS,
            sample_rate=SAMPLE_RATE_HZ,
            samples_per_pixel=samples_per_pixel,
            bits=BITS,
            length=len(data) // 2,
            data=np.frombuffer(data, np.int8).tolist(),
        )

    async def spectrogram(
        self, account: Account, request: pb.GetSpectrogramRequest
    ) -> pb.GetSpectrogramResponse:
        account.require(Scope.READ)
        width = _within("width", request.width or USUAL_WIDTH, 64, 4096)
        height = _within("height", request.height or USUAL_HEIGHT, 64, 1024)
        song = await song_of_account(self._store, account, request.song_id)
        image = await self._made(song, "spectrogram", (width, height), spectrogram)
        return pb.GetSpectrogramResponse(media_type="image/png", image=image)

    async def _made(self, song: Song, kind: str, sizes: tuple[int, ...], make: Callable[..., bytes]) -> bytes:
        master_sha256, read_master = self._files.master_of(song)

        def draw(sound: soundfile.SoundFile) -> bytes:
            return make(sound, *sizes)

        async def made() -> bytes:
            async with opened(read_master, song.master_bytes) as sound:
                return await asyncio.to_thread(draw, sound)

        return await self._workbench.get((master_sha256, kind, sizes), made)


def _within(field: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise InvalidField("OUT_OF_RANGE", field, f"{field} is {value}", limit=f"{least} to {most}")
    return value
