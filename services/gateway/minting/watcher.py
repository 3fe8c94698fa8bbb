"""Follows the mints of SongNFT from block to block, so that songs show their tokens.

Confirmed blocks are read once and for good; all above them are read anew whenever there is a new block, and
what they say replaces what they said (docs/adr/0041). Knows the chain's node; the rows are `mints`.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from services.gateway import metrics
from services.gateway.chain import Block, Chain, ChainUnavailable, Log
from services.gateway.database import DatabaseUnavailable
from services.gateway.minting.mints import Checkpoint, Contract, LeaseLost, Mint, Mints, Reading
from services.gateway.models import MintState

_log = logging.getLogger(__name__)

# ERC-721's Transfer from nobody: no token comes to be without one.
_TRANSFER = keccak(text="Transfer(address,address,uint256)")
_NOBODY = bytes(32)
# In one question; nodes that take fewer refuse, and it is halved.
LONGEST_RANGE = 2000


@dataclass(frozen=True)
class Watch:
    """What is watched, and how."""

    contract: Contract
    # Blocks on top of a mint's own until it counts.
    confirmations: int
    poll_s: float


class Watcher:
    """Every replica may have one; one of them reads."""

    def __init__(self, chain: Chain, mints: Mints, watch: Watch) -> None:
        self._chain, self._mints, self._watch = chain, mints, watch
        self._range = LONGEST_RANGE
        # The head up to which all is read, to do nothing while there is no other.
        self._read_to: bytes | None = None
        self._why_not = ""

    async def run(self) -> None:
        """Reads until cancelled."""
        try:
            while True:
                try:
                    await self.read_on()
                    self._tell("")
                except ChainUnavailable as error:
                    self._tell(str(error))
                except (DatabaseUnavailable, LeaseLost):
                    self._read_to = None
                await asyncio.sleep(self._watch.poll_s)
        finally:
            with suppress(DatabaseUnavailable):
                await self._mints.release()

    async def read_on(self) -> None:
        """Reads all that is new, unless another replica does.

        Raises:
            ChainUnavailable: the node is away, of another chain, or changed its mind in the middle: repeat.
            DatabaseUnavailable, LeaseLost: nothing was written since the last reading.
        """
        next_block = await self._mints.take()
        if next_block is None:
            self._read_to = None
            return
        chain_id = await self._chain.chain_id()
        if chain_id != self._watch.contract.chain_id:
            raise ChainUnavailable(f"the node is of chain {chain_id}, not {self._watch.contract.chain_id}")
        head = await self._chain.latest()
        if head.hash == self._read_to:
            return
        next_block = first = await self._on_this_chain(head, next_block)
        while first <= head.number:
            # What is confirmed now, and not read yet.
            metrics.CHAIN_LAG.set(max(0, head.number - self._watch.confirmations - next_block + 1))
            reading = await self._read(first, head)
            next_block = await self._mints.record(reading, next_block)
            first = reading.last + 1
        metrics.CHAIN_LAG.set(0)
        metrics.CHAIN_READ_AT.set(time.time())
        self._read_to = head.hash

    async def _on_this_chain(self, head: Block, next_block: int) -> int:
        """The next block to read, after going back to where the node's chain and ours were last the same.

        A node that is behind has the blocks that we know up to its head: it is waited for.
        """
        newest = await self._mints.newest_checkpoint(head.number)
        if newest is None or await self._agrees(newest):
            return next_block
        known = await self._mints.checkpoints(newest.number)
        # A chain that has a block has all those below it: so they agree up to one of them, and not above.
        agreeing, unsure = 0, len(known)
        while agreeing < unsure:
            middle = (agreeing + unsure) // 2
            if await self._agrees(known[middle]):
                agreeing = middle + 1
            else:
                unsure = middle
        to = known[agreeing - 1].number + 1 if agreeing else None
        reached = await self._mints.rewind(next_block, to)
        _log.warning(
            "the chain took confirmed blocks back", extra={"read": next_block, "again_from": reached}
        )
        return reached

    async def _agrees(self, checkpoint: Checkpoint) -> bool:
        return (await self._block(checkpoint.number)).hash == checkpoint.hash

    async def _read(self, first: int, head: Block) -> Reading:
        """The next blocks up to `head`, as many as the node takes in one question."""
        last = min(head.number, first + self._range - 1)
        end = await self._block(last)
        try:
            logs = await self._chain.logs(self._watch.contract.address, (_TRANSFER, _NOBODY), first, last)
        except ChainUnavailable:
            # Too much of it, perhaps: nodes have no common word for that.
            self._range = max(1, (last - first + 1) // 2)
            raise
        self._range = min(LONGEST_RANGE, self._range + max(1, self._range // 8))
        confirmed = min(last, head.number - self._watch.confirmations)
        checkpoint = None
        if confirmed >= first:
            checkpoint = Checkpoint(confirmed, (await self._block(confirmed)).hash)
        mints = await self._mints_of(logs, first, last, confirmed)
        if (await self._block(last)).hash != end.hash:
            raise ChainUnavailable("the chain changed while it was read")
        return Reading(first, last, checkpoint, mints)

    async def _mints_of(self, logs: Sequence[Log], first: int, last: int, confirmed: int) -> list[Mint]:
        if any(len(log.topics) != 4 or not first <= log.block_number <= last for log in logs):
            raise ChainUnavailable("the node gave logs that were not asked for")
        known = await self._mints.known([log.topics[3] for log in logs])
        return [
            Mint(
                audio_sha256=log.topics[3],
                owner=to_checksum_address(log.topics[2][12:]),
                transaction=log.transaction,
                block_number=log.block_number,
                block_hash=log.block_hash,
                log_index=log.index,
                minted_at=(await self._block(log.block_hash)).made_at,
                state=MintState.MINTED if log.block_number <= confirmed else MintState.PENDING,
            )
            for log in logs
            if log.topics[3] in known
        ]

    async def _block(self, which: int | bytes) -> Block:
        block = await self._chain.block(which)
        if block is None:
            raise ChainUnavailable("the node lacks a block that it has told of")
        return block

    def _tell(self, why_not: str) -> None:
        """Says once what keeps it from reading, and once that it reads again."""
        if why_not != self._why_not:
            level = logging.WARNING if why_not else logging.INFO
            _log.log(level, "mints are %s", "not read" if why_not else "read again", extra={"why": why_not})
        self._why_not = why_not
