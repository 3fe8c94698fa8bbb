"""The gRPC face for operators: the generated servicer over the use cases."""

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import (
    OperatorServiceServicer,
    add_OperatorServiceServicer_to_server,
)
from services.common.server import GrpcService
from services.gateway.faces.calls import Context, credentials_of
from services.gateway.use_cases import UseCases


class OperatorServicer(OperatorServiceServicer):
    def __init__(self, use_cases: UseCases) -> None:
        self._accounts, self._operating = use_cases.accounts, use_cases.operating

    async def ListFailedSongs(
        self, request: pb.ListFailedSongsRequest, context: Context
    ) -> pb.ListFailedSongsResponse:
        account = await self._accounts.authenticate(credentials_of(context))
        return await self._operating.failed(account, request)

    async def RequeueSong(self, request: pb.RequeueSongRequest, context: Context) -> pb.RequeueSongResponse:
        account = await self._accounts.authenticate(credentials_of(context))
        return await self._operating.requeue(account, request)


def operator_service(use_cases: UseCases) -> GrpcService:
    servicer = OperatorServicer(use_cases)
    name = pb.DESCRIPTOR.services_by_name["OperatorService"].full_name
    return GrpcService(name, lambda server: add_OperatorServiceServicer_to_server(servicer, server))
