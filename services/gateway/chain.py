"""The chain's node over JSON-RPC: what contracts say, which blocks there are, what they logged.

Knows no contract of ours. There is one kind of error for a node that is away or answers nonsense.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from services.common.errors import Unavailable

TIMEOUT_S = 10.0
LONGEST_ANSWER_BYTES = 16 << 20
READ_BYTES = 64 << 10
# What nodes answer eth_call with when the contract reverts: EIP-1474 leaves it open, these are in use.
_REVERTED = (3, -32000, -32015)


class ChainUnavailable(Unavailable):
    def __init__(self, why: str) -> None:
        super().__init__("CHAIN_UNAVAILABLE", f"the chain cannot be asked: {why}", retry_delay_s=1.0)


@dataclass(frozen=True)
class Block:
    number: int
    hash: bytes
    made_at: datetime


@dataclass(frozen=True)
class Log:
    """An event as a contract logged it. Topics are 32 bytes each."""

    topics: tuple[bytes, ...]
    transaction: bytes
    block_number: int
    block_hash: bytes
    index: int


class Chain:
    """Raises ChainUnavailable from every method."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url
        parts = urlsplit(url)
        # For logs: paths and user names hold providers' API keys.
        self.host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    async def request(self, method: str, *parameters: object) -> Any:
        """The result of one method; null is None."""
        answer = await self._post(method, parameters)
        if "error" in answer or "result" not in answer:
            told = answer.get("error")
            raise ChainUnavailable(f"{method}: {told.get('message') if isinstance(told, dict) else told}")
        return answer["result"]

    async def call(self, to: str, data: bytes) -> bytes | None:
        """What a view function returns, ABI-encoded; None if it reverts. No contract returns nothing."""
        answer = await self._post("eth_call", ({"to": to, "data": "0x" + data.hex()}, "latest"))
        told = answer.get("error")
        if isinstance(told, dict) and told.get("code") in _REVERTED:
            return None
        if not isinstance(answer.get("result"), str):
            raise ChainUnavailable("eth_call gave no result")
        return _bytes(answer["result"])

    async def chain_id(self) -> int:
        return _number(await self.request("eth_chainId"))

    async def latest(self) -> Block:
        """The newest block that the node has."""
        block = await self.block("latest")
        if block is None:
            raise ChainUnavailable("the node has no block")
        return block

    async def block(self, which: int | bytes | str) -> Block | None:
        """A block by its number, its hash or its name; None if the node has none such."""
        if isinstance(which, bytes):
            found = await self.request("eth_getBlockByHash", "0x" + which.hex(), False)
        else:
            name = hex(which) if isinstance(which, int) else which
            found = await self.request("eth_getBlockByNumber", name, False)
        if found is None:
            return None
        try:
            moment = datetime.fromtimestamp(_number(found["timestamp"]), UTC)
            return Block(_number(found["number"]), _hash(found["hash"]), moment)
        except (LookupError, TypeError, OverflowError, OSError) as error:
            raise ChainUnavailable("the answer is no block") from error

    async def logs(self, contract: str, topics: Sequence[bytes], first: int, last: int) -> list[Log]:
        """What a contract logged in blocks `first` to `last` with these topics at the head."""
        wanted = {
            "address": contract,
            "topics": ["0x" + topic.hex() for topic in topics],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        found = await self.request("eth_getLogs", wanted)
        try:
            return [
                Log(
                    topics=tuple(_hash(topic) for topic in log["topics"]),
                    transaction=_hash(log["transactionHash"]),
                    block_number=_number(log["blockNumber"]),
                    block_hash=_hash(log["blockHash"]),
                    index=_number(log["logIndex"]),
                )
                for log in found
                if not log.get("removed")
            ]
        except (LookupError, TypeError, AttributeError) as error:
            raise ChainUnavailable("the answer is no list of logs") from error

    async def _post(self, method: str, parameters: tuple[object, ...]) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        try:
            async with self._session.post(self._url, json=body) as response:
                data = bytearray()
                async for piece in response.content.iter_chunked(READ_BYTES):
                    data += piece
                    if len(data) > LONGEST_ANSWER_BYTES:
                        raise ChainUnavailable(f"{method}: the answer is too long")
                answer = json.loads(data)
        except TimeoutError as error:
            raise ChainUnavailable(f"{method}: no answer within {TIMEOUT_S:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ChainUnavailable(f"{method}: {type(error).__name__}") from error
        if not isinstance(answer, dict):
            raise ChainUnavailable(f"{method}: the answer is no JSON-RPC")
        return answer


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise ChainUnavailable("the answer is not hex") from error


def _hash(text: object) -> bytes:
    """32 bytes, as topics and hashes are."""
    found = _bytes(str(text))
    if len(found) != 32:
        raise ChainUnavailable("the answer is no hash")
    return found


def _number(value: object) -> int:
    try:
        return int(str(value), 16)
    except ValueError as error:
        raise ChainUnavailable("the answer is no number") from error


@asynccontextmanager
async def open_chain(url: str) -> AsyncIterator[Chain]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        yield Chain(session, url)
