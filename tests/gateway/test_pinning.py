"""A song's files at other places: what has to be done before its permit, and what goes on behind it."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest
from pydantic import ValidationError

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from deploy.local.postgres import Database
from services.common.errors import ServiceError
from services.gateway.administration import Administration
from services.gateway.database import open_database
from services.gateway.minting import pinning
from tests.gateway.chain_proxy import served
from tests.gateway.mesh import CALL_S, NOBODY, Gateway, Mesh, eventually
from tests.gateway.pin_servers import TOKEN, Kubo, PinningServer
from tests.gateway.saving import mintable, pinned, real_signer, save, signed_mesh
from tests.signer.attested import STRANGER

ORIGIN = "/dns4/ipfs.example/tcp/4001/p2p/12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkyp4TDhsUbKtHGAg"
QUEUED, PINNING, PINNED = pb.PIN_STATE_QUEUED, pb.PIN_STATE_PINNING, pb.PIN_STATE_PINNED


@pytest.fixture(scope="module")
def signer(
    new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    with real_signer(new_database(), tmp_path_factory.mktemp("signer"), permit_lifetime_s=600) as settings:
        yield settings


@pytest.fixture
async def signed(database: Database, tmp_path: Path, signer: dict[str, Any]) -> AsyncIterator[Mesh]:
    async with signed_mesh(database, tmp_path, signer) as opened:
        yield opened


@pytest.fixture
async def maker(signed: Mesh) -> Gateway:
    """Makes songs, and pins nowhere else."""
    return await signed.open()


@pytest.fixture
async def kubo() -> AsyncIterator[Any]:
    node = Kubo()
    async with served(node.handle) as url:
        yield node, url


@pytest.fixture
async def service() -> AsyncIterator[Any]:
    server = PinningServer()
    async with served(server.handle) as url:
        yield server, f"{url}/psa"


def at_service(url: str, token: str = TOKEN) -> dict[str, Any]:
    return {
        "pinning_url": url,
        "pinning_token": token,
        "ipfs_origins": ORIGIN,
        "pin_poll_s": 0.05,
        "workers": 0,
    }


async def refusal(gateway: Gateway, song: pb.Song) -> ServiceError:
    return await gateway.refusal("SaveSong", pb.SaveSongRequest(song_id=song.id))


def cids_of(song: pb.Song) -> list[str]:
    uris = (song.save.metadata_uri, song.save.image_uri)
    return sorted([song.audio.cid, *(uri.removeprefix("ipfs://") for uri in uris)])


async def state_is(gateway: Gateway, song: pb.Song, state: int) -> None:
    async def reached() -> bool:
        return (await gateway.get(song.id)).save.pin_state == state

    await eventually(reached, within_s=10)


async def test_without_other_places_nothing_is_said_of_them(maker: Gateway) -> None:
    song = await mintable(maker)
    assert (await save(maker, song)).song.save.pin_state == pb.PIN_STATE_UNSPECIFIED


async def test_a_node_has_the_very_files_before_there_is_a_permit(
    signed: Mesh, maker: Gateway, kubo: Any
) -> None:
    node, url = kubo
    song = await mintable(maker, duration_s=60.0)  # more than one leaf of 1 MiB
    alone = await signed.open(kubo_url=url, signer_target=NOBODY, workers=0)
    assert (await refusal(alone, song)).code is grpc.StatusCode.UNAVAILABLE
    assert len(node.pinned) == 3
    assert node.options[0] == {
        "cid-version": "1", "raw-leaves": "true", "chunker": "size-1048576", "pin": "true",
    }  # fmt: skip
    gateway = await signed.open(kubo_url=url, workers=0)
    saved = (await save(gateway, song)).song
    assert len(node.options) == 3  # nothing was given twice
    assert sorted(node.pinned) == cids_of(saved)
    assert node.pinned[song.audio.cid] == await gateway.audio(song.id)
    assert saved.save.pin_state == PINNED


async def test_a_node_that_finds_other_cids_gets_no_song_minted(
    signed: Mesh, maker: Gateway, kubo: Any
) -> None:
    node, url = kubo
    node.other_cids = True
    gateway = await signed.open(kubo_url=url, workers=0)
    song = await mintable(maker)
    assert (await refusal(gateway, song)).reason == "PINNED_OTHERWISE"
    assert not (await gateway.get(song.id)).HasField("save")
    node.other_cids = False
    assert (await save(gateway, song)).song.save.pin_state == PINNED


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_a_node_that_refuses_is_told_apart_and_the_save_can_be_repeated(
    signed: Mesh, maker: Gateway, kubo: Any, status: int
) -> None:
    node, url = kubo
    node.status = status
    gateway = await signed.open(kubo_url=url, workers=0, pin_poll_s=0.05)
    song = await mintable(maker)
    error = await refusal(gateway, song)
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "PINNING_UNAVAILABLE")
    assert not (await gateway.get(song.id)).HasField("save")
    node.status, node.slow_s = 0, 0.2

    async def has_them() -> bool:
        return len(node.pinned) == 3

    await eventually(has_them)  # without being asked again
    assert (await save(gateway, song)).song.save.pin_state == PINNED


async def test_a_node_that_is_too_slow_is_not_waited_for(
    signed: Mesh, maker: Gateway, kubo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, url = kubo
    node.slow_s = 5.0
    monkeypatch.setattr(pinning, "TIMEOUT_S", 0.2)
    gateway = await signed.open(kubo_url=url, workers=0)
    error = await refusal(gateway, await mintable(maker))
    assert (error.reason, "no answer within" in error.message) == ("PINNING_UNAVAILABLE", True)


async def test_a_service_is_asked_before_the_permit_and_followed_behind_it(
    signed: Mesh, maker: Gateway, service: Any
) -> None:
    server, url = service
    gateway = await signed.open(**at_service(url))
    song = await mintable(maker)
    saved = (await save(gateway, song)).song
    assert saved.save.pin_state == QUEUED
    assert server.cids() == cids_of(saved)
    assert {tuple(pin["pin"]["origins"]) for pin in server.pins.values()} == {(ORIGIN,)}
    assert {pin["pin"]["name"].split(".")[0] for pin in server.pins.values()} == {song.id}
    server.become("pinning")
    await state_is(gateway, song, PINNING)
    next(iter(server.pins.values()))["status"] = "pinned"
    server.become("pinned")
    await state_is(gateway, song, PINNED)
    assert (await gateway.get(song.id)).revision > saved.revision
    over_http = (await gateway.http.get(f"/v1/songs/{song.id}")).json()["song"]
    assert over_http["save"]["pin_state"] == "PIN_STATE_PINNED"


async def test_what_a_service_fails_at_is_shown_and_asked_for_again(
    signed: Mesh, maker: Gateway, service: Any
) -> None:
    server, url = service
    server.begins = "failed"
    gateway = await signed.open(**at_service(url))
    song = await mintable(maker)
    assert (await save(gateway, song)).song.save.pin_state == pb.PIN_STATE_FAILED
    server.begins = "pinned"
    await state_is(gateway, song, PINNED)


async def test_what_a_service_has_forgotten_is_asked_for_anew(
    signed: Mesh, maker: Gateway, service: Any
) -> None:
    server, url = service
    gateway = await signed.open(**at_service(url))
    song = await mintable(maker)
    cids = cids_of((await save(gateway, song)).song)
    server.pins.clear()
    server.begins = "pinned"
    await state_is(gateway, song, PINNED)
    assert server.cids() == cids


async def test_a_request_whose_answer_was_lost_is_not_made_twice(
    signed: Mesh, maker: Gateway, service: Any
) -> None:
    server, url = service
    server.loses_answers = True
    gateway = await signed.open(**at_service(url))
    song = await mintable(maker)
    assert (await refusal(gateway, song)).reason == "PINNING_UNAVAILABLE"
    server.loses_answers = False
    saved = (await save(gateway, song)).song
    assert server.cids() == cids_of(saved)


async def test_a_refused_token_and_a_broken_service_are_no_fault_of_the_song(
    signed: Mesh, maker: Gateway, service: Any
) -> None:
    server, url = service
    song = await mintable(maker)
    gateway = await signed.open(**at_service(url, token="stolen and revoked"))
    error = await refusal(gateway, song)
    assert (error.reason, "401 UNAUTHORIZED" in error.message) == ("PINNING_UNAVAILABLE", True)
    assert not server.pins
    server.status = 500
    gateway = await signed.open(**at_service(url))
    assert (await refusal(gateway, song)).reason == "PINNING_UNAVAILABLE"
    server.status, server.other_cids = 0, True
    assert (await refusal(gateway, song)).reason == "PINNED_OTHERWISE"
    assert not (await gateway.get(song.id)).HasField("save")


async def test_a_service_is_asked_after_the_node_that_it_may_fetch_from(
    signed: Mesh, maker: Gateway, kubo: Any, service: Any
) -> None:
    (node, kubo_url), (server, url) = kubo, service
    node.status = 503
    gateway = await signed.open(kubo_url=kubo_url, **at_service(url))
    song = await mintable(maker)
    assert (await refusal(gateway, song)).reason == "PINNING_UNAVAILABLE"
    assert not server.pins
    node.status = 0
    saved = (await save(gateway, song)).song
    assert sorted(node.pinned) == server.cids() == cids_of(saved)
    assert saved.save.pin_state == QUEUED  # the least of both
    server.become("pinned")
    await state_is(gateway, song, PINNED)


async def test_songs_that_were_saved_before_are_brought_to_a_new_place(
    signed: Mesh, maker: Gateway, kubo: Any
) -> None:
    node, url = kubo
    saved = (await save(maker, await mintable(maker))).song
    await signed.open(kubo_url=url, workers=0, pin_poll_s=0.05)

    async def is_there() -> bool:
        return set(cids_of(saved)) <= set(node.pinned)

    await eventually(is_there)
    assert node.pinned[cids_of(saved)[0]]
    assert await pinned(maker, saved.save.metadata_uri) in node.pinned.values()


async def test_the_files_of_a_deleted_song_are_taken_away_there_too(
    signed: Mesh, maker: Gateway, kubo: Any, service: Any
) -> None:
    (node, kubo_url), (server, url) = kubo, service
    gateway = await signed.open(kubo_url=kubo_url, **at_service(url))
    song = await mintable(maker)
    async with open_database(signed.environment["database_url"], connections=1) as database:
        await database.value("UPDATE songs SET creator_address = $2 WHERE id = $1", song.id, STRANGER)
    assert (await refusal(gateway, song)).reason == "NOT_THE_CREATOR"  # pinned, and without a permit
    assert song.audio.cid in node.pinned
    assert song.audio.cid in server.cids()
    await gateway.grpc.DeleteSong(pb.DeleteSongRequest(song_id=song.id), timeout=CALL_S)

    async def are_gone() -> bool:
        return song.audio.cid not in node.pinned and song.audio.cid not in server.cids()

    await eventually(are_gone)


async def test_the_files_of_a_song_that_is_taken_down_are_not_kept_there_until_it_is_restored(
    signed: Mesh, maker: Gateway, kubo: Any
) -> None:
    node, url = kubo
    gateway = await signed.open(kubo_url=url, workers=0, pin_poll_s=0.05)
    saved = (await save(gateway, await mintable(maker))).song
    async with open_database(signed.environment["database_url"], connections=1) as database:
        assert await Administration(database).take_down(UUID(saved.id), "a voice that is not theirs")

        async def are_gone() -> bool:
            state = (await gateway.get(saved.id)).save.pin_state
            return not node.pinned and state == pb.PIN_STATE_UNSPECIFIED

        await eventually(are_gone)
        assert await Administration(database).restore(UUID(saved.id))
    await state_is(gateway, saved, PINNED)
    assert sorted(node.pinned) == cids_of(saved)


@pytest.mark.parametrize("half", [{"pinning_url": "https://pins.example"}, {"pinning_token": TOKEN}])
async def test_half_a_pinning_service_stops_the_start(signed: Mesh, half: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="pinning_url and pinning_token go together"):
        await signed.open(**half)
