"""What a repeat mint costs, beside the platform's description taken literally: `make gas`.

Mints on a fresh anvil with fixed keys, so that every run gives the same figures; writes them into
docs/measurements.md and ends with status 1 when one is above its limit.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_canonical_address
from eth_utils.crypto import keccak

from deploy.local import chain
from deploy.local.contract import (
    chain_id,
    deploy_song_nft,
    development_accounts,
    send_transaction,
)
from services.signer.formats import Domain, eip712_digest, packed_digest

PAGE = Path(__file__).parents[1] / "docs" / "measurements.md"
ORIGINAL = Path(__file__).parents[1] / "build" / "contracts" / "LiteralOriginal.json"
BEGIN, END = "<!-- gas: written by make gas -->\n", "<!-- gas: end -->\n"

# A CIDv1 in base32 and a CIDv0 in base58 behind ipfs://: what metadata URIs look like.
LONG_URI = "ipfs://b" + "afkrei" + "a7" * 26
SHORT_URI = "ipfs://Qm" + "a7" * 22
DEADLINE = 2**32 - 1  # four bytes, as any deadline until 2106
REPEATS = 8

# Brings the n-th permit on chain and returns what that cost.
Mint = Callable[[int], int]


@dataclass(frozen=True)
class Cost:
    """Gas of one repeat mint, the dearest of `REPEATS`. `limit` is what it may be at most."""

    what: str
    gas: int
    limit: int | None = None

    @property
    def within_limit(self) -> bool:
        return self.limit is None or self.gas <= self.limit


def measure(rpc_url: str) -> list[Cost]:
    """Mints on a development chain, which for figures that repeat is a fresh one. Raises ChainError."""
    admin, creator, relayer = development_accounts(rpc_url)[:3]
    key = PrivateKey(keccak(text="signs EIP-712 permits"))
    packed_key = PrivateKey(keccak(text="signs packed permits"))
    songs = deploy_song_nft(
        rpc_url,
        admin,
        eip712_signers=[key.public_key.to_checksum_address()],
        packed_signers=[packed_key.public_key.to_checksum_address()],
    )
    domain = Domain(chain_id(rpc_url), to_canonical_address(songs))
    original = _deploy_original(rpc_url, admin, packed_key.public_key.to_checksum_address())

    def eip712(sender: str) -> Mint:
        def mint(number: int) -> int:
            to, song, metadata = to_canonical_address(creator), _digest(sender, number), _digest("metadata")
            signature = _sign(key, eip712_digest(domain, to, song, metadata, DEADLINE))
            types = ["address", "bytes32", "bytes32", "uint256", "bytes"]
            return _mint(rpc_url, sender, songs, types, [to, song, metadata, DEADLINE, signature])

        return mint

    def packed(contract: str, uri: str) -> Mint:
        def mint(number: int) -> int:
            song = _digest(uri, number)
            signature = _sign(packed_key, packed_digest(to_canonical_address(creator), uri, song))
            return _mint(rpc_url, creator, contract, ["string", "bytes32", "bytes"], [uri, song, signature])

        return mint

    return [
        Cost("`SongNFT`, EIP-712", _dearest(eip712(creator)), 88_000),
        Cost("`SongNFT`, EIP-712, brought by somebody else", _dearest(eip712(relayer)), 88_000),
        Cost("`SongNFT`, packed, URI of 66 characters", _dearest(packed(songs, LONG_URI)), 155_500),
        Cost("`SongNFT`, packed, URI of 53 characters", _dearest(packed(songs, SHORT_URI))),
        Cost("literal original, URI of 66 characters", _dearest(packed(original, LONG_URI))),
        Cost("literal original, URI of 53 characters", _dearest(packed(original, SHORT_URI))),
    ]


def table(costs: list[Cost]) -> str:
    """In Markdown. The last column compares with the original's mint of the longer URI."""
    original = next(cost.gas for cost in costs if cost.what.startswith("literal original"))
    rows = []
    for cost in costs:
        limit = f"{cost.limit:,}" if cost.limit else ""
        rows.append(f"| {cost.what} | {cost.gas:,} | {limit} | {cost.gas / original:.0%} |")
    head = ["| repeat mint | gas | at most | of the original |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def on_page(page: str) -> str:
    """What the page says now, between the marks."""
    return page.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, chain.start(Path(folder)) as node:
        costs = measure(node.rpc_url)
    written = table(costs)
    print(written, end="")
    too_dear = [cost for cost in costs if not cost.within_limit]
    for cost in too_dear:
        print(f"{cost.what}: {cost.gas:,} gas, at most {cost.limit:,} are allowed", file=sys.stderr)
    if too_dear:
        raise SystemExit(1)
    page = PAGE.read_text()
    PAGE.write_text(page.replace(BEGIN + on_page(page) + END, BEGIN + written + END))


def _dearest(mint: Mint) -> int:
    mint(0)  # the creator's first fills slots that all others find filled
    return max(mint(number) for number in range(1, 1 + REPEATS))


def _mint(rpc_url: str, sender: str, contract: str, types: list[str], values: list[object]) -> int:
    selector = keccak(text=f"mint({','.join(types)})")[:4]
    data = "0x" + (selector + encode(types, values)).hex()
    return int(send_transaction(rpc_url, sender, to=contract, data=data)["gasUsed"], 16)


def _deploy_original(rpc_url: str, deployer: str, signer: str) -> str:
    code = bytes.fromhex(json.loads(ORIGINAL.read_text())["bytecode"].removeprefix("0x"))
    data = "0x" + (code + encode(["address"], [signer])).hex()
    return str(send_transaction(rpc_url, deployer, data=data)["contractAddress"])


def _digest(*names: object) -> bytes:
    return hashlib.sha256(repr(names).encode()).digest()


def _sign(key: PrivateKey, digest: bytes) -> bytes:
    signature = key.sign_msg_hash(digest).to_bytes()
    return signature[:64] + bytes([27 + signature[64]])


if __name__ == "__main__":
    main()
