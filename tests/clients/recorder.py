"""Servicers on a real wire that take down how a client calls them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import (
    GatewayServiceServicer,
    add_GatewayServiceServicer_to_server,
)


class Recorder(GatewayServiceServicer):
    """A gateway that takes down how it is called."""

    def __init__(self) -> None:
        self.calls: dict[str, tuple[dict[str, Any], float | None]] = {}

    def note(self, rpc: str, context: Any) -> None:
        self.calls[rpc] = dict(context.invocation_metadata()), context.time_remaining()


def recording(rpc: str, *, streams: bool) -> Any:
    answer = getattr(pb, f"{rpc}Response")()

    async def one(self: Recorder, request: Any, context: Any) -> Any:
        self.note(rpc, context)
        return answer

    async def many(self: Recorder, request: Any, context: Any) -> Any:
        self.note(rpc, context)
        return
        yield

    return many if streams else one


RPCS = pb.DESCRIPTOR.services_by_name["GatewayService"].methods
for method in RPCS:
    setattr(Recorder, method.name, recording(method.name, streams=method.server_streaming))


@asynccontextmanager
async def served(servicer: GatewayServiceServicer) -> AsyncIterator[str]:
    server = grpc.aio.server()
    add_GatewayServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)
