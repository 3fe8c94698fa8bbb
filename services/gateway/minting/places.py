"""The places that the settings name besides the gateway's own store. Opens the session they are asked in."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from services.gateway.minting.pinning import KuboNode, PinningService, Place
from services.gateway.settings import GatewaySettings


@asynccontextmanager
async def open_places(settings: GatewaySettings) -> AsyncIterator[Sequence[Place]]:
    """The node first: the service may fetch from it."""
    async with aiohttp.ClientSession(trust_env=True) as session:
        places: list[Place] = []
        if settings.kubo_url is not None:
            places.append(KuboNode(session, settings.kubo_url.get_secret_value()))
        if settings.pinning_url and settings.pinning_token is not None:
            token = settings.pinning_token.get_secret_value()
            places.append(PinningService(session, settings.pinning_url, token, settings.ipfs_origins))
        yield places
