"""The contract under test and the accounts around it. Permits are signed by libraries, not by our code."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from eth_abi.abi import decode
from eth_account.messages import encode_defunct, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.abi import function_signature_to_4byte_selector
from eth_utils.crypto import keccak
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import ContractCustomError

from deploy.local.contract import read_artifact

EIP712_MINT = "mint(address,bytes32,bytes32,uint256,bytes)"
PACKED_MINT = "mint(string,bytes32,bytes)"
HOUR_S = 3600
PERMIT_TYPE = [
    {"name": "to", "type": "address"},
    {"name": "audioHash", "type": "bytes32"},
    {"name": "metadataDigest", "type": "bytes32"},
    {"name": "deadline", "type": "uint256"},
]


@dataclass(frozen=True)
class Permit:
    """What an EIP-712 permit says. Hashes are 32 bytes."""

    to: str
    audio_hash: bytes
    metadata_digest: bytes = b"\x11" * 32
    deadline: int = 0

    def sign(self, key: LocalAccount, domain: Mapping[str, Any]) -> bytes:
        message = {
            "to": self.to,
            "audioHash": self.audio_hash,
            "metadataDigest": self.metadata_digest,
            "deadline": self.deadline,
        }
        typed = encode_typed_data(dict(domain), {"MintPermit": PERMIT_TYPE}, message)
        return bytes(key.sign_message(typed).signature)


@dataclass(frozen=True)
class Songs:
    """The contract under test. `signer` holds the EIP-712 role, `packed_signer` the packed one."""

    w3: Web3
    contract: Contract
    admin: str
    creator: str
    stranger: str
    signer: LocalAccount
    packed_signer: LocalAccount

    @property
    def domain(self) -> dict[str, Any]:
        return {
            "name": "AceSteps SongNFT",
            "version": "1",
            "chainId": self.w3.eth.chain_id,
            "verifyingContract": self.contract.address,
        }

    def permit(self, audio_hash: bytes, **fields: Any) -> Permit:
        """A permit for the creator that is good for an hour of the chain's own time."""
        now = self.w3.eth.get_block("latest")["timestamp"]
        given = {"to": self.creator, "deadline": max(now, int(time.time())) + HOUR_S, **fields}
        return Permit(audio_hash=audio_hash, **given)

    def mint(self, permit: Permit, signature: bytes) -> ContractFunction:
        arguments = (permit.to, permit.audio_hash, permit.metadata_digest, permit.deadline, signature)
        return self._function(EIP712_MINT, *arguments)

    def mint_signed(self, permit: Permit) -> ContractFunction:
        return self.mint(permit, permit.sign(self.signer, self.domain))

    def sign_packed(self, to: str, uri: str, audio_hash: bytes, key: LocalAccount) -> bytes:
        packed = bytes.fromhex(to.removeprefix("0x")) + uri.encode() + audio_hash
        return bytes(key.sign_message(encode_defunct(keccak(packed))).signature)

    def mint_packed(self, uri: str, audio_hash: bytes, signature: bytes) -> ContractFunction:
        return self._function(PACKED_MINT, uri, audio_hash, signature)

    def _function(self, signature: str, *arguments: object) -> ContractFunction:
        call: ContractFunction = self.contract.get_function_by_signature(signature)(*arguments)
        return call

    def send(self, call: ContractFunction, sender: str | None = None) -> Any:
        """Sends it as a transaction and returns the receipt, which must be a success."""
        transaction = call.transact({"from": Web3.to_checksum_address(sender or self.creator)})
        receipt = self.w3.eth.wait_for_transaction_receipt(transaction)
        assert receipt["status"] == 1
        return receipt

    def refusal(self, call: ContractFunction, sender: str | None = None) -> tuple[str, tuple[Any, ...]]:
        """The custom error, and its arguments, that the call reverts with."""
        with pytest.raises(ContractCustomError) as caught:
            call.call({"from": Web3.to_checksum_address(sender or self.creator)})
        data = bytes.fromhex(str(caught.value.data).removeprefix("0x"))
        for entry in read_artifact().abi:
            if entry["type"] == "error":
                types = [argument["type"] for argument in entry["inputs"]]
                if function_signature_to_4byte_selector(f"{entry['name']}({','.join(types)})") == data[:4]:
                    return entry["name"], decode(types, data[4:])
        raise AssertionError(f"unknown error {data.hex()}")

    def is_minted(self, audio_hash: bytes) -> bool:
        try:
            self.contract.functions.ownerOf(int.from_bytes(audio_hash)).call()
        except ContractCustomError:
            return False
        return True


def at(w3: Web3, address: str) -> Contract:
    return w3.eth.contract(address=Web3.to_checksum_address(address), abi=read_artifact().abi)
