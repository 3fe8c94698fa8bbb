"""One Ethereum node over JSON-RPC: calls, fees, nonces, receipts. Knows no key and no contract."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from eth_utils.address import to_checksum_address

RPC_TIMEOUT_S = 10.0
# How long a transaction may take until it is deep enough; it is not lost then, only not waited for.
PATIENCE_S = 900.0
# Twice the base fee lasts six full blocks in a row (EIP-1559: it grows by an eighth at most).
BASE_FEE_REACH = 2
_FIRST_POLL_S, _LAST_POLL_S = 0.02, 4.0


class ChainError(RuntimeError):
    """The node cannot be reached, refused a call, or a transaction reverted. Never holds the URL's path."""


@dataclass(frozen=True)
class Fees:
    """EIP-1559, wei per gas. `base` is that of the latest block."""

    base: int
    priority: int
    most: int


@dataclass(frozen=True)
class Receipt:
    """A mined transaction. `contract` is EIP-55, of a creation only."""

    transaction_hash: str
    block: int
    succeeded: bool
    gas_used: int
    contract: str | None


class Node:
    def __init__(self, url: str, *, proxied: bool = True) -> None:
        """`proxied`: through the environment's proxy, if there is one."""
        self._url = url
        parts = urlsplit(url)
        # For people: paths and user names hold providers' API keys.
        self.host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._opener = (
            urllib.request.build_opener()
            if proxied
            else urllib.request.build_opener(urllib.request.ProxyHandler({}))
        )

    def call(self, method: str, *parameters: object) -> Any:
        """The result of one JSON-RPC method. Raises ChainError."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        try:
            headers = {"content-type": "application/json", "user-agent": "acesteps"}
            request = urllib.request.Request(self._url, body, headers)
            with self._opener.open(request, timeout=RPC_TIMEOUT_S) as response:
                answer = json.load(response)
            if not isinstance(answer, dict):
                raise ValueError("its answer is no JSON-RPC")
        except urllib.error.HTTPError as error:
            raise ChainError(f"{method} at {self.host}: HTTP status {error.code}") from None
        except (OSError, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise ChainError(f"{method} at {self.host}: {str(reason).replace(self._url, '…')}") from None
        if "error" in answer or "result" not in answer:
            told = answer.get("error")
            message = told.get("message") if isinstance(told, dict) else told
            raise ChainError(f"{method} at {self.host}: {message}")
        return answer["result"]

    def chain_id(self) -> int:
        return int(self.call("eth_chainId"), 16)

    def balance(self, address: str) -> int:
        """Wei."""
        return int(self.call("eth_getBalance", address, "latest"), 16)

    def code(self, address: str) -> bytes:
        return bytes.fromhex(self.call("eth_getCode", address, "latest").removeprefix("0x"))

    def read(self, to: str, data: bytes) -> bytes:
        """What a view function returns, ABI-encoded."""
        answer = self.call("eth_call", {"to": to, "data": _hex(data)}, "latest")
        return bytes.fromhex(answer.removeprefix("0x"))

    def nonce(self, address: str) -> int:
        """The account's next nonce. Raises ChainError while it has transactions that are not mined."""
        mined, pending = (
            int(self.call("eth_getTransactionCount", address, tag), 16) for tag in ("latest", "pending")
        )
        if pending != mined:
            raise ChainError(f"{address} has transactions in flight; wait for them, or replace them, first")
        return mined

    def mined_nonce(self, address: str) -> int:
        return int(self.call("eth_getTransactionCount", address, "latest"), 16)

    def estimate_gas(self, sender: str, to: str | None, data: bytes) -> int:
        """Raises ChainError when the call would revert."""
        call = {"from": sender, "data": _hex(data)} | ({"to": to} if to else {})
        return int(self.call("eth_estimateGas", call), 16)

    def fees(self) -> Fees:
        """What the next blocks take. Raises ChainError, also for a chain without EIP-1559."""
        block = self.call("eth_getBlockByNumber", "latest", False)
        if "baseFeePerGas" not in block:
            raise ChainError(f"the chain of {self.host} has no base fee (EIP-1559)")
        base, priority = int(block["baseFeePerGas"], 16), int(self.call("eth_maxPriorityFeePerGas"), 16)
        return Fees(base, priority, BASE_FEE_REACH * base + priority)

    def now(self) -> int:
        """The latest block's time, unix seconds: what deadlines are compared with on chain."""
        return int(self.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def broadcast(self, raw: bytes, transaction_hash: str) -> None:
        """Send a signed transaction; one that the node has already is well. Raises ChainError."""
        try:
            self.call("eth_sendRawTransaction", _hex(raw))
        except ChainError:
            if self.call("eth_getTransactionByHash", transaction_hash) is None:
                raise

    def receipt(self, transaction_hash: str) -> Receipt | None:
        found = self.call("eth_getTransactionReceipt", transaction_hash)
        if found is None or found.get("blockNumber") is None:
            return None
        contract = found.get("contractAddress")
        return Receipt(
            transaction_hash=transaction_hash,
            block=int(found["blockNumber"], 16),
            succeeded=int(found["status"], 16) == 1,
            gas_used=int(found["gasUsed"], 16),
            contract=to_checksum_address(contract) if contract else None,
        )

    def confirmed(
        self,
        transaction_hash: str,
        confirmations: int,
        sender: str,
        nonce: int,
        patience_s: float = PATIENCE_S,
    ) -> Receipt:
        """Wait until a transaction is `confirmations` blocks deep; its own block counts as one.

        The receipt is read anew each time, so that a reorganised block is noticed. Raises ChainError when it
        reverted, another transaction took its nonce, or patience ends.
        """
        deadline = time.monotonic() + patience_s
        for pause_s in _pauses():
            receipt = self.receipt(transaction_hash)
            if receipt is not None:
                if int(self.call("eth_blockNumber"), 16) - receipt.block + 1 >= confirmations:
                    if not receipt.succeeded:
                        raise ChainError(f"transaction {transaction_hash} reverted")
                    return receipt
            elif self.mined_nonce(sender) > nonce and self.receipt(transaction_hash) is None:
                raise ChainError(f"another transaction of {sender} took nonce {nonce} of {transaction_hash}")
            if time.monotonic() > deadline:
                state = "is not mined" if receipt is None else f"has less than {confirmations} confirmations"
                raise ChainError(
                    f"transaction {transaction_hash} {state} after {patience_s:g} s; resume later"
                )
            time.sleep(pause_s)
        raise AssertionError("there is always another pause")


def _pauses() -> Iterator[float]:
    pause_s = _FIRST_POLL_S
    while True:
        yield pause_s
        pause_s = min(pause_s * 1.5, _LAST_POLL_S)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
