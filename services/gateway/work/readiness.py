"""Whether a peer can be called at all: asked of the channel, which follows the pods' own health.

A peer that is away is nobody's failure: songs wait for it, and their failures are not counted.
"""

import asyncio

import grpc

from services.common.errors import Unavailable

NO_POD_READY = "NO_POD_READY"


async def until_ready(channel: grpc.aio.Channel) -> None:
    """Waits until a pod behind `channel` says that it is ready."""
    while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
        await channel.wait_for_state_change(state)


async def require_ready(channel: grpc.aio.Channel, name: str, *, within_s: float, again_in_s: float) -> None:
    """Raises Unavailable (NO_POD_READY) when no pod is ready `within_s`."""
    try:
        async with asyncio.timeout(within_s):
            await until_ready(channel)
    except TimeoutError:
        raise no_pod_ready(name, again_in_s) from None


def no_pod_ready(name: str, again_in_s: float) -> Unavailable:
    return Unavailable(NO_POD_READY, f"no pod of the {name} service is ready", retry_delay_s=again_in_s)
