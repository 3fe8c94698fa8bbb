"""Deploys `SongNFT` on a development chain and lets signers in, over plain JSON-RPC.

Transactions are sent from the node's own unlocked accounts: no key passes through here, and it works on a
development node only.
"""

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

ARTIFACT = Path(__file__).parents[2] / "build" / "contracts" / "SongNFT.json"
RPC_TIMEOUT_S = 10.0
RECEIPT_POLL_S = 0.005
ROYALTY_BASIS_POINTS = 500
ADMIN_ROLE = bytes(32)  # OpenZeppelin's DEFAULT_ADMIN_ROLE


class ChainError(RuntimeError):
    """The node cannot be reached, refused a call, or a transaction reverted."""


@dataclass(frozen=True)
class Artifact:
    """The compiled contract."""

    abi: list[dict[str, Any]]
    bytecode: bytes

    @property
    def digest(self) -> str:
        """Changes when the contract does (hex)."""
        return hashlib.sha256(self.bytecode).hexdigest()


def read_artifact() -> Artifact:
    """The compiled `SongNFT`. Raises ChainError when it has not been compiled."""
    try:
        found = json.loads(ARTIFACT.read_text())
    except FileNotFoundError:
        raise ChainError(f"{ARTIFACT} is missing: compile it with `make contracts`") from None
    return Artifact(abi=found["abi"], bytecode=bytes.fromhex(found["bytecode"].removeprefix("0x")))


def call_rpc(rpc_url: str, method: str, *parameters: object) -> Any:
    """Calls one JSON-RPC method and returns its result. Raises ChainError."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
    request = urllib.request.Request(rpc_url, body, {"content-type": "application/json"})
    try:
        # Never through a proxy of the environment: the node is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=RPC_TIMEOUT_S) as response:
            answer = json.load(response)
    except (OSError, ValueError) as error:
        raise ChainError(f"{method} at {rpc_url}: {error}") from error
    if "error" in answer:
        raise ChainError(f"{method} at {rpc_url}: {answer['error'].get('message')}")
    return answer["result"]


def send_transaction(rpc_url: str, sender: str, **fields: str) -> dict[str, Any]:
    """Sends a transaction from an unlocked account and returns its receipt. Raises ChainError on a revert."""
    transaction_hash = call_rpc(rpc_url, "eth_sendTransaction", {"from": sender, **fields})
    deadline = time.monotonic() + RPC_TIMEOUT_S
    while time.monotonic() < deadline:  # the node mines at once, but after it has answered
        receipt: dict[str, Any] | None = call_rpc(rpc_url, "eth_getTransactionReceipt", transaction_hash)
        if receipt is not None:
            if int(receipt["status"], 16) != 1:
                raise ChainError(f"transaction {transaction_hash} reverted")
            return receipt
        time.sleep(RECEIPT_POLL_S)
    raise ChainError(f"transaction {transaction_hash} was not mined within {RPC_TIMEOUT_S:g} s")


def development_accounts(rpc_url: str) -> list[str]:
    """The node's unlocked accounts, EIP-55; each starts with 10,000 ether."""
    return [to_checksum_address(account) for account in call_rpc(rpc_url, "eth_accounts")]


def chain_id(rpc_url: str) -> int:
    return int(call_rpc(rpc_url, "eth_chainId"), 16)


def has_code(rpc_url: str, address: str) -> bool:
    return bool(call_rpc(rpc_url, "eth_getCode", address, "latest") != "0x")


def fund(rpc_url: str, address: str, ether: int = 10) -> None:
    """Sends ether from the node's last development account, which nothing else uses."""
    send_transaction(rpc_url, development_accounts(rpc_url)[-1], to=address, value=hex(ether * 10**18))


def deploy_song_nft(
    rpc_url: str,
    deployer: str,
    *,
    eip712_signers: Sequence[str] = (),
    packed_signers: Sequence[str] = (),
    contract_uri: str = "",
) -> str:
    """Deploys the contract with `deployer` as admin, pauser and receiver of royalties; returns its address.

    Raises ChainError.
    """
    arguments = encode(
        ["address", "address", "uint96", "string"], [deployer, deployer, ROYALTY_BASIS_POINTS, contract_uri]
    )
    receipt = send_transaction(rpc_url, deployer, data=_hex(read_artifact().bytecode + arguments))
    contract = to_checksum_address(receipt["contractAddress"])
    grant_roles(
        rpc_url,
        deployer,
        contract,
        {
            "EIP712_SIGNER_ROLE": eip712_signers,
            "PACKED_SIGNER_ROLE": packed_signers,
            "PAUSER_ROLE": (deployer,),
        },
    )
    return contract


def grant_roles(rpc_url: str, admin: str, contract: str, roles: Mapping[str, Sequence[str]]) -> None:
    """Grants each named role to its accounts unless they have it. Repeatable. Raises ChainError."""
    for role, accounts in roles.items():
        for account in accounts:
            arguments = encode(["bytes32", "address"], [keccak(text=role), account])
            has_role = {"to": contract, "data": _hex(_selector("hasRole(bytes32,address)") + arguments)}
            if int(call_rpc(rpc_url, "eth_call", has_role, "latest"), 16) == 0:
                grant = _hex(_selector("grantRole(bytes32,address)") + arguments)
                send_transaction(rpc_url, admin, to=contract, data=grant)


def _selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
