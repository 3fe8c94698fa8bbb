"""The gRPC face of accounts: the generated servicer over the use cases."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from acesteps.gateway.v1 import account_service_pb2 as pb
from acesteps.gateway.v1.account_service_pb2_grpc import (
    AccountServiceServicer,
    add_AccountServiceServicer_to_server,
)
from services.common.server import GrpcService
from services.gateway.accounts import secret_of
from services.gateway.faces.calls import Context, credentials_of
from services.gateway.faces.http_accounts import signed_in
from services.gateway.models import Account
from services.gateway.use_cases import UseCases


class AccountServicer(AccountServiceServicer):
    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases
        self._accounts, self._identity = use_cases.accounts, use_cases.identity

    async def CreateNonce(self, request: pb.CreateNonceRequest, context: Context) -> pb.CreateNonceResponse:
        return await self._use_cases.signing_in.nonce()

    async def SignIn(self, request: pb.SignInRequest, context: Context) -> pb.SignInResponse:
        return await signed_in(self._use_cases, await self._use_cases.signing_in.sign_in(request))

    async def SignOut(self, request: pb.SignOutRequest, context: Context) -> pb.SignOutResponse:
        account = await self._account(context)
        return await self._use_cases.signing_in.sign_out(account, secret_of(credentials_of(context)), request)

    async def GetAccount(self, request: pb.GetAccountRequest, context: Context) -> pb.GetAccountResponse:
        return await self._identity.get(await self._account(context), request)

    async def LinkWallet(self, request: pb.LinkWalletRequest, context: Context) -> pb.LinkWalletResponse:
        return await self._identity.link_wallet(await self._account(context), request)

    async def SetDefaultWallet(
        self, request: pb.SetDefaultWalletRequest, context: Context
    ) -> pb.SetDefaultWalletResponse:
        return await self._identity.set_default_wallet(await self._account(context), request)

    async def UnlinkWallet(
        self, request: pb.UnlinkWalletRequest, context: Context
    ) -> pb.UnlinkWalletResponse:
        return await self._identity.unlink_wallet(await self._account(context), request)

    async def CreateApiKey(
        self, request: pb.CreateApiKeyRequest, context: Context
    ) -> pb.CreateApiKeyResponse:
        return await self._identity.create_api_key(await self._account(context), request)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        return await self._identity.list_api_keys(await self._account(context), request)

    async def RevokeApiKey(
        self, request: pb.RevokeApiKeyRequest, context: Context
    ) -> pb.RevokeApiKeyResponse:
        return await self._identity.revoke_api_key(await self._account(context), request)

    async def ExportAccount(
        self, request: pb.ExportAccountRequest, context: Context
    ) -> AsyncGenerator[pb.ExportAccountResponse]:
        account = await self._account(context)
        async with aclosing(self._use_cases.leaving.export(account, request)) as pieces:
            async for piece in pieces:
                yield piece

    async def DeleteAccount(
        self, request: pb.DeleteAccountRequest, context: Context
    ) -> pb.DeleteAccountResponse:
        return await self._use_cases.leaving.delete(await self._account(context), request)

    async def _account(self, context: Context) -> Account:
        return await self._accounts.authenticate(credentials_of(context))


def account_service(use_cases: UseCases) -> GrpcService:
    servicer = AccountServicer(use_cases)
    name = pb.DESCRIPTOR.services_by_name["AccountService"].full_name
    return GrpcService(name, lambda server: add_AccountServiceServicer_to_server(servicer, server))
