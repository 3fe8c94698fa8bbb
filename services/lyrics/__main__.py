"""`python -m services.lyrics`: the lyrics service, configured by `LYRICS_…`."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2_grpc as pb_grpc
from services.common.server import GrpcService, Health, run_service
from services.common.settings import load_settings
from services.lyrics.registry import open_engine
from services.lyrics.service import LyricsServicer
from services.lyrics.settings import LyricsSettings


async def build(settings: LyricsSettings, stack: AsyncExitStack, health: Health) -> Sequence[GrpcService]:
    engine = await open_engine(settings, stack, health.fail)
    health.set_ready(True)
    servicer = LyricsServicer(engine, settings.slots)
    name = pb.DESCRIPTOR.services_by_name["LyricsService"].full_name
    return [GrpcService(name, lambda server: pb_grpc.add_LyricsServiceServicer_to_server(servicer, server))]


if __name__ == "__main__":
    run_service("lyrics", load_settings(LyricsSettings), build)
