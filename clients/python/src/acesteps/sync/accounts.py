"""Who is calling: signing in with a wallet, keys, wallets, and what an account may take along."""

from collections.abc import Generator, Iterable
from contextlib import closing

from acesteps.gateway.v1 import account_service_pb2 as pb
from acesteps.orders import SCOPES, Scope
from acesteps.siwe import Sign, sign_in_text
from acesteps.sync.calls import Calls


class Accounts(Calls):
    """Every method raises AcestepsError. Keys, wallets, export and deletion want a session, not a key."""

    def sign_in(self, address: str, sign: Sign) -> pb.SignInResponse:
        """Sign in with a wallet; calls of this client are the session's from then on.

        Args:
            address: the wallet's, with its EIP-55 checksum
            sign: signs a text as the wallet does; `acesteps.wallet.signer` makes one of a key
        """
        answer = self._once(self._accounts.SignIn, pb.SignInRequest(**self._signed(address, sign)))
        self._speak_for(answer.session_token)
        return answer

    def sign_out(self, *, everywhere: bool = False) -> None:
        self._call(self._accounts.SignOut, pb.SignOutRequest(everywhere=everywhere))

    def account(self) -> pb.Account:
        """The account, its wallets, its tier and what is left of it today."""
        return (self._call(self._accounts.GetAccount, pb.GetAccountRequest())).account

    def link_wallet(self, address: str, sign: Sign) -> pb.Account:
        """Add a wallet to the account."""
        request = pb.LinkWalletRequest(**self._signed(address, sign))
        return (self._once(self._accounts.LinkWallet, request)).account

    def set_default_wallet(self, address: str) -> pb.Account:
        """Make it the wallet that new songs are made for."""
        request = pb.SetDefaultWalletRequest(address=address)
        return (self._call(self._accounts.SetDefaultWallet, request)).account

    def unlink_wallet(self, address: str) -> pb.Account:
        request = pb.UnlinkWalletRequest(address=address)
        return (self._call(self._accounts.UnlinkWallet, request)).account

    def create_api_key(
        self, name: str, scopes: Iterable[Scope] = ("read",), *, expires_in_days: int | None = None
    ) -> pb.CreateApiKeyResponse:
        """A key for programs. Its secret is in the answer and never again."""
        request = pb.CreateApiKeyRequest(
            name=name, scopes=[SCOPES[scope] for scope in scopes], expires_in_days=expires_in_days
        )
        return self._once(self._accounts.CreateApiKey, request)

    def api_keys(self) -> list[pb.ApiKey]:
        return list((self._call(self._accounts.ListApiKeys, pb.ListApiKeysRequest())).api_keys)

    def revoke_api_key(self, api_key_id: str) -> None:
        self._call(self._accounts.RevokeApiKey, pb.RevokeApiKeyRequest(api_key_id=api_key_id))

    def export(self) -> Generator[bytes, None, None]:
        """All that is kept about the account, as one JSON document in pieces. Breaks with the connection."""
        pieces = self._follow(self._accounts.ExportAccount, pb.ExportAccountRequest, mend=lambda error: False)
        with closing(pieces):
            for piece in pieces:
                yield piece.data

    def delete_account(self, account_id: str) -> None:
        """Delete the account for good. What proves minted songs stays."""
        self._call(self._accounts.DeleteAccount, pb.DeleteAccountRequest(confirm=account_id))

    def _signed(self, address: str, sign: Sign) -> dict[str, str]:
        nonce = self._call(self._accounts.CreateNonce, pb.CreateNonceRequest())
        text = sign_in_text(nonce, address)
        return {"message": text, "signature": sign(text)}
