"""`python -m services.music`: the music service, configured by `MUSIC_…`."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from acesteps.music.v1 import music_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2_grpc as pb_grpc
from services.common.provenance import AttestationKey
from services.common.server import GrpcService, Health, StartError, run_service
from services.common.settings import load_settings
from services.music.engine import EngineCannotStart
from services.music.host import EngineHost
from services.music.measuring import SLOTS_BUSY
from services.music.service import MusicServicer
from services.music.settings import MusicSettings
from services.music.source import Trust


async def build(settings: MusicSettings, stack: AsyncExitStack, health: Health) -> Sequence[GrpcService]:
    try:
        key = AttestationKey.load(settings.attestation_key_file)
    except (OSError, ValueError) as error:
        raise StartError(f"MUSIC_ATTESTATION_KEY_FILE: {error}") from error
    try:
        settings.engine_choice.check()
    except EngineCannotStart as error:
        raise StartError(str(error)) from error
    host = EngineHost(settings.engine_choice, settings.slots, health.set_ready, settings.log_level)
    await host.start()
    stack.push_async_callback(host.stop)
    SLOTS_BUSY.set_function(lambda: host.busy)
    trust = Trust(settings.trust_bundle_file, settings.trust_state_file, settings.trust_least_version)
    following = asyncio.create_task(trust.follow())
    stack.callback(following.cancel)
    servicer = MusicServicer(host, settings.slots, key, settings.pod_id, trust)
    name = pb.DESCRIPTOR.services_by_name["MusicService"].full_name
    return [GrpcService(name, lambda server: pb_grpc.add_MusicServiceServicer_to_server(servicer, server))]


if __name__ == "__main__":
    run_service("music", load_settings(MusicSettings), build)
