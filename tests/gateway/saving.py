"""Meshes with a real signer, and what tests of saving do over and over."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from deploy.local.postgres import Database
from tests.gateway.mesh import CALL_S, CREATOR, Gateway, Mesh, mesh
from tests.signer.process import SignerProcess, write_files

PACKED = ("string", "bytes32", "bytes")
EIP712 = ("address", "bytes32", "bytes32", "uint256", "bytes")


@contextmanager
def real_signer(database: Database, folder: Path, *, permit_lifetime_s: int) -> Iterator[dict[str, Any]]:
    """What a gateway needs to know of a real signer, for the development chain."""
    settings = write_files(folder) | {
        "SIGNER_DATABASE_URL": database.signer_dsn,
        "SIGNER_PERMIT_LIFETIME_S": str(permit_lifetime_s),
    }
    abi = folder / "SongNFT.json"
    abi.write_text(json.dumps({"abi": [_function(inputs) for inputs in (PACKED, EIP712)]}))
    process = SignerProcess(settings, folder / "signer.log")
    process.start()
    try:
        yield {"signer_target": f"127.0.0.1:{process.port}", "contract_abi_file": abi}
    finally:
        process.kill()


@asynccontextmanager
async def signed_mesh(database: Database, folder: Path, signer: Mapping[str, Any]) -> AsyncIterator[Mesh]:
    """Pods beside a signer."""
    async with mesh(database, folder) as opened:
        yield Mesh(opened.music, opened.lyrics, {**opened.environment, **signer}, opened.stack)


def _function(inputs: tuple[str, ...]) -> dict[str, object]:
    """As the compiler writes it."""
    named = [{"name": f"a{n}", "type": kind, "internalType": kind} for n, kind in enumerate(inputs)]
    return {
        "type": "function",
        "name": "mint",
        "inputs": named,
        "outputs": [],
        "stateMutability": "nonpayable",
    }


async def mintable(gateway: Gateway, **fields: object) -> pb.Song:
    song = await gateway.create(**{"creator_address": CREATOR, "instrumental": False} | fields)
    return await gateway.ended(song.id)


async def save(
    gateway: Gateway, song: pb.Song, format_: int = pb.PERMIT_FORMAT_EIP712
) -> pb.SaveSongResponse:
    request = pb.SaveSongRequest(song_id=song.id)
    request.format = format_  # an enum's number
    return await gateway.grpc.SaveSong(request, timeout=CALL_S)


async def mint(gateway: Gateway, song: pb.Song) -> pb.GetMintResponse:
    return await gateway.grpc.GetMint(pb.GetMintRequest(song_id=song.id), timeout=CALL_S)


async def pinned(gateway: Gateway, uri: str) -> bytes:
    answer = await gateway.http.get(uri.replace("ipfs://", "/ipfs/"))
    assert answer.status_code == 200
    return answer.content
