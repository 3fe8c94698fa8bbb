"""Permits of the real signer process on a real chain: each mints its own song, once, where it belongs."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from web3 import Web3
from web3.logs import DISCARD

from acesteps.signer.v1 import signer_service_pb2 as pb
from acesteps.signer.v1 import signer_service_pb2_grpc as rpc
from deploy.local.chain import Chain
from deploy.local.contract import ChainError, call_rpc, deploy_song_nft, development_accounts, grant_roles
from deploy.local.postgres import Database
from services.common.cid import raw_cid
from tests.contracts.songs import Permit, Songs, at
from tests.signer.attested import request_for, statement
from tests.signer.process import SignerProcess, write_files

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
OTHER_CHAIN_ID = 1337
ZERO_ADDRESS = "0x" + "00" * 20
ROLES = {"eip712": "EIP712_SIGNER_ROLE", "packed": "PACKED_SIGNER_ROLE"}
FORMATS = {"eip712": pb.PERMIT_FORMAT_EIP712, "packed": pb.PERMIT_FORMAT_PACKED}


@dataclass(frozen=True)
class SignedSong:
    """What the signer was asked for, and its answer."""

    request: pb.SignMintPermitRequest
    answer: pb.SignMintPermitResponse

    @property
    def audio_hash(self) -> bytes:
        return self.request.audio_hash

    @property
    def deadline(self) -> int:
        return self.answer.deadline.seconds

    def mint(self, songs: Songs, signature: bytes | None = None) -> Any:
        """The call that brings it, with a signature other than the signer's if one is given."""
        signature = self.answer.signature if signature is None else signature
        if self.request.format == pb.PERMIT_FORMAT_PACKED:
            return songs.mint_packed(self.request.metadata_uri, self.audio_hash, signature)
        permit = Permit(self.request.to, self.audio_hash, self.answer.metadata_digest, self.deadline)
        return songs.mint(permit, signature)


@dataclass(frozen=True)
class Mesh:
    """A contract and the signer process that it trusts."""

    songs: Songs
    process: SignerProcess
    signers: dict[str, list[str]]  # role -> addresses

    async def signed(self, kind: str = "eip712") -> SignedSong:
        request = request_for(statement(), format=FORMATS[kind], contract=self.songs.contract.address)
        async with self.process.client() as client:
            return SignedSong(request, await client.permit(request))


