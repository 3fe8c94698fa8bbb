"""Songs show their tokens: on a real chain, with failing nodes, kills and changes of replica."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pydantic import ValidationError

from services.gateway.chain import open_chain
from services.gateway.database import open_database
from services.gateway.minting.mints import Contract, Mints
from services.gateway.minting.watcher import Watch, Watcher
from tests.gateway.chain_proxy import chain_proxy
from tests.gateway.ground import CONFIRMATIONS, MINTED, PENDING, Ground, listed, seen
from tests.gateway.mesh import Mesh, eventually, made


async def test_a_mint_is_seen_at_once_and_counts_after_the_confirmations(ground: Ground) -> None:
    gateway = await ground.open()
    song, _ = await made(gateway)
    other, _ = await made(gateway)
    receipt = ground.mint(song)
    mint = await seen(gateway, song, PENDING)
    block = ground.songs.w3.eth.get_block(receipt["blockNumber"])
    assert mint.token_id == f"0x{song.audio.sha256}"
    assert (mint.chain_id, mint.contract) == (31337, ground.songs.contract.address)
    assert (mint.owner, mint.block_number) == (ground.songs.creator, receipt["blockNumber"])
    assert mint.transaction == receipt["transactionHash"].to_0x_hex()
    assert mint.mint_time.seconds == block["timestamp"]
    assert await listed(gateway, minted=True) == set()
    pending = await gateway.get(song.id)
    assert pending.revision > song.revision
    ground.mine(CONFIRMATIONS - 1)
    await asyncio.sleep(0.2)  # what must not happen
    assert (await gateway.get(song.id)).mint.state == PENDING
    ground.mine()
    await seen(gateway, song, MINTED)
    assert (await gateway.get(song.id)).revision == pending.revision + 1
    assert await listed(gateway, minted=True) == {song.id}
    assert await listed(gateway, minted=False) == {other.id}
    over_http = (await gateway.http.get("/v1/songs", params={"minted": "true"})).json()["songs"]
    assert [one["mint"]["transaction"] for one in over_http] == [mint.transaction]
    assert over_http[0]["mint"]["state"] == "MINT_STATE_MINTED"


async def test_tokens_of_others_are_passed_over(ground: Ground) -> None:
    gateway = await ground.open()
    song, _ = await made(gateway)
    ground.songs.send(ground.songs.mint_signed(ground.songs.permit(b"\x77" * 32)))
    ground.mint(song)
    ground.mine(CONFIRMATIONS)
    await seen(gateway, song, MINTED)
    assert await listed(gateway, minted=True) == {song.id}


async def test_a_node_that_drops_connections_delays_mints_and_loses_none(ground: Ground) -> None:
    gateway = await ground.open()
    songs = [(await made(gateway))[0] for _ in range(3)]
    ground.node.cut_share = 0.15
    ground.mint(songs[0])
    await seen(gateway, songs[0], PENDING)
    ground.node.down = True
    ground.mint(songs[1])
    ground.mine(CONFIRMATIONS)
    ground.mint(songs[2])
    asked = len(ground.node.asked)

    async def asks_on() -> bool:
        return len(ground.node.asked) > asked + 3

    await eventually(asks_on)
    assert (await gateway.http.get("/readyz")).status_code == 200  # all else works without a chain
    ground.node.down = False
    ground.mine(CONFIRMATIONS)
    for song in songs:
        await seen(gateway, song, MINTED)


async def test_a_node_that_takes_short_ranges_only_is_read_without_a_gap(ground: Ground) -> None:
    away = await ground.open(contract="", chain_rpc_url=None)
    songs = [(await made(away))[0] for _ in range(3)]
    start = ground.head
    for song in songs:
        ground.mine(40)
        ground.mint(song)
    ground.mine(CONFIRMATIONS)
    ground.node.longest_range = 7
    gateway = await ground.open(chain_start_block=start)
    for song in songs:
        await seen(gateway, song, MINTED)
    ranges = ground.node.ranges()
    assert max(map(len, ranges)) <= 7
    assert set().union(*ranges) >= set(range(start, ground.head - CONFIRMATIONS + 1))


async def test_a_node_that_is_behind_is_waited_for(ground: Ground) -> None:
    gateway = await ground.open()
    confirmed, pending = (await made(gateway))[0], (await made(gateway))[0]
    ground.mint(confirmed)
    ground.mine(CONFIRMATIONS)
    ground.mint(pending)
    await seen(gateway, confirmed, MINTED)
    await seen(gateway, pending, PENDING)
    before, asked = await ground.next_block(), len(ground.node.asked)
    ground.node.behind = CONFIRMATIONS + 2

    async def asked_again() -> bool:
        return len(ground.node.asked) > asked + 10

    await eventually(asked_again)
    assert (await gateway.get(confirmed.id)).mint.state == MINTED
    assert (await gateway.get(pending.id)).mint.state == PENDING
    assert await ground.next_block() == before
    ground.node.behind = 0
    ground.mine(CONFIRMATIONS)
    await seen(gateway, pending, MINTED)


async def test_a_node_of_another_chain_is_not_believed(ground: Ground) -> None:
    gateway = await ground.open(chain_id=1)
    song, _ = await made(gateway)
    ground.mint(song)
    ground.mine(CONFIRMATIONS)

    async def was_asked() -> bool:
        return len(ground.node.asked) > 5

    await eventually(was_asked)
    assert not (await gateway.get(song.id)).HasField("mint")
    assert {method for method, _ in ground.node.asked} == {"eth_chainId"}


async def test_a_restart_goes_on_where_reading_stopped(ground: Ground, pods: Mesh) -> None:
    gateway = await ground.open()
    first, second = (await made(gateway))[0], (await made(gateway))[0]
    ground.mint(first)
    ground.mine(CONFIRMATIONS)
    await seen(gateway, first, MINTED)
    stored = await ground.next_block()
    await pods.stack.aclose()
    ground.mint(second)
    ground.mine(CONFIRMATIONS)
    ground.node.answered.clear()
    again = await ground.open()
    await seen(again, second, MINTED)
    assert min(one.start for one in ground.node.ranges()) == stored
    assert await ground.next_block() > stored


async def test_of_two_replicas_one_reads_and_the_other_takes_over(ground: Ground) -> None:
    async with AsyncExitStack() as first_stack, chain_proxy(ground.node.target) as other_node:
        reading = Mesh(ground.pods.music, ground.pods.lyrics, ground.pods.environment, first_stack)
        first = await reading.open(**ground.settings)

        async def reads() -> bool:
            return bool(ground.node.asked)

        await eventually(reads)
        second = await ground.open(chain_rpc_url=other_node.url)
        songs = [(await made(second))[0] for _ in range(2)]
        ground.mint(songs[0])
        ground.mine(CONFIRMATIONS)
        await seen(first, songs[0], MINTED)
        assert not other_node.asked
        await first_stack.aclose()
        ground.mint(songs[1])
        ground.mine(CONFIRMATIONS)
        await seen(second, songs[1], MINTED)
        assert other_node.ranges()


async def test_a_watcher_that_is_killed_at_any_question_loses_nothing(ground: Ground) -> None:
    """It leaves its lease behind, as whoever is killed does; the next one has to wait for that."""
    away = await ground.open(contract="", chain_rpc_url=None)
    contract = Contract(31337, ground.songs.contract.address)
    watch = Watch(contract, CONFIRMATIONS, 0.02)
    start = ground.head
    async with (
        open_database(ground.pods.environment["database_url"], connections=2) as database,
        open_chain(ground.node.url) as chain,
    ):

        def watcher() -> Watcher:
            return Watcher(chain, Mints(database, contract, start_block=start, lease_s=0.05), watch)

        for question in range(1, 12):
            song, _ = await made(away)
            ground.mint(song)
            ground.mine(question % (CONFIRMATIONS + 1))
            ground.node.asked.clear()
            ground.node.hang_at = question
            ground.node.hanging.clear()
            killed = asyncio.create_task(watcher().read_on())
            hanging = asyncio.create_task(ground.node.hanging.wait())
            await asyncio.wait({killed, hanging}, return_when=asyncio.FIRST_COMPLETED, timeout=5)
            killed.cancel()
            hanging.cancel()
            await asyncio.gather(killed, hanging, return_exceptions=True)
            ground.node.hang_at = 0
        ground.mine(CONFIRMATIONS)
        last = watcher()

        async def all_are_minted() -> bool:
            await last.read_on()
            return len(await listed(away, minted=True)) == 11

        await eventually(all_are_minted)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"chain_rpc_url": None}, "contract needs chain_rpc_url"),
        ({"contract": "0x1234"}, "is not an Ethereum address"),
        ({"chain_id": 2**32}, "below 4294967296"),
    ],
)
async def test_a_watch_that_cannot_work_stops_the_start(
    ground: Ground, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        await ground.open(**given)
