"""Saving a song, the transaction that mints it, and what is pinned: the use cases behind both faces.

Knows no transport.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import FailedPrecondition
from services.common.tracing import link
from services.gateway.audio.download import Download
from services.gateway.lookup import PERMIT_FORMATS, chosen, song_of_account
from services.gateway.messages import ipfs_uri, permit_message, song_message
from services.gateway.minting.mint import MintFunctions
from services.gateway.minting.saving import Saver, permit_has_expired
from services.gateway.models import Account, Scope
from services.gateway.objects import Objects
from services.gateway.store import Store

# CIDv1 in lower base32, as all of ours are
_CID = re.compile(r"b[a-z2-7]{1,128}", re.ASCII)


class Minting:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), and NotFound (SONG_NOT_FOUND)."""

    def __init__(self, store: Store, objects: Objects, saver: Saver, abi_file: Path) -> None:
        self._store, self._objects, self._saver, self._abi_file = store, objects, saver, abi_file

    async def save(self, account: Account, request: pb.SaveSongRequest) -> pb.SaveSongResponse:
        account.require(Scope.MINT)
        permit_format = chosen(request.format, PERMIT_FORMATS, "EIP712 or PACKED")
        song = await song_of_account(self._store, account, request.song_id)
        link(song.traceparent)
        song = await self._saver.save(song, permit_format)
        return pb.SaveSongResponse(song=song_message(song), permit=permit_message(song))

    async def mint(self, account: Account, request: pb.GetMintRequest) -> pb.GetMintResponse:
        account.require(Scope.MINT)
        song = await song_of_account(self._store, account, request.song_id)
        if song.saved_at is None:
            raise FailedPrecondition("NOT_SAVED", "the song is not saved; save it first")
        if permit_has_expired(song):
            raise FailedPrecondition("PERMIT_EXPIRED", "the permit has expired; save the song again")
        functions = await asyncio.to_thread(MintFunctions.load, self._abi_file)
        return pb.GetMintResponse(
            chain_id=song.chain_id,
            contract=song.contract,
            calldata=f"0x{functions.calldata(song).hex()}",
            creator=song.creator_address,
            token_id=f"0x{(song.audio_sha256 or b'').hex()}",
            metadata_uri=ipfs_uri(song.metadata_cid),
            permit=permit_message(song),
        )

    async def pinned(self, cid: str) -> Download | None:
        """A pinned file, for everyone: what is pinned is public."""
        pin = await self._store.pinned(cid) if _CID.fullmatch(cid) else None
        if pin is None:
            return None

        def read(start: int, end: int) -> AsyncIterator[bytes]:
            return self._objects.read(pin.object_key, start, end)

        return Download(pin.media_type, pin.cid, pin.bytes, read)
