"""What the commands for a real chain are tested with: anvil, funded keystores, wallets outside our code."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3

from deploy.local.contract import call_rpc, fund
from services.signer.keys.commands import main as keys_cli
from services.signer.keystore import decrypt


@dataclass(frozen=True)
class KeyFile:
    """A keystore, its password, and the account as another library reads it."""

    keystore: Path
    password_file: Path

    @property
    def account(self) -> LocalAccount:
        secret = decrypt(self.keystore.read_bytes(), self.password_file.read_bytes().strip())
        account: LocalAccount = Account.from_key(secret)
        return account

    @property
    def address(self) -> str:
        return str(self.account.address)

    def options(self, prefix: str = "") -> list[str]:
        keystore, password = f"--{prefix}keystore", f"--{prefix}password-file"
        return [keystore, str(self.keystore), password, str(self.password_file)]


def key_file(folder: Path, name: str) -> KeyFile:
    key = KeyFile(folder / f"{name}.json", folder / f"{name}.password")
    assert keys_cli(["new", *key.options(), "--new-password", "--scrypt-n", "2"]) == 0
    return key


def funded(rpc_url: str, folder: Path, name: str) -> KeyFile:
    key = key_file(folder, name)
    fund(rpc_url, key.address)
    return key


def sign_and_send(rpc_url: str, wallet: LocalAccount, unsigned_file: Path) -> list[str]:
    """As a hardware wallet does with the file: sign the fields, send in order, wait until they are mined.
    Returns the hashes.
    """
    hashes = []
    for transaction in json.loads(unsigned_file.read_text()):
        assert transaction["from"] == wallet.address
        fields = {k: v for k, v in transaction.items() if k not in ("what", "unsigned", "from")}
        if fields["to"] is None:
            del fields["to"]
        signed = wallet.sign_transaction(fields)
        call_rpc(rpc_url, "eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())
        hashes.append("0x" + bytes(signed.hash).hex())
    for one in hashes:
        Web3(Web3.HTTPProvider(rpc_url)).eth.wait_for_transaction_receipt(HexBytes(one), timeout=30)
    return hashes


def nonce(rpc_url: str, address: str) -> int:
    return int(call_rpc(rpc_url, "eth_getTransactionCount", address, "latest"), 16)


def role(contract: Any, name: str) -> bytes:
    return bytes(32) if name == "DEFAULT_ADMIN_ROLE" else bytes(Web3.keccak(text=name))
