"""The transaction that mints a saved song: calldata for the `mint` functions of SongNFT, by its compiled ABI.

Knows no chain connection and no key: wallets send it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from eth_abi.abi import encode
from eth_typing import ABIFunction
from eth_utils.abi import function_abi_to_4byte_selector

from services.common.cid import digest_of_raw_cid
from services.common.errors import FailedPrecondition, Unavailable
from services.gateway.messages import ipfs_uri
from services.gateway.models import Song

_PACKED = ("string", "bytes32", "bytes")
_EIP712 = ("address", "bytes32", "bytes32", "uint256", "bytes")


@dataclass(frozen=True)
class MintFunctions:
    """Selectors of SongNFT's mint functions."""

    packed: bytes
    eip712: bytes

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what the contract's compiler wrote.

        Raises:
            Unavailable: CONTRACT_UNKNOWN, the file is missing or holds no such functions.
        """
        try:
            abi: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["abi"]
            return cls(packed=_selector(abi, _PACKED), eip712=_selector(abi, _EIP712))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unavailable("CONTRACT_UNKNOWN", "the contract's ABI is not at hand here") from error

    def calldata(self, song: Song) -> bytes:
        """`data` of the mint transaction for a saved song.

        Raises:
            FailedPrecondition: NOT_SAVED.
        """
        if song.saved_at is None or song.permit_signature is None or song.audio_sha256 is None:
            raise FailedPrecondition("NOT_SAVED", "the song is not saved; save it first")
        if song.permit_deadline is None:
            uri = ipfs_uri(song.metadata_cid)
            return self.packed + encode(_PACKED, (uri, song.audio_sha256, song.permit_signature))
        digest, deadline = digest_of_raw_cid(song.metadata_cid), int(song.permit_deadline.timestamp())
        values = (song.creator_address, song.audio_sha256, digest, deadline, song.permit_signature)
        return self.eip712 + encode(_EIP712, values)


def _selector(abi: list[dict[str, Any]], inputs: tuple[str, ...]) -> bytes:
    for entry in abi:
        if (entry["type"], entry.get("name")) != ("function", "mint"):
            continue
        if tuple(i["type"] for i in entry["inputs"]) == inputs:
            return bytes(function_abi_to_4byte_selector(cast(ABIFunction, entry)))
    raise KeyError(f"mint({','.join(inputs)})")
