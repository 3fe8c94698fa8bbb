"""Deploys `SongNFT` on a development chain and lets signers in, over plain JSON-RPC.

For a node that somebody else started: `python -m deploy.local.contract --help`.

Transactions are sent from the node's own unlocked accounts: no key passes through here, and it works on a
development node only.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from eth_utils.address import to_checksum_address

from services.signer.onchain.node import ChainError, Node
from services.signer.onchain.song_nft import (
    ARTIFACT,
    Constructor,
    created_address,
    grant_data,
    has_role,
    read_artifact,
)

RPC_TIMEOUT_S = 10.0
RECEIPT_POLL_S = 0.005
ROYALTY_BASIS_POINTS = 500
__all__ = ["ARTIFACT", "ChainError", "read_artifact"]


def call_rpc(rpc_url: str, method: str, *parameters: object) -> Any:
    """Calls one JSON-RPC method and returns its result. Raises ChainError."""
    # Never through a proxy of the environment: the node is on this machine.
    return Node(rpc_url, proxied=False).call(method, *parameters)


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
    arguments = Constructor(deployer, deployer, ROYALTY_BASIS_POINTS, contract_uri).encoded()
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
    node = Node(rpc_url, proxied=False)
    for role, accounts in roles.items():
        for account in accounts:
            if not has_role(node, contract, role, account):
                send_transaction(rpc_url, admin, to=contract, data=_hex(grant_data(role, account)))


def main(argv: Sequence[str] | None = None) -> int:
    about = "deploys SongNFT on a development chain whose accounts are unlocked, once, and lets signers in"
    parser = argparse.ArgumentParser(prog="python -m deploy.local.contract", description=about)
    parser.add_argument("--rpc-url", default="http://127.0.0.1:8545", metavar="URL")
    parser.add_argument("--eip712-signer", action="append", default=[], metavar="ADDRESS", required=True)
    arguments = parser.parse_args(argv)
    try:
        deployer = development_accounts(arguments.rpc_url)[0]
        first = created_address(deployer, 0)
        if has_code(arguments.rpc_url, first):
            roles = {"EIP712_SIGNER_ROLE": arguments.eip712_signer}
            grant_roles(arguments.rpc_url, deployer, first, roles)
        else:
            first = deploy_song_nft(arguments.rpc_url, deployer, eip712_signers=arguments.eip712_signer)
    except ChainError as error:
        print(f"contract: {error}", file=sys.stderr)
        return 1
    print(first)
    return 0


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


if __name__ == "__main__":
    sys.exit(main())
