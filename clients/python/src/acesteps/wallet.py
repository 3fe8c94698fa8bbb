"""A creator's wallet: signs the transaction that the gateway has prepared, and sends it.

Needs `acesteps[mint]`. Knows the contract by its address only, and no gateway.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from eth_typing import HexStr
from web3 import Web3
from web3.providers import HTTPProvider
from web3.types import TxParams, Wei

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.siwe import Sign

RECEIPT_S = 180.0


@dataclass(frozen=True)
class Sent:
    """A transaction that the chain has taken."""

    transaction: str
    block: int
    gas_used: int


class MintFailed(Exception):
    """The key, the chain or the contract refuses; the message says why."""


def account_from(key: str) -> LocalAccount:
    """The account of a private key in hex. Raises ValueError, which never quotes the key."""
    try:
        account: LocalAccount = Account.from_key(key.strip())
    except Exception:  # several classes, of which some quote what they were given
        raise ValueError("this is not a private key of 32 bytes in hex") from None
    return account


def account_from_keystore(path: Path, password: str) -> LocalAccount:
    """The account of an encrypted keystore (version 3). Raises ValueError, and OSError."""
    text = path.read_text(encoding="utf-8")
    try:
        return account_from(Account.decrypt(text, password).hex())
    except Exception:  # several classes, for a wrong password and for a file that is no keystore
        raise ValueError(f"{path} is no keystore of version 3, or the password is wrong") from None


def signer(account: LocalAccount) -> tuple[str, Sign]:
    """(address, what signs), as `Client.sign_in` takes them."""

    def sign(text: str) -> str:
        return "0x" + bytes(account.sign_message(encode_defunct(text=text)).signature).hex()

    return account.address, sign


def send(order: pb.GetMintResponse, rpc_url: str, account: LocalAccount) -> Sent:
    """Send the mint and wait until it is in a block. Raises MintFailed."""
    web3 = Web3(HTTPProvider(rpc_url))
    if order.permit.format == pb.PERMIT_FORMAT_PACKED and account.address.lower() != order.creator.lower():
        raise MintFailed(f"this permit is for {order.creator} to send, not for {account.address}")
    try:
        chain_id = web3.eth.chain_id
        if chain_id != order.chain_id:
            raise MintFailed(f"{rpc_url} is chain {chain_id}, the order is for chain {order.chain_id}")
        transaction = _transaction(web3, order, account)
        signed = account.sign_transaction(cast("dict[str, Any]", transaction))
        receipt = web3.eth.wait_for_transaction_receipt(
            web3.eth.send_raw_transaction(signed.raw_transaction), timeout=RECEIPT_S
        )
    except MintFailed:
        raise
    except Exception as error:  # web3 raises a dozen unrelated classes here
        raise MintFailed(f"the chain refused the mint: {error}") from error
    if receipt["status"] != 1:
        raise MintFailed(f"the mint was reverted in {receipt['transactionHash'].to_0x_hex()}")
    return Sent(receipt["transactionHash"].to_0x_hex(), receipt["blockNumber"], receipt["gasUsed"])


def _transaction(web3: Web3, order: pb.GetMintResponse, account: LocalAccount) -> TxParams:
    tip = web3.eth.max_priority_fee
    base_fee = web3.eth.get_block("latest")["baseFeePerGas"]
    transaction: TxParams = {
        "from": account.address,
        "to": Web3.to_checksum_address(order.contract),
        "data": HexStr(order.calldata),
        "value": Wei(0),
        "chainId": order.chain_id,
        "nonce": web3.eth.get_transaction_count(account.address),
        "maxPriorityFeePerGas": tip,
        # Twice the base fee lasts for half a dozen full blocks.
        "maxFeePerGas": Wei(2 * base_fee + tip),
    }
    transaction["gas"] = web3.eth.estimate_gas(transaction)
    return transaction
