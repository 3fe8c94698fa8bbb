"""The message that a wallet signs to sign in (EIP-4361), as a gateway asks for it.

Knows no key: who signs is the caller's.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from acesteps.gateway.v1 import account_service_pb2 as pb

# Signs a text as personal messages are signed (EIP-191): "0x" and hex.
Sign = Callable[[str], str]


def sign_in_text(nonce: pb.CreateNonceResponse, address: str) -> str:
    """`address`: the wallet's, with its EIP-55 checksum."""
    issued_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return (
        f"{nonce.domain} wants you to sign in with your Ethereum account:\n{address}\n\n"
        f"{nonce.statement}\n\nURI: {nonce.uri}\nVersion: 1\nChain ID: {nonce.chain_id}\n"
        f"Nonce: {nonce.nonce}\nIssued At: {issued_at}"
    )
