"""Routes of signing in, and of what an account has besides songs."""

from contextlib import aclosing
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response

from acesteps.gateway.v1 import account_service_pb2 as pb
from services.gateway.accounts import COOKIE, secret_of
from services.gateway.faces.proto_models import request_of
from services.gateway.faces.routing import answers, caller_of, proto_response
from services.gateway.faces.streaming import Body, Headers, StreamedResponse
from services.gateway.identity.signing_in import Session
from services.gateway.messages import timestamp
from services.gateway.models import Account
from services.gateway.use_cases import UseCases


def add_accounts(app: FastAPI, use_cases: UseCases, *, secure: bool) -> None:
    """`secure`: the face is reached over https only, and so is the session's cookie."""
    caller, identity = caller_of(use_cases.accounts), use_cases.identity

    @app.post("/v1/auth/nonce", responses=answers(pb.CreateNonceResponse), tags=["accounts"])
    async def create_nonce() -> Response:
        """Gives a nonce for a Sign-In with Ethereum message. Good once, for ten minutes."""
        return proto_response(await use_cases.signing_in.nonce())

    @app.post("/v1/auth/sign-in", responses=answers(pb.SignInResponse), tags=["accounts"])
    async def sign_in(
        request: Annotated[pb.SignInRequest, Depends(request_of(pb.SignInRequest))],
    ) -> Response:
        """Signs in with a wallet (EIP-4361), and sets the cookie. The first time makes an account."""
        session = await use_cases.signing_in.sign_in(request)
        response = proto_response(await signed_in(use_cases, session))
        response.set_cookie(
            COOKIE,
            session.secret,
            expires=session.expires_at,
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return response

    @app.post("/v1/auth/sign-out", responses=answers(pb.SignOutResponse), tags=["accounts"])
    async def sign_out(
        account: Annotated[Account, caller],
        asked: Request,
        request: Annotated[pb.SignOutRequest, Depends(request_of(pb.SignOutRequest))],
    ) -> Response:
        """Ends the session, or all of the account's."""
        await use_cases.signing_in.sign_out(account, secret_of(asked.headers), request)
        response = proto_response(pb.SignOutResponse())
        response.delete_cookie(COOKIE, secure=secure, httponly=True, samesite="strict")
        return response

    @app.get("/v1/account", responses=answers(pb.GetAccountResponse), tags=["accounts"])
    async def get_account(account: Annotated[Account, caller]) -> Response:
        """The account, its wallets, its tier and what is left of it today."""
        return proto_response(await identity.get(account, pb.GetAccountRequest()))

    @app.get("/v1/account/export", tags=["accounts"], response_class=Response)
    async def export_account(account: Annotated[Account, caller]) -> Response:
        """All that is kept about the account, as one JSON document."""
        account.require_session()
        pieces = use_cases.leaving.export(account, pb.ExportAccountRequest())

        async def body() -> Body:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece.data

        async def open_body() -> tuple[Headers, Body]:
            name = 'attachment; filename="acesteps-account.json"'
            return {"Content-Type": "application/json", "Content-Disposition": name}, body()

        return StreamedResponse(open_body)

    @app.delete("/v1/account", responses=answers(pb.DeleteAccountResponse), tags=["accounts"])
    async def delete_account(
        account: Annotated[Account, caller],
        request: Annotated[pb.DeleteAccountRequest, Depends(request_of(pb.DeleteAccountRequest, query=True))],
    ) -> Response:
        """Deletes the account for good; `confirm` is its id. What proves minted songs stays."""
        response = proto_response(await use_cases.leaving.delete(account, request))
        response.delete_cookie(COOKIE, secure=secure, httponly=True, samesite="strict")
        return response

    @app.post("/v1/account/wallets", responses=answers(pb.LinkWalletResponse), tags=["accounts"])
    async def link_wallet(
        account: Annotated[Account, caller],
        request: Annotated[pb.LinkWalletRequest, Depends(request_of(pb.LinkWalletRequest))],
    ) -> Response:
        """Adds a wallet, by a message that it signed as for signing in."""
        return proto_response(await identity.link_wallet(account, request))

    @app.post(
        "/v1/account/wallets/{address}:default",
        responses=answers(pb.SetDefaultWalletResponse),
        tags=["accounts"],
    )
    async def set_default_wallet(account: Annotated[Account, caller], address: str) -> Response:
        """Makes it the wallet that new songs are made for."""
        request = pb.SetDefaultWalletRequest(address=address)
        return proto_response(await identity.set_default_wallet(account, request))

    @app.delete(
        "/v1/account/wallets/{address}", responses=answers(pb.UnlinkWalletResponse), tags=["accounts"]
    )
    async def unlink_wallet(account: Annotated[Account, caller], address: str) -> Response:
        """Takes a wallet from the account; not its only one."""
        return proto_response(await identity.unlink_wallet(account, pb.UnlinkWalletRequest(address=address)))

    @app.post(
        "/v1/account/api-keys",
        status_code=201,
        responses=answers(pb.CreateApiKeyResponse, 201),
        tags=["accounts"],
    )
    async def create_api_key(
        account: Annotated[Account, caller],
        request: Annotated[pb.CreateApiKeyRequest, Depends(request_of(pb.CreateApiKeyRequest))],
    ) -> Response:
        """Makes an API key. Its secret is in this answer and never again."""
        return proto_response(await identity.create_api_key(account, request), 201)

    @app.get("/v1/account/api-keys", responses=answers(pb.ListApiKeysResponse), tags=["accounts"])
    async def list_api_keys(account: Annotated[Account, caller]) -> Response:
        """Lists the keys that are not revoked."""
        return proto_response(await identity.list_api_keys(account, pb.ListApiKeysRequest()))

    @app.delete(
        "/v1/account/api-keys/{api_key_id}", responses=answers(pb.RevokeApiKeyResponse), tags=["accounts"]
    )
    async def revoke_api_key(account: Annotated[Account, caller], api_key_id: str) -> Response:
        """Revokes a key at once."""
        request = pb.RevokeApiKeyRequest(api_key_id=api_key_id)
        return proto_response(await identity.revoke_api_key(account, request))


async def signed_in(use_cases: UseCases, session: Session) -> pb.SignInResponse:
    return pb.SignInResponse(
        account=await use_cases.identity.read(session.account),
        session_token=session.secret,
        expire_time=timestamp(session.expires_at),
    )
