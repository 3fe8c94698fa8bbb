"""Tokens of songs as they were read from the chain, and how far: the rows behind the watcher.

One transaction for each reading, and one replica at a time: every write names its lease and where it stood.
Which blocks count is the watcher's question.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from services.gateway import metrics
from services.gateway.database import Database
from services.gateway.models import MintState

# So many are kept besides the blocks of mints: far more than any chain takes back.
KEPT_CHECKPOINTS = 256

_OURS = "chain_id = $1 AND contract = $2"
_MINTED_HERE = "mint_chain_id = $1 AND mint_contract = $2 AND mint_state <> ''"
_UNMINTED = (
    "mint_state = '', mint_chain_id = 0, mint_contract = '', mint_owner = '', mint_transaction = NULL,"
    " mint_block = 0, mint_block_hash = NULL, mint_log_index = 0, minted_at = NULL, revision = revision + 1"
)


@dataclass(frozen=True)
class Contract:
    """A SongNFT, EIP-55."""

    chain_id: int
    address: str


@dataclass(frozen=True)
class Checkpoint:
    """A confirmed block."""

    number: int
    hash: bytes


@dataclass(frozen=True)
class Mint:
    """The event that made a token. `audio_sha256` is its id, `owner` EIP-55."""

    audio_sha256: bytes
    owner: str
    transaction: bytes
    block_number: int
    block_hash: bytes
    log_index: int
    minted_at: datetime
    state: MintState


@dataclass(frozen=True)
class Reading:
    """The mints of known songs in blocks `first` to `last`, which are confirmed up to `checkpoint`."""

    first: int
    last: int
    checkpoint: Checkpoint | None
    mints: Sequence[Mint]


class LeaseLost(Exception):
    """Another replica has read on meanwhile; nothing was written."""


class Mints:
    """Raises DatabaseUnavailable from every method."""

    def __init__(self, database: Database, contract: Contract, *, start_block: int, lease_s: float) -> None:
        self._database = database
        self._key = (contract.chain_id, contract.address)
        self._start_block, self._lease_s = start_block, lease_s
        self._holder = uuid4()

    async def take(self) -> int | None:
        """The next block to read, under a lease; None while another replica has it."""
        found: int | None = await self._database.value(
            "INSERT INTO chain_watches (chain_id, contract, next_block, holder, leased_until)"
            " VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))"
            " ON CONFLICT (chain_id, contract) DO UPDATE SET holder = EXCLUDED.holder,"
            "   leased_until = EXCLUDED.leased_until"
            " WHERE chain_watches.holder = EXCLUDED.holder OR chain_watches.leased_until < now()"
            " RETURNING next_block",
            *self._key, self._start_block, self._holder, self._lease_s,
        )  # fmt: skip
        return found

    async def release(self) -> None:
        """Lets another replica go on at once."""
        await self._database.value(
            f"UPDATE chain_watches SET leased_until = '-infinity' WHERE {_OURS} AND holder = $3",
            *self._key, self._holder,
        )  # fmt: skip

    async def known(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Those of them that are songs of this gateway."""
        rows = await self._database.rows(
            "SELECT DISTINCT audio_sha256 FROM songs WHERE audio_sha256 = ANY ($1)", list(hashes)
        )
        return {row["audio_sha256"] for row in rows}

    async def newest_checkpoint(self, up_to: int) -> Checkpoint | None:
        row = await self._database.row(
            f"SELECT number, hash FROM chain_checkpoints WHERE {_OURS} AND number <= $3"
            " ORDER BY number DESC LIMIT 1",
            *self._key, up_to,
        )  # fmt: skip
        return None if row is None else Checkpoint(**row)

    async def checkpoints(self, up_to: int) -> list[Checkpoint]:
        """All, from the lowest on, the blocks of confirmed mints among them."""
        rows = await self._database.rows(
            f"SELECT number, hash FROM chain_checkpoints WHERE {_OURS} AND number <= $3"
            " UNION SELECT mint_block, mint_block_hash FROM songs"
            f" WHERE {_MINTED_HERE} AND mint_state = 'MINTED' AND mint_block <= $3 ORDER BY number",
            *self._key, up_to,
        )  # fmt: skip
        return [Checkpoint(**row) for row in rows]

    async def record(self, reading: Reading, next_block: int) -> int:
        """Writes what was read, and takes back what was in these blocks and is there no more.

        Returns the next block that is to be read. Raises LeaseLost unless that was `next_block` until now.
        """
        hashes = [mint.audio_sha256 for mint in reading.mints]
        reached = reading.checkpoint.number + 1 if reading.checkpoint else next_block
        async with self._database.transaction() as transaction:
            await self._advance(transaction, next_block, reached)
            rows = await transaction.rows(
                "UPDATE songs SET mint_state = m.state, mint_chain_id = $1, mint_contract = $2,"
                "  mint_owner = m.owner, mint_transaction = m.transaction, mint_block = m.block_number,"
                "  mint_block_hash = m.block_hash, mint_log_index = m.log_index, minted_at = m.minted_at,"
                "  revision = revision + 1"
                " FROM unnest($3::bytea[], $4::text[], $5::bytea[], $6::bigint[], $7::bytea[], $8::int[],"
                "   $9::timestamptz[], $10::text[])"
                "   AS m (sha256, owner, transaction, block_number, block_hash, log_index, minted_at, state)"
                " WHERE audio_sha256 = m.sha256 AND row(mint_state, mint_chain_id, mint_contract,"
                "   mint_block_hash, mint_log_index) IS DISTINCT FROM"
                "   row(m.state, $1, $2, m.block_hash, m.log_index) RETURNING mint_state",
                *self._key, hashes,
                [m.owner for m in reading.mints], [m.transaction for m in reading.mints],
                [m.block_number for m in reading.mints], [m.block_hash for m in reading.mints],
                [m.log_index for m in reading.mints], [m.minted_at for m in reading.mints],
                [m.state.value for m in reading.mints],
            )  # fmt: skip
            gone = await transaction.rows(
                f"UPDATE songs SET {_UNMINTED} WHERE {_MINTED_HERE} AND mint_block BETWEEN $3 AND $4"
                " AND audio_sha256 <> ALL ($5) RETURNING id",
                *self._key, reading.first, reading.last, hashes,
            )  # fmt: skip
            if reading.checkpoint:
                await self._keep(transaction, reading.checkpoint)
        for row in rows:
            metrics.MINTS.labels(row["mint_state"].lower()).inc()
        metrics.MINTS.labels("taken_back").inc(len(gone))
        return reached

    async def rewind(self, next_block: int, to: int | None) -> int:
        """Takes back all that was read from block `to` on (None: the first of all), and returns that block.

        Raises LeaseLost unless `next_block` was the next to be read until now.
        """
        reached = self._start_block if to is None else to
        async with self._database.transaction() as transaction:
            await self._advance(transaction, next_block, reached)
            await transaction.value(
                f"DELETE FROM chain_checkpoints WHERE {_OURS} AND ($3::bigint IS NULL OR number >= $3)",
                *self._key, to,
            )  # fmt: skip
            gone = await transaction.rows(
                f"UPDATE songs SET {_UNMINTED} WHERE {_MINTED_HERE}"
                " AND ($3::bigint IS NULL OR mint_block >= $3) RETURNING id",
                *self._key, to,
            )  # fmt: skip
        metrics.MINTS.labels("taken_back").inc(len(gone))
        return reached

    async def _advance(self, transaction: Database, next_block: int, reached: int) -> None:
        ours = await transaction.value(
            "UPDATE chain_watches SET next_block = $5, leased_until = now() + make_interval(secs => $6)"
            f" WHERE {_OURS} AND holder = $3 AND next_block = $4 RETURNING true",
            *self._key, self._holder, next_block, reached, self._lease_s,
        )  # fmt: skip
        if not ours:
            raise LeaseLost

    async def _keep(self, transaction: Database, checkpoint: Checkpoint) -> None:
        await transaction.value(
            "INSERT INTO chain_checkpoints (chain_id, contract, number, hash) VALUES ($1, $2, $3, $4)",
            *self._key, checkpoint.number, checkpoint.hash,
        )  # fmt: skip
        await transaction.value(
            f"DELETE FROM chain_checkpoints WHERE {_OURS} AND number <= (SELECT number FROM chain_checkpoints"
            f" WHERE {_OURS} ORDER BY number DESC OFFSET $3 LIMIT 1)",
            *self._key, KEPT_CHECKPOINTS,
        )  # fmt: skip
