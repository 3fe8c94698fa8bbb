"""Wallets for tests: a real library's keys, and messages as wallets show them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct

from acesteps.gateway.v1 import account_service_pb2 as pb
from services.common.errors import ServiceError, error_from_rpc
from tests.gateway.mesh import CALL_S

# Of the page that wallets sign in to.
SITE = "https://studio.example"


def siwe_text(nonce: pb.CreateNonceResponse, address: str, **changed: Any) -> str:
    """The message that a page would have signed, with some of its parts changed."""
    parts = {
        "domain": nonce.domain, "address": address, "statement": nonce.statement, "uri": nonce.uri,
        "version": "1", "chain_id": nonce.chain_id, "nonce": nonce.nonce,
        "issued_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }  # fmt: skip
    parts |= changed
    return (
        f"{parts['domain']} wants you to sign in with your Ethereum account:\n{parts['address']}\n\n"
        f"{parts['statement']}\n\nURI: {parts['uri']}\nVersion: {parts['version']}\n"
        f"Chain ID: {parts['chain_id']}\nNonce: {parts['nonce']}\nIssued At: {parts['issued_at']}"
    ) + "".join(f"\n{label}: {value}" for label, value in parts.get("more", {}).items())


@dataclass(frozen=True)
class Wallet:
    account: Any = field(default_factory=Account.create)

    @property
    def address(self) -> str:
        return str(self.account.address)

    def sign(self, text: str) -> str:
        return "0x" + bytes(self.account.sign_message(encode_defunct(text=text)).signature).hex()

    def answer(self, nonce: pb.CreateNonceResponse, **changed: Any) -> dict[str, str]:
        """What is sent to sign in, or to link."""
        text = siwe_text(nonce, self.address, **changed)
        return {"message": text, "signature": self.sign(text)}


async def nonce_of(accounts: Any) -> pb.CreateNonceResponse:
    return await accounts.CreateNonce(pb.CreateNonceRequest(), timeout=CALL_S)


async def signed_in(accounts: Any, wallet: Wallet) -> pb.SignInResponse:
    request = pb.SignInRequest(**wallet.answer(await nonce_of(accounts)))
    return await accounts.SignIn(request, timeout=CALL_S)


async def refusal(call: Any) -> ServiceError:
    try:
        await call
    except Exception as error:
        return error_from_rpc(error)
    raise AssertionError("was not refused")


def bearer(secret: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {secret}"),)
