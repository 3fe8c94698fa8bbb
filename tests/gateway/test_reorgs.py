"""A chain that takes blocks back, also in the middle of a reading: songs show the tokens that there are."""

import asyncio

from services.gateway.chain import ChainUnavailable, open_chain
from services.gateway.database import open_database
from services.gateway.minting.mints import Contract, Mints
from services.gateway.minting.watcher import Watch, Watcher
from tests.gateway.ground import CONFIRMATIONS, MINTED, PENDING, Ground, seen, taken_back
from tests.gateway.mesh import eventually, made


async def test_a_mint_that_a_reorg_drops_is_taken_back_and_seen_again_in_its_new_block(
    ground: Ground,
) -> None:
    gateway = await ground.open()
    song, _ = await made(gateway)
    snapshot = ground.rpc("evm_snapshot")
    ground.mint(song)
    first = await seen(gateway, song, PENDING)
    ground.rpc("evm_revert", snapshot)
    ground.mine(2)
    await taken_back(gateway, song)
    ground.mint(song)
    again = await seen(gateway, song, PENDING)
    assert again.block_number == first.block_number + 2
    ground.mine(CONFIRMATIONS)
    mint = await seen(gateway, song, MINTED)
    assert mint.block_number == again.block_number


async def test_a_mint_that_a_reorg_moves_while_it_confirms_is_counted_from_its_new_block(
    ground: Ground,
) -> None:
    gateway = await ground.open()
    song, _ = await made(gateway)
    snapshot = ground.rpc("evm_snapshot")
    ground.mint(song)
    ground.mine(CONFIRMATIONS - 1)
    first = await seen(gateway, song, PENDING)
    ground.node.down = True  # it sees nothing of what lies between
    ground.rpc("evm_revert", snapshot)
    ground.mine(CONFIRMATIONS)
    receipt = ground.mint(song)
    ground.node.down = False
    ground.mine(CONFIRMATIONS - 1)

    async def has_moved() -> bool:
        return (await gateway.get(song.id)).mint.block_number == receipt["blockNumber"]

    await eventually(has_moved)
    assert receipt["blockNumber"] != first.block_number
    assert (await gateway.get(song.id)).mint.state == PENDING
    ground.mine()
    assert (await seen(gateway, song, MINTED)).block_number == receipt["blockNumber"]


async def test_a_reorg_deeper_than_the_confirmations_is_found_out_by_the_blocks_that_are_stored(
    ground: Ground,
) -> None:
    gateway = await ground.open()
    kept, lost = (await made(gateway))[0], (await made(gateway))[0]
    ground.mint(kept)
    ground.mine(CONFIRMATIONS)
    before = await seen(gateway, kept, MINTED)
    snapshot = ground.rpc("evm_snapshot")
    ground.mint(lost)
    for _ in range(CONFIRMATIONS + 4):
        ground.mine()
        await asyncio.sleep(0.05)  # each is read, and stored, by itself
    await seen(gateway, lost, MINTED)
    height = ground.head
    ground.rpc("evm_revert", snapshot)
    while ground.head <= height:
        ground.mine()
    await taken_back(gateway, lost)
    ground.mint(lost)
    ground.mine(CONFIRMATIONS)
    assert (await seen(gateway, lost, MINTED)).block_number > height
    assert (await gateway.get(kept.id)).mint == before


async def test_another_chain_under_the_same_number_is_read_from_the_start(ground: Ground) -> None:
    """As a development chain that was thrown away: no block is as it was."""
    snapshot = ground.rpc("evm_snapshot")
    ground.mine()
    gateway = await ground.open(chain_start_block=ground.head)
    song, _ = await made(gateway)
    ground.mint(song)
    ground.mine(CONFIRMATIONS + 2)
    await seen(gateway, song, MINTED)
    ground.rpc("evm_revert", snapshot)
    ground.mine(CONFIRMATIONS + 10)
    await taken_back(gateway, song)
    ground.mint(song)
    ground.mine(CONFIRMATIONS)
    await seen(gateway, song, MINTED)


async def test_a_reorg_in_the_middle_of_a_reading_leaves_no_token_that_is_not_there(ground: Ground) -> None:
    """Whatever is read counts at once here: a false token would stay."""
    away = await ground.open(contract="", chain_rpc_url=None)
    contract, node = Contract(31337, ground.songs.contract.address), ground.node
    async with (
        open_database(ground.pods.environment["database_url"], connections=2) as database,
        open_chain(node.url) as chain,
    ):
        mints = Mints(database, contract, start_block=ground.head, lease_s=5.0)
        for question in range(1, 10):
            song, _ = await made(away)
            watcher = Watcher(chain, mints, Watch(contract, 0, 0.02))
            snapshot = ground.rpc("evm_snapshot")
            ground.mint(song)
            node.asked.clear()
            node.hang_at = question
            node.hanging.clear()
            node.go_on.clear()
            reading = asyncio.create_task(watcher.read_on())
            hanging = asyncio.create_task(node.hanging.wait())
            await asyncio.wait({reading, hanging}, return_when=asyncio.FIRST_COMPLETED, timeout=5)
            hanging.cancel()
            ground.rpc("evm_revert", snapshot)
            ground.mine(2)
            node.hang_at = 0
            node.go_on.set()
            (outcome,) = await asyncio.gather(reading, return_exceptions=True)
            assert outcome is None or isinstance(outcome, ChainUnavailable)
            await watcher.read_on()
            assert not (await away.get(song.id)).HasField("mint"), question
            ground.mint(song)
            await watcher.read_on()
            assert (await away.get(song.id)).mint.state == MINTED
