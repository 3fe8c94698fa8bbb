"""Saving and minting with the real signer: metadata, pins, permits and the transaction that mints."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
import rfc8785
from eth_abi.abi import decode
from eth_utils.crypto import keccak

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from deploy.local.postgres import Database
from services.common.cid import digest_of_raw_cid, raw_cid, unixfs_cid
from services.gateway.database import open_database
from services.gateway.minting.cover import cover_png
from tests.gateway.mesh import CALL_S, CREATOR, NOBODY, Gateway, Mesh, problem_of
from tests.gateway.pods import LINES, Script
from tests.gateway.saving import EIP712, PACKED, mint, mintable, pinned, real_signer, save, signed_mesh
from tests.signer.attested import CONTRACT, STRANGER

pytestmark = pytest.mark.asyncio(loop_scope="module")

PERMIT_LIFETIME_S = 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def signed(
    new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mesh]:
    """Permits are good for two seconds."""
    folder, database = tmp_path_factory.mktemp("saving"), new_database()
    with real_signer(database, folder, permit_lifetime_s=PERMIT_LIFETIME_S) as signer:
        async with signed_mesh(database, folder, signer) as opened:
            yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(signed: Mesh) -> Gateway:
    return await signed.open()


async def test_metadata_has_what_marketplaces_read_and_the_signer_checks(gateway: Gateway) -> None:
    song = await mintable(gateway, reveal_prompt=True, title="Rain", seed=7)
    saved = (await save(gateway, song)).song.save
    raw = await pinned(gateway, saved.metadata_uri)
    assert saved.metadata_uri == f"ipfs://{raw_cid(raw)}"
    document = json.loads(raw)
    assert raw == rfc8785.dumps(document)
    assert (document["name"], document["image"]) == ("Rain", saved.image_uri)
    assert document["animation_url"] == f"ipfs://{song.audio.cid}"
    assert document["audio_hash"] == f"0x{song.audio.sha256}"
    assert [a for a in document["attributes"] if "display_type" in a] == [
        {"trait_type": "BPM", "display_type": "number", "value": 84},
        {"trait_type": "Seed", "display_type": "number", "value": 7},
    ]
    assert "external_url" not in document  # nobody else could open it
    assert {a["trait_type"]: a["value"] for a in document["attributes"]} == {
        "Genre": "jazz hop",
        "Mood": "calm",
        "BPM": 84,
        "Key": "A minor",
        "Duration": "5.000 s",
        "Seed": 7,
        "Engine": "sketch (procedural, not AI)",
    }
    assert "made procedurally, without AI," in document["description"]
    assert document["lyrics"] == "[verse]\n" + "\n".join(LINES)
    assert document["provenance"]["payloadType"] == "application/vnd.in-toto+json"
    assert document["prompt"] == song.prompt


async def test_a_gateway_that_everyone_can_reach_is_named_for_listening(
    signed: Mesh, gateway: Gateway
) -> None:
    public = await signed.open(public_url="https://songs.example/", workers=0)
    song = await mintable(gateway)
    document = json.loads(await pinned(gateway, (await save(public, song)).song.save.metadata_uri))
    assert document["external_url"] == f"https://songs.example/ipfs/{song.audio.cid}"


async def test_an_edit_of_an_edit_is_saved_with_its_whole_chain(signed: Mesh, gateway: Gateway) -> None:
    songs = [await mintable(gateway)]
    for start_s in (1.0, 2.0):
        repaint = {"start_s": start_s, "end_s": start_s + 1}
        asked = pb.CreateSongRequest(source_song_id=songs[-1].id, repaint=repaint)
        song = (await gateway.grpc.CreateSong(asked, timeout=CALL_S)).song
        songs.append(await gateway.ended(song.id))
    saved = await save(gateway, songs[-1])
    document = json.loads(await pinned(gateway, saved.song.save.metadata_uri))
    traits = {a["trait_type"]: a["value"] for a in document["attributes"]}
    assert (traits["Task"], traits["Source"]) == ("repaint", f"0x{songs[-2].audio.sha256}")
    minting = await mint(gateway, songs[-1])
    assert (minting.token_id, minting.creator) == (f"0x{songs[-1].audio.sha256}", CREATOR)


async def test_a_chain_that_is_not_whole_gets_no_permit(signed: Mesh, gateway: Gateway) -> None:
    first, other = await mintable(gateway), await mintable(gateway)
    asked = pb.CreateSongRequest(source_song_id=first.id, repaint={"start_s": 1.0, "end_s": 2.0})
    song = await gateway.ended((await gateway.grpc.CreateSong(asked, timeout=CALL_S)).song.id)
    async with open_database(signed.environment["database_url"], connections=1) as database:
        await database.value("UPDATE songs SET source_song_id = $2 WHERE id = $1", song.id, other.id)
    error = await gateway.refusal("SaveSong", pb.SaveSongRequest(song_id=song.id))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_CHAIN_BROKEN")


async def test_a_prompt_stays_out_unless_it_was_revealed(gateway: Gateway) -> None:
    song = await mintable(gateway, instrumental=True, prompt="wedding waltz for Ingrid and Jonas, 90 BPM")
    raw = await pinned(gateway, (await save(gateway, song)).song.save.metadata_uri)
    assert song.prompt not in raw.decode()
    said = raw.decode().lower()
    assert not [w for w in ("wedding", "waltz", "ingrid", "jonas") if w in said]  # nor in the title
    assert "lyrics" not in json.loads(raw)


async def test_only_what_is_pinned_is_served_and_nothing_in_it_may_run(gateway: Gateway) -> None:
    song = await mintable(gateway)
    path = f"/ipfs/{song.audio.cid}"
    assert problem_of(await gateway.http.get(path))["reason"] == "NOT_PINNED"  # made, not saved
    saved = (await save(gateway, song)).song.save
    audio = await gateway.http.get(path)
    assert hashlib.sha256(audio.content).hexdigest() == song.audio.sha256
    cover = await gateway.http.get(saved.image_uri.replace("ipfs://", "/ipfs/"))
    assert unixfs_cid(cover.content) == saved.image_uri.removeprefix("ipfs://")
    assert cover.headers["content-type"] == "image/png"
    for answer in (audio, cover):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["access-control-allow-origin"] == "*"
    part = await gateway.http.get(path, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, audio.content[5:10])
    head = await gateway.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(song.audio.bytes)
    assert "immutable" in head.headers["cache-control"]
    known = await gateway.http.get(path, headers={"If-None-Match": f'"{song.audio.cid}"'})
    assert known.status_code == 304


async def test_a_saved_song_is_minted_by_this_transaction(gateway: Gateway) -> None:
    song = await mintable(gateway)
    saved = await save(gateway, song)
    minting = await mint(gateway, song)
    assert (minting.chain_id, minting.contract, minting.creator) == (31337, CONTRACT, CREATOR)
    assert minting.token_id == f"0x{song.audio.sha256}"
    assert minting.permit == saved.permit
    data = bytes.fromhex(minting.calldata[2:])
    assert data[:4] == keccak(f"mint({','.join(EIP712)})".encode())[:4]
    to, audio_hash, digest, deadline, signature = decode(EIP712, data[4:])
    assert to == CREATOR.lower()
    assert audio_hash.hex() == song.audio.sha256
    assert digest == digest_of_raw_cid(minting.metadata_uri.removeprefix("ipfs://"))
    assert deadline == saved.permit.deadline.seconds
    assert signature.hex() == saved.permit.signature[2:]
    over_http = (await gateway.http.get(f"/v1/songs/{song.id}/mint")).json()
    assert over_http["calldata"] == minting.calldata


async def test_a_packed_permit_is_minted_by_the_other_function(gateway: Gateway) -> None:
    song = await mintable(gateway)
    saved = await save(gateway, song, pb.PERMIT_FORMAT_PACKED)
    assert not saved.permit.HasField("deadline")
    data = bytes.fromhex((await mint(gateway, song)).calldata[2:])
    assert data[:4] == keccak(f"mint({','.join(PACKED)})".encode())[:4]
    uri, audio_hash, signature = decode(PACKED, data[4:])
    assert (uri, audio_hash.hex()) == (saved.song.save.metadata_uri, song.audio.sha256)
    assert signature.hex() == saved.permit.signature[2:]


async def test_saving_again_changes_nothing_and_an_expired_permit_is_renewed(gateway: Gateway) -> None:
    song = await mintable(gateway)
    first, *repeats = await asyncio.gather(*(save(gateway, song) for _ in range(4)))
    assert all(again.permit == first.permit for again in repeats)
    assert (await save(gateway, song)) == await save(gateway, song)
    await asyncio.sleep(max(0.0, first.permit.deadline.seconds - time.time()) + 0.05)
    request = pb.GetMintRequest(song_id=song.id)
    assert (await gateway.refusal("GetMint", request)).reason == "PERMIT_EXPIRED"
    renewed = await save(gateway, song)
    assert renewed.permit.deadline.seconds > first.permit.deadline.seconds
    assert renewed.song.save == first.song.save
    assert (await mint(gateway, song)).permit == renewed.permit


async def test_what_cannot_be_saved_or_minted_is_refused_with_the_reason(
    signed: Mesh, gateway: Gateway
) -> None:
    def saving(song: pb.Song) -> pb.SaveSongRequest:
        return pb.SaveSongRequest(song_id=song.id)

    idle = await mintable(gateway)
    assert (await gateway.refusal("GetMint", pb.GetMintRequest(song_id=idle.id))).reason == "NOT_SAVED"
    nobodys = await mintable(gateway, creator_address="")
    assert (await gateway.refusal("SaveSong", saving(nobodys))).reason == "NOT_MINTABLE"
    script = Script(pause_after=1)
    signed.music.follow(script)
    unfinished = await gateway.create()
    await script.paused.wait()
    assert (await gateway.refusal("SaveSong", saving(unfinished))).reason == "SONG_NOT_READY"
    await gateway.grpc.CancelSong(pb.CancelSongRequest(song_id=unfinished.id), timeout=CALL_S)
    assert (await gateway.refusal("SaveSong", saving(unfinished))).reason == "SONG_CANCELLED"
    saved = await mintable(gateway)
    await save(gateway, saved)
    other = pb.SaveSongRequest(song_id=saved.id, format=pb.PERMIT_FORMAT_PACKED)
    error = await gateway.refusal("SaveSong", other)
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_PERMITTED")


async def test_the_signers_own_refusal_reaches_the_creator(signed: Mesh, gateway: Gateway) -> None:
    """A pod that attests another wallet than the song was made for."""
    song = await gateway.create(creator_address=CREATOR)
    song = await gateway.ended(song.id)
    async with open_database(signed.environment["database_url"], connections=1) as database:
        await database.value("UPDATE songs SET creator_address = $2 WHERE id = $1", song.id, STRANGER)
    error = await gateway.refusal("SaveSong", pb.SaveSongRequest(song_id=song.id))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_THE_CREATOR")


async def test_a_signer_that_is_down_is_told_apart_and_the_save_can_be_repeated(
    signed: Mesh, gateway: Gateway
) -> None:
    alone = await signed.open(signer_target=NOBODY, workers=0)
    song = await mintable(gateway)
    error = await alone.refusal("SaveSong", pb.SaveSongRequest(song_id=song.id))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "SIGNER_UNAVAILABLE")
    assert NOBODY not in str(error)  # where the signer is, is nobody's business
    assert not (await gateway.get(song.id)).HasField("save")
    saved = await save(gateway, song)
    assert saved.song.HasField("save")


async def test_without_the_contracts_abi_minting_says_so(
    signed: Mesh, gateway: Gateway, tmp_path: Path
) -> None:
    unaware = await signed.open(contract_abi_file=tmp_path / "none.json", workers=0)
    song = await mintable(gateway)
    await save(gateway, song)
    error = await unaware.refusal("GetMint", pb.GetMintRequest(song_id=song.id))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "CONTRACT_UNKNOWN")


async def test_a_cover_is_drawn_from_the_song_alone() -> None:
    cover = cover_png(7, "jazz hop", b"a" * 32)
    assert cover == cover_png(7, "jazz hop", b"a" * 32)
    assert len({cover, cover_png(8, "jazz hop", b"a" * 32), cover_png(7, "folk", b"a" * 32)}) == 3
