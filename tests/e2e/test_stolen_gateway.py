"""A drill: somebody has the gateway, and all that it can reach. What they get of music, signer and chain.

Every step goes to the real services, past the gateway, with what a gateway has: its connections, other
people's songs with their envelopes, and the permits that it saw.
"""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import grpc
import pytest

from acesteps.music.v1 import music_service_pb2 as music_pb
from acesteps.music.v1.music_service_pb2_grpc import MusicServiceStub
from acesteps.signer.v1 import signer_service_pb2 as pb
from acesteps.signer.v1.signer_service_pb2_grpc import SignerServiceStub
from acesteps.wallet import MintFailed
from clients.demo.wallet import Wallet
from deploy.local.stack import Stack
from services.common.channels import open_channel
from services.common.cid import raw_cid, unixfs_cid
from services.common.errors import error_from_rpc
from services.common.provenance import AttestationKey, SongStatement, attest
from services.common.settings import ServiceSettings
from tests.gateway.pods import statement_of

CALL_S = 60.0


@dataclass(frozen=True)
class Stolen:
    """A song as a gateway holds it."""

    audio: bytes
    envelope: bytes

    @property
    def statement(self) -> SongStatement:
        return statement_of(self.envelope)


@dataclass(frozen=True)
class Thief:
    """Whoever holds the gateway."""

    music: Any
    signer: Any
    scope: pb.DescribeSignerResponse

    async def order(self, creator: str) -> Stolen:
        """A real song, in anybody's name: a gateway can have as many made as it likes."""
        spec = music_pb.SongSpec(
            song_id=str(uuid4()),
            prompt="calm piano",
            instrumental=True,
            duration_s=5,
            creator_address=creator,
        )
        call, audio, envelope = self.music.GenerateSong(timeout=CALL_S), b"", b""
        await call.write(music_pb.GenerateSongRequest(spec=spec))
        await call.done_writing()
        async for response in call:
            audio += response.audio.data
            envelope = response.result.envelope or envelope
        return Stolen(audio, envelope)

    async def permit(self, song: Stolen, **changes: Any) -> pb.SignMintPermitResponse:
        """What a gateway asks for, right in everything but `changes`."""
        said = song.statement
        document = changes.pop("metadata", metadata(said))
        request = {
            "envelopes": [song.envelope],
            "to": said.creator_address,
            "metadata_uri": f"ipfs://{raw_cid(document)}",
            "metadata": document,
            "audio_hash": said.audio_sha256,
            "format": pb.PERMIT_FORMAT_EIP712,
            "chain_id": self.scope.chain_id,
            "contract": self.scope.contract,
        }
        return await self.signer.SignMintPermit(pb.SignMintPermitRequest(**request | changes), timeout=CALL_S)

    async def refused(self, song: Stolen, **changes: Any) -> str:
        """The reason."""
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await self.permit(song, **changes)
        return error_from_rpc(error.value).reason


def metadata(said: SongStatement, **changes: str) -> bytes:
    fields = {
        "name": "Mine now",
        "audio_hash": f"0x{said.audio_sha256.hex()}",
        "animation_url": f"ipfs://{said.audio_cid}",
    }
    return json.dumps(fields | changes).encode()


@pytest.fixture
async def thief(stack: Stack) -> AsyncIterator[Thief]:
    settings = ServiceSettings()
    async with (
        open_channel(stack.targets["music"], settings) as music,
        open_channel(stack.targets["signer"], settings) as signer,
    ):
        stub = SignerServiceStub(signer)
        scope = await stub.DescribeSigner(pb.DescribeSignerRequest(), timeout=CALL_S)
        yield Thief(MusicServiceStub(music), stub, scope)


@pytest.fixture
async def wallets(stack: Stack) -> AsyncIterator[tuple[Wallet, Wallet]]:
    """(a creator's, the thief's), both with money."""
    both = Wallet(stack.rpc_url), Wallet(stack.rpc_url)
    for wallet in both:
        await wallet.fund()
    yield both
    for wallet in both:
        await wallet.close()


async def test_a_creators_song_is_not_permitted_to_the_thief(thief: Thief, wallets: Any) -> None:
    creator, own = wallets
    song = await thief.order(creator.address)
    assert await thief.refused(song, to=own.address) == "NOT_THE_CREATOR"
    # nor by putting another name into what the pod has signed
    payload = json.loads(song.envelope)
    said = base64.b64decode(payload["payload"]).replace(creator.address.encode(), own.address.encode())
    payload["payload"] = base64.b64encode(said).decode()
    forged = Stolen(song.audio, json.dumps(payload).encode())
    assert await thief.refused(forged) == "ATTESTATION_INVALID"


async def test_an_upload_is_not_permitted(thief: Thief, wallets: Any) -> None:
    _, own = wallets
    song = await thief.order(own.address)
    upload = b"somebody else's recording" * 1000
    digest, cid = hashlib.sha256(upload).digest(), unixfs_cid(upload)
    # under the word for a real song
    named = metadata(song.statement, audio_hash=f"0x{digest.hex()}", animation_url=f"ipfs://{cid}")
    assert await thief.refused(song, audio_hash=digest, metadata=named) == "HASH_MISMATCH"
    assert await thief.refused(song, metadata=named) == "METADATA_MISMATCH"
    # under the word of a pod of the thief's own
    said = replace(song.statement, audio_sha256=digest, audio_cid=cid, audio_bytes=len(upload))
    own_pod = Stolen(upload, attest(said, AttestationKey.new()))
    assert await thief.refused(own_pod) == "KEY_UNKNOWN"


async def test_a_song_has_one_permit_and_only_for_this_contract(thief: Thief, wallets: Any) -> None:
    _, own = wallets
    song = await thief.order(own.address)
    first = await thief.permit(song)
    assert (await thief.permit(song)).signature == first.signature  # the same again
    other = metadata(song.statement, name="Another name")
    assert await thief.refused(song, metadata=other) == "ALREADY_PERMITTED"
    elsewhere = await thief.order(own.address)
    assert await thief.refused(elsewhere, chain_id=1) == "CHAIN_NOT_ALLOWED"
    assert await thief.refused(elsewhere, contract=own.address) == "CHAIN_NOT_ALLOWED"


async def test_a_creators_permit_mints_to_the_creator_whoever_brings_it(
    stack: Stack, artist: Any, wallets: Any, out: Any
) -> None:
    creator, own = wallets
    made = await artist.make(
        prompt="calm piano", instrumental=True, duration_s=5, creator_address=creator.address
    )
    await artist.save(made.id)
    order = await artist.mint_order(made.id)
    minted = await own.mint(order)
    assert minted.owner == creator.address
    with pytest.raises(MintFailed):  # once
        await creator.mint(order)
