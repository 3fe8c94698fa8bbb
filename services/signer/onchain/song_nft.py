"""`SongNFT` as its operators see it: creation, code, roles. Knows ABI encoding; sends nothing."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from services.signer.formats import DOMAIN_NAME, DOMAIN_VERSION
from services.signer.onchain import rlp
from services.signer.onchain.node import ChainError, Node

ARTIFACT = Path(__file__).parents[3] / "build" / "contracts" / "SongNFT.json"
EIP712_ROLE, PACKED_ROLE, PAUSER_ROLE = "EIP712_SIGNER_ROLE", "PACKED_SIGNER_ROLE", "PAUSER_ROLE"
ADMIN_ROLE = "DEFAULT_ADMIN_ROLE"
MAX_ROYALTY_BASIS_POINTS = 10_000

# A grant takes 51,000 gas; what cannot be estimated, because the contract is not there yet, may take more.
GRANT_GAS = 120_000
# solc leaves PUSH32 of zero where the constructor puts an immutable.
_IMMUTABLE = re.compile(rb"\x7f\x00{32}")


@dataclass(frozen=True)
class Artifact:
    """The compiled contract."""

    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed: bytes

    @property
    def digest(self) -> str:
        """Changes when the contract does (hex)."""
        return hashlib.sha256(self.bytecode).hexdigest()

    def is_code(self, code: bytes) -> bool:
        """Whether `code` is this contract's, whatever its immutables are."""
        if len(code) != len(self.deployed):
            return False
        filled = bytearray(code)
        for place in _IMMUTABLE.finditer(self.deployed):
            filled[place.start() + 1 : place.end()] = bytes(32)
        return filled == self.deployed


@dataclass(frozen=True)
class Constructor:
    """The arguments of a creation. Addresses are EIP-55."""

    admin: str
    royalty_receiver: str
    royalty_basis_points: int
    contract_uri: str

    def encoded(self) -> bytes:
        values = self.admin, self.royalty_receiver, self.royalty_basis_points, self.contract_uri
        return encode(["address", "address", "uint96", "string"], values)


def read_artifact() -> Artifact:
    """The compiled `SongNFT`. Raises ChainError when it has not been compiled."""
    try:
        found = json.loads(ARTIFACT.read_text())
    except FileNotFoundError:
        raise ChainError(f"{ARTIFACT} is missing: compile it with `make contracts`") from None
    code, deployed = (
        bytes.fromhex(found[name].removeprefix("0x")) for name in ("bytecode", "deployedBytecode")
    )
    return Artifact(found["abi"], code, deployed)


def created_address(sender: str, nonce: int) -> str:
    """Where a contract goes that `sender` creates (CREATE), EIP-55."""
    return to_checksum_address(keccak(rlp.encode([bytes.fromhex(sender.removeprefix("0x")), nonce]))[12:])


def role_id(role: str) -> bytes:
    """As OpenZeppelin's AccessControl: the admin's is zero."""
    return bytes(32) if role == ADMIN_ROLE else keccak(text=role)


def grant_data(role: str, account: str) -> bytes:
    return _role_call("grantRole(bytes32,address)", role, account)


def revoke_data(role: str, account: str) -> bytes:
    return _role_call("revokeRole(bytes32,address)", role, account)


def has_role(node: Node, contract: str, role: str, account: str) -> bool:
    """Raises ChainError."""
    answer = node.read(contract, _role_call("hasRole(bytes32,address)", role, account))
    return int.from_bytes(answer, "big") == 1


def check_contract(node: Node, contract: str, chain_id: int, artifact: Artifact | None = None) -> None:
    """Raises ChainError unless a `SongNFT` of this chain is at `contract`; with `artifact`, that build."""
    code = node.code(contract)
    if not code:
        raise ChainError(f"there is no contract at {contract}")
    if artifact is not None and not artifact.is_code(code):
        raise ChainError(f"the code at {contract} is not that of {ARTIFACT.name}")
    try:  # EIP-5267
        domain = decode(
            ["bytes1", "string", "string", "uint256", "address", "bytes32", "uint256[]"],
            node.read(contract, _selector("eip712Domain()")),
        )
    except (ChainError, ValueError, OverflowError):
        raise ChainError(f"the contract at {contract} is no SongNFT") from None
    expected = DOMAIN_NAME, DOMAIN_VERSION, chain_id, contract.lower()
    if (*domain[1:4], str(domain[4]).lower()) != expected:
        raise ChainError(f"the contract at {contract} signs for another domain: {domain[1:5]}")


def _role_call(signature: str, role: str, account: str) -> bytes:
    return _selector(signature) + encode(["bytes32", "address"], [role_id(role), account])


def _selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]