@pytest.fixture(scope="module")
def mesh(
    anvil: Chain,
    w3: Web3,
    new_database: Callable[[], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mesh]:
    admin, creator, stranger = development_accounts(anvil.rpc_url)[:3]
    contract = deploy_song_nft(anvil.rpc_url, admin)
    folder = tmp_path_factory.mktemp("trusted_signer")
    settings = write_files(folder)
    settings |= {"SIGNER_DATABASE_URL": new_database().signer_dsn, "SIGNER_CONTRACT": contract}
    with SignerProcess(settings, folder / "log").running() as process:
        with grpc.insecure_channel(f"127.0.0.1:{process.port}") as channel:
            stub = rpc.SignerServiceStub(channel)
            described = stub.DescribeSigner(pb.DescribeSignerRequest(), timeout=10.0)
        signers = {ROLES["eip712"]: [described.eip712_signer], ROLES["packed"]: [described.packed_signer]}
        grant_roles(anvil.rpc_url, admin, contract, signers)
        # The songs' own two keys hold no role here: permits come from the process.
        songs = Songs(w3, at(w3, contract), admin, creator, stranger, Account.create(), Account.create())
        yield Mesh(songs, process, signers)


@pytest.fixture(params=list(FORMATS))
async def song(mesh: Mesh, request: pytest.FixtureRequest) -> SignedSong:
    return await mesh.signed(request.param)


def test_it_mints_the_song_with_the_metadata_that_python_names(mesh: Mesh, song: SignedSong) -> None:
    receipt = mesh.songs.send(song.mint(mesh.songs))
    token = int.from_bytes(song.audio_hash)
    assert mesh.songs.contract.functions.ownerOf(token).call() == song.request.to
    uri = mesh.songs.contract.functions.tokenURI(token).call()
    assert uri == f"ipfs://{raw_cid(song.request.metadata)}"
    (minted,) = mesh.songs.contract.events.SongMinted().process_receipt(receipt, errors=DISCARD)
    assert minted["args"] == {"tokenId": token, "signer": song.answer.signer}


def test_it_does_not_mint_twice_not_even_after_a_sale(mesh: Mesh, song: SignedSong) -> None:
    songs = mesh.songs
    songs.send(song.mint(songs))
    assert songs.refusal(song.mint(songs)) == ("SongAlreadyMinted", (song.audio_hash, songs.creator.lower()))
    sale = songs.contract.functions.transferFrom(
        songs.creator, songs.stranger, int.from_bytes(song.audio_hash)
    )
    songs.send(sale)
    assert songs.refusal(song.mint(songs)) == ("SongAlreadyMinted", (song.audio_hash, songs.stranger.lower()))


async def test_it_is_for_its_contract_only(mesh: Mesh, anvil: Chain) -> None:
    song = await mesh.signed()
    other = deploy_song_nft(anvil.rpc_url, mesh.songs.admin)
    grant_roles(anvil.rpc_url, mesh.songs.admin, other, mesh.signers)
    there = dataclasses.replace(mesh.songs, contract=at(mesh.songs.w3, other))
    assert there.refusal(song.mint(there))[0] == "SignerNotTrusted"


async def test_it_is_for_its_chain_only(mesh: Mesh, anvil: Chain) -> None:
    song = await mesh.signed()
    call_rpc(anvil.rpc_url, "anvil_setChainId", OTHER_CHAIN_ID)  # as after a fork of the chain
    try:
        refusal = mesh.songs.refusal(song.mint(mesh.songs))
    finally:
        call_rpc(anvil.rpc_url, "anvil_setChainId", anvil.chain_id)
    assert refusal[0] == "SignerNotTrusted"
    mesh.songs.send(song.mint(mesh.songs))


async def test_it_is_good_until_its_deadline_and_not_a_second_longer(mesh: Mesh, anvil: Chain) -> None:
    song = await mesh.signed()
    call = song.mint(mesh.songs).build_transaction({"from": mesh.songs.stranger, "gas": 200_000})

    def bring(unix_s: int) -> None:
        message = {"from": call["from"], "to": call["to"], "data": call["data"]}
        call_rpc(anvil.rpc_url, "eth_call", message, "latest", {}, {"time": hex(unix_s)})

    bring(song.deadline)
    with pytest.raises(ChainError, match=keccak(text="PermitExpired(uint256)")[:4].hex()):
        bring(song.deadline + 1)


def test_a_signature_in_another_form_is_refused(mesh: Mesh, song: SignedSong) -> None:
    signature, songs = song.answer.signature, mesh.songs
    r, s, v = signature[:32], int.from_bytes(signature[32:64]), signature[64]
    high_s = (SECP256K1_ORDER - s).to_bytes(32)
    compact = r + (s | (v - 27) << 255).to_bytes(32)  # EIP-2098
    assert songs.refusal(song.mint(songs, r + high_s + bytes([55 - v]))) == (
        "ECDSAInvalidSignatureS",
        (high_s,),
    )
    for other in (compact, b"", signature[:-1], signature + b"\0", signature * 2):
        assert songs.refusal(song.mint(songs, other)) == ("ECDSAInvalidSignatureLength", (len(other),))
    assert songs.refusal(song.mint(songs, signature[:64] + bytes([v - 27]))) == ("ECDSAInvalidSignature", ())


def test_a_signature_with_any_bit_flipped_is_refused(mesh: Mesh, song: SignedSong) -> None:
    for bit in range(0, 65 * 8, 13):
        flipped = bytearray(song.answer.signature)
        flipped[bit // 8] ^= 1 << bit % 8
        name, _ = mesh.songs.refusal(song.mint(mesh.songs, bytes(flipped)))
        assert name in ("SignerNotTrusted", "ECDSAInvalidSignature", "ECDSAInvalidSignatureS")


async def test_who_may_bring_it_is_the_formats_rule(mesh: Mesh) -> None:
    songs = mesh.songs
    packed, relayed = await mesh.signed("packed"), await mesh.signed("eip712")
    assert songs.refusal(packed.mint(songs), sender=songs.stranger)[0] == "SignerNotTrusted"
    songs.send(relayed.mint(songs), sender=songs.stranger)
    assert songs.contract.functions.ownerOf(int.from_bytes(relayed.audio_hash)).call() == songs.creator


async def test_a_permit_turned_to_another_receiver_is_refused(mesh: Mesh) -> None:
    song = await mesh.signed()
    for thief in (mesh.songs.stranger, ZERO_ADDRESS):
        turned = Permit(thief, song.audio_hash, song.answer.metadata_digest, song.deadline)
        assert mesh.songs.refusal(mesh.songs.mint(turned, song.answer.signature))[0] == "SignerNotTrusted"


def test_a_pause_stops_it_until_it_is_lifted(mesh: Mesh, song: SignedSong) -> None:
    songs = mesh.songs
    songs.send(songs.contract.functions.pause(), sender=songs.admin)
    try:
        assert songs.refusal(song.mint(songs)) == ("EnforcedPause", ())
    finally:
        songs.send(songs.contract.functions.unpause(), sender=songs.admin)
    songs.send(song.mint(songs))


def test_revoking_the_signers_role_voids_it(mesh: Mesh, song: SignedSong, anvil: Chain) -> None:
    songs = mesh.songs
    signer = song.answer.signer
    name = next(role for role, accounts in mesh.signers.items() if accounts == [signer])
    role = keccak(text=name)
    songs.send(songs.contract.functions.revokeRole(role, signer), sender=songs.admin)
    try:
        assert songs.refusal(song.mint(songs)) == ("SignerNotTrusted", (signer.lower(), role))
    finally:
        grant_roles(anvil.rpc_url, songs.admin, songs.contract.address, mesh.signers)
    songs.send(song.mint(songs))
