"""The operator's side of a chain command: which node, whose account, how much, and what was sent before.

Knows command-line options, fees and the file that remembers transactions; knows no contract.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from services.common.address import checksum_address
from services.common.errors import InvalidField
from services.signer.keys import KeystoreKey, KmsKey, SigningKey, checksummed
from services.signer.onchain.node import ChainError, Fees, Node, Receipt
from services.signer.onchain.transactions import Call, Transaction, prepare, sign
from services.signer.policy import DEVELOPMENT_CHAINS

GWEI, ETHER = 10**9, 10**18
# Deeper than reorganisations of proof of stake and of L2s go in practice; a development chain has none.
PUBLIC_CONFIRMATIONS = 5


@dataclass(frozen=True)
class Account:
    """Who pays and is obeyed on chain. Without a key, its transactions are written down for a wallet."""

    address: str
    key: SigningKey | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Chain:
    """A node that was found to be on the chain that was asked for, and how transactions are sent there."""

    node: Node
    chain_id: int
    confirmations: int
    max_fee: int | None = None
    priority_fee: int | None = None

    def fees(self) -> Fees:
        """Wei per gas: the node's, or what the operator said. Raises ChainError below the base fee."""
        fees = self.node.fees()
        if self.priority_fee is not None:
            fees = Fees(fees.base, self.priority_fee, fees.most - fees.priority + self.priority_fee)
        if self.max_fee is not None:
            fees = replace(fees, most=self.max_fee, priority=min(fees.priority, self.max_fee))
        if fees.most < fees.base:
            raise ChainError(f"--max-fee-gwei is below the base fee, {gwei(fees.base)} gwei")
        return fees

    def prepare(self, calls: Sequence[Call], first_nonces: Mapping[str, int]) -> list[Transaction]:
        """The transactions of `calls`, each sender's in a row from `first_nonces`, or from its next one."""
        fees, nonces, prepared = self.fees(), dict(first_nonces), []
        for call in calls:
            nonce = nonces[call.sender] if call.sender in nonces else self.node.nonce(call.sender)
            prepared.append(prepare(self.node, call, chain_id=self.chain_id, nonce=nonce, fees=fees))
            nonces[call.sender] = nonce + 1
        return prepared

    def check_funds(self, transactions: Sequence[Transaction]) -> None:
        """Raises ChainError for an account that cannot pay for the dearest course of its transactions."""
        for sender in {transaction.call.sender for transaction in transactions}:
            most = sum(t.most_wei for t in transactions if t.call.sender == sender)
            balance = self.node.balance(sender)
            if balance < most:
                raise ChainError(f"{sender} has {ether(balance)} ether and may need {ether(most)}")


