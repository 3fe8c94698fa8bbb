"""Whether a wallet signed a text: by its key (EIP-191), or as its contract says (EIP-1271).

Knows no account. A contract is asked over JSON-RPC at the chain that the gateway mints on.
"""

import re

from coincurve import PublicKey
from eth_account.messages import encode_defunct
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from services.common.errors import InvalidField, Unauthenticated
from services.gateway.chain import Chain

LONGEST_SIGNATURE_BYTES = 8192
# bytes4(keccak256("isValidSignature(bytes32,bytes)")): the function's selector, and what it returns for yes.
_MAGIC = bytes.fromhex("1626ba7e")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII)


def signature_bytes(text: str) -> bytes:
    """Raises InvalidField: REQUIRED, MALFORMED, TOO_LONG."""
    limit = f"0x-prefixed hex, 1 to {LONGEST_SIGNATURE_BYTES} bytes"
    if not text:
        raise InvalidField("REQUIRED", "signature", "signature is missing", limit=limit)
    if len(text) > 2 + 2 * LONGEST_SIGNATURE_BYTES:
        raise InvalidField("TOO_LONG", "signature", f"signature has {len(text)} characters", limit=limit)
    if not _HEX.fullmatch(text) or text == "0x":
        raise InvalidField("MALFORMED", "signature", "signature is not hex", limit=limit)
    return bytes.fromhex(text[2:])


async def require_signed(message: str, address: str, signature: bytes, chain: Chain | None) -> None:
    """Returns if `address` (EIP-55) signed `message`.

    Raises:
        Unauthenticated: SIGNATURE_INVALID.
        Unavailable: CHAIN_UNAVAILABLE, its contract cannot be asked now.
    """
    digest = _digest(message)
    if _signer(digest, signature) == address:
        return
    # A contract has no key: whoever is no signer may still be one.
    if chain is not None and await _contract_accepts(chain, address, digest, signature):
        return
    raise Unauthenticated(
        "SIGNATURE_INVALID", "the signature is not the wallet's", metadata={"field": "signature"}
    )


def _digest(message: str) -> bytes:
    signable = encode_defunct(text=message)
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def _signer(digest: bytes, signature: bytes) -> str | None:
    """Whose key it was; None for what is no signature. Some wallets count v from 0, others from 27."""
    if len(signature) != 65:
        return None
    v = signature[64]
    parity = v - 27 if v >= 27 else v
    if parity not in (0, 1):
        return None
    try:
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([parity]), digest, hasher=None)
    except ValueError:
        return None
    return str(to_checksum_address(keccak(key.format(compressed=False)[1:])[-20:]))


async def _contract_accepts(chain: Chain, address: str, digest: bytes, signature: bytes) -> bool:
    """Whether there is a contract at `address` that says so. One that reverts does not."""
    padded = signature + bytes(-len(signature) % 32)
    words = (digest, (64).to_bytes(32, "big"), len(signature).to_bytes(32, "big"), padded)
    answer = await chain.call(address, _MAGIC + b"".join(words))
    return answer is not None and len(answer) == 32 and answer[:4] == _MAGIC and not any(answer[4:])
