"""EIP-1559 transactions: prepared from a node, signed by a key, or written down for a hardware wallet.

Knows how a transaction is encoded and what it costs; knows nothing of what it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from services.signer.keys import SigningKey, sign_checked
from services.signer.onchain import rlp
from services.signer.onchain.node import Fees, Node

_TYPE = b"\x02"  # EIP-2718, EIP-1559
# An estimate is exact for the state of now; what changes until the transaction is mined costs little.
_GAS_MARGIN_PERCENT = 20


@dataclass(frozen=True)
class Call:
    """What is to happen on chain, and in whose name. `to` is None for a contract's creation. EIP-55."""

    what: str
    sender: str
    to: str | None
    data: bytes
    gas: int | None = None
    """Gas limit; None where the node can estimate it."""


@dataclass(frozen=True)
class Transaction:
    """A call with all that is signed. Carries no ether."""

    call: Call
    chain_id: int
    nonce: int
    fees: Fees
    gas: int

    @property
    def most_wei(self) -> int:
        """What it costs at most."""
        return self.gas * self.fees.most

    @property
    def unsigned(self) -> bytes:
        """What is hashed and signed: 2 ‖ rlp(…), as hardware wallets take it."""
        return _TYPE + rlp.encode(self._fields())

    @property
    def digest(self) -> bytes:
        return keccak(self.unsigned)

    def signed(self, signature: bytes) -> bytes:
        """With r ‖ s ‖ v, ready to broadcast."""
        r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64]))
        return _TYPE + rlp.encode([*self._fields(), signature[64] - 27, r, s])

    def to_json(self) -> dict[str, Any]:
        """As JSON-RPC and wallets name the fields; `unsigned` is the whole as bytes."""
        return {
            "what": self.call.what,
            "type": "0x2",
            "from": self.call.sender,
            "to": self.call.to,
            "chainId": hex(self.chain_id),
            "nonce": hex(self.nonce),
            "gas": hex(self.gas),
            "maxFeePerGas": hex(self.fees.most),
            "maxPriorityFeePerGas": hex(self.fees.priority),
            "value": "0x0",
            "data": "0x" + self.call.data.hex(),
            "unsigned": "0x" + self.unsigned.hex(),
        }

    def _fields(self) -> Sequence[rlp.Item]:
        to = bytes.fromhex(self.call.to.removeprefix("0x")) if self.call.to else b""
        fees = self.fees.priority, self.fees.most
        return [self.chain_id, self.nonce, *fees, self.gas, to, 0, self.call.data, []]


def prepare(node: Node, call: Call, *, chain_id: int, nonce: int, fees: Fees) -> Transaction:
    """Raises ChainError when the call would revert, or the node cannot be asked."""
    gas = call.gas
    if gas is None:
        gas = node.estimate_gas(call.sender, call.to, call.data) * (100 + _GAS_MARGIN_PERCENT) // 100
    return Transaction(call, chain_id, nonce, fees, gas)


async def sign(transaction: Transaction, key: SigningKey) -> tuple[bytes, str]:
    """The signed transaction and its hash. Raises what `sign_checked` does."""
    raw = transaction.signed(await sign_checked(key, transaction.digest))
    return raw, "0x" + keccak(raw).hex()