class Journal:
    """A command's memory: a JSON file, written before anything is sent, so that nothing is sent twice."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self.content = content

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """Raises ChainError when there is none, or it is none."""
        try:
            content = json.loads(path.read_text())
        except OSError as error:
            raise ChainError(f"cannot read {path}: {error.strerror}") from None
        except ValueError:
            raise ChainError(f"{path} is not a record of this command") from None
        if not isinstance(content, dict):
            raise ChainError(f"{path} is not a record of this command")
        return cls(path, content)

    def save(self) -> None:
        """On disk, whole, or ChainError."""
        write_json(self.path, self.content)

    async def send(self, chain: Chain, transaction: Transaction, key: SigningKey) -> Receipt:
        """Sign, write down, broadcast and wait. Raises ChainError and what `sign_checked` does."""
        raw, transaction_hash = await sign(transaction, key)
        sent = self.content.setdefault("transactions", {})
        sent[transaction_hash] = {
            "what": transaction.call.what,
            "from": transaction.call.sender,
            "nonce": transaction.nonce,
            "raw": "0x" + raw.hex(),
        }
        self.save()
        chain.node.broadcast(raw, transaction_hash)
        return self._settle_one(chain, transaction_hash, sent[transaction_hash])

    def settle(self, chain: Chain) -> None:
        """Bring what was sent before to its end: sent once more, the very same, where the node has lost it.

        Raises ChainError.
        """
        for transaction_hash, sent in self.content.get("transactions", {}).items():
            if "block" in sent:
                continue
            if chain.node.receipt(transaction_hash) is None and (
                chain.node.mined_nonce(sent["from"]) <= sent["nonce"]
            ):
                chain.node.broadcast(bytes.fromhex(sent["raw"].removeprefix("0x")), transaction_hash)
            self._settle_one(chain, transaction_hash, sent)

    def _settle_one(self, chain: Chain, transaction_hash: str, sent: dict[str, Any]) -> Receipt:
        receipt = chain.node.confirmed(transaction_hash, chain.confirmations, sent["from"], sent["nonce"])
        sent |= {"block": receipt.block, "gas_used": receipt.gas_used}
        self.save()
        print(f"mined: {sent['what']}, {transaction_hash}, block {receipt.block}, {receipt.gas_used} gas")
        return receipt


def write_json(path: Path, content: object) -> None:
    """Replace a file as a whole. Raises ChainError."""
    unfinished = path.with_name(f".{path.name}.new")
    try:
        with unfinished.open("w") as file:
            file.write(json.dumps(content, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise ChainError(f"cannot write {path}: {error.strerror}") from None


def show(chain: Chain, transactions: Sequence[Transaction]) -> None:
    """Print what would be sent, by whom, and what it costs."""
    for t in transactions:
        now, most = t.gas * (t.fees.base + t.fees.priority), t.most_wei
        print(f"{t.call.what}\n  from {t.call.sender}, nonce {t.nonce}, to {t.call.to or 'a new contract'}")
        print(f"  gas limit {t.gas:,}, {gwei(t.fees.base)} gwei base fee, {gwei(t.fees.priority)} priority")
        print(f"  about {ether(now)} ether, at most {ether(most)}")
    if len(transactions) > 1:
        print(f"in all at most {ether(sum(t.most_wei for t in transactions))} ether")
    try:
        chain.check_funds(transactions)
    except ChainError as error:
        print(f"note: {error}")


def write_unsigned(path: Path, transactions: Sequence[Transaction]) -> None:
    """Write transactions for a wallet. Raises ChainError."""
    write_json(path, [transaction.to_json() for transaction in transactions])
    print(f"{len(transactions)} unsigned transactions are in {path}; sign and send them in this order")


def add_chain_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the chain")
    group.add_argument(
        "--rpc-url",
        default=os.environ.get("ETH_RPC_URL"),
        help="JSON-RPC of a node (default: ETH_RPC_URL, which no process list shows)",
    )
    group.add_argument("--chain-id", type=_positive, required=True, help="the node must be on this chain")
    group.add_argument(
        "--confirmations",
        type=_positive,
        help=f"blocks that count as final, its own included (default: {PUBLIC_CONFIRMATIONS}; 1 on "
        "development chains)",
    )
    group.add_argument(
        "--max-fee-gwei", type=_gwei, help="most per gas (default: twice the base fee + priority)"
    )
    group.add_argument(
        "--priority-fee-gwei", type=_gwei, help="priority fee per gas (default: the node's word)"
    )


def open_chain(arguments: argparse.Namespace) -> Chain:
    """Raises ChainError when the node is on another chain than was asked for."""
    if not arguments.rpc_url:
        raise ChainError("name a node with --rpc-url or ETH_RPC_URL")
    node, asked = Node(arguments.rpc_url), arguments.chain_id
    if (found := node.chain_id()) != asked:
        raise ChainError(f"{node.host} is on chain {found}, not {asked}")
    confirmations = arguments.confirmations or (1 if asked in DEVELOPMENT_CHAINS else PUBLIC_CONFIRMATIONS)
    return Chain(node, asked, confirmations, arguments.max_fee_gwei, arguments.priority_fee_gwei)


def add_key_options(group: argparse._ArgumentGroup, prefix: str) -> None:
    group.add_argument(f"--{prefix}-keystore", type=Path, help="its encrypted keystore, version 3")
    group.add_argument(f"--{prefix}-password-file", type=Path, help="file with the keystore's password")
    group.add_argument(f"--{prefix}-kms-key-id", help="or its key in AWS KMS (ECC_SECG_P256K1)")
    group.add_argument(
        f"--{prefix}-address", type=address, help="or only its address: a hardware wallet or multisig signs"
    )


def open_account(arguments: argparse.Namespace, prefix: str) -> Account:
    """Raises ChainError, KeystoreError, KeyOpenError."""
    keystore, password_file, kms_key_id, only_address = (
        getattr(arguments, f"{prefix}_{name}")
        for name in ("keystore", "password_file", "kms_key_id", "address")
    )
    if sum(given is not None for given in (keystore, kms_key_id, only_address)) != 1:
        raise ChainError(f"give one of --{prefix}-keystore, --{prefix}-kms-key-id, --{prefix}-address")
    if (keystore is None) != (password_file is None):
        raise ChainError(f"--{prefix}-keystore and --{prefix}-password-file go together")
    if only_address is not None:
        return Account(only_address)
    key: SigningKey = KmsKey.open(kms_key_id) if kms_key_id else KeystoreKey.load(keystore, password_file)
    return Account(checksummed(key.address), key)


def address(text: str) -> str:
    """An argparse type: EIP-55."""
    try:
        return checksum_address(text, "address")
    except InvalidField as error:
        raise argparse.ArgumentTypeError(f"{error.message}; expected {error.limit}") from None


def gwei(wei: int) -> str:
    return f"{Decimal(wei) / GWEI:.4f}"


def ether(wei: int) -> str:
    return f"{Decimal(wei) / ETHER:.6f}"


def _gwei(text: str) -> int:
    try:
        wei = int(Decimal(text) * GWEI)
    except (InvalidOperation, ValueError, OverflowError):
        raise argparse.ArgumentTypeError("not a number of gwei") from None
    if not 0 <= wei < 10**6 * GWEI:
        raise argparse.ArgumentTypeError("not from 0 to 1,000,000 gwei")
    return wei


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**63:
        raise argparse.ArgumentTypeError("not a positive number")
    return int(text)
