"""Saving a song: its metadata fixed, its files pinned, and the signer's permit to mint it.

Knows the signer's interface. Every step can be repeated: a save that broke off goes on where it was.
"""

import asyncio
import hashlib
from datetime import UTC, datetime

import grpc

from acesteps.signer.v1 import signer_service_pb2 as signer_pb
from acesteps.signer.v1.signer_service_pb2_grpc import SignerServiceStub
from services.common.cid import raw_cid, unixfs_cid
from services.common.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    ResourceExhausted,
    ServiceError,
    Unavailable,
    error_from_rpc,
)
from services.common.tracing import span
from services.gateway.audio.download import require_done
from services.gateway.lookup import song_not_found
from services.gateway.messages import ipfs_uri
from services.gateway.minting.cover import cover_png
from services.gateway.minting.keeping import Keeper
from services.gateway.minting.metadata import metadata_json
from services.gateway.models import Permit, PermitFormat, Pin, Song
from services.gateway.objects import Objects, key_of
from services.gateway.store import Store

TIMEOUT_S, AGAIN_IN_S = 20.0, 2.0

_FORMATS = {
    PermitFormat.EIP712: signer_pb.PERMIT_FORMAT_EIP712,
    PermitFormat.PACKED: signer_pb.PERMIT_FORMAT_PACKED,
}


class Saver:
    def __init__(
        self,
        store: Store,
        objects: Objects,
        keeper: Keeper,
        signer: grpc.aio.Channel,
        *,
        public_url: str = "",
    ) -> None:
        self._store, self._objects, self._keeper = store, objects, keeper
        self._public_url = public_url
        self._signer = SignerServiceStub(signer)

    async def save(self, song: Song, permit_format: PermitFormat) -> Song:
        """The song, saved, with a permit of this format that is good now.

        Raises:
            FailedPrecondition: SONG_NOT_READY, NOT_MINTABLE, or the rule by which the signer refuses.
            AlreadyExists: ALREADY_PERMITTED, the song has a permit of the other format.
            Unavailable: the signer, the database, the object store or a place that pins is away: repeat.
            Internal: PINNED_OTHERWISE, a place that pins computes other CIDs.
        """
        require_done(song)
        if not song.creator_address:
            raise FailedPrecondition("NOT_MINTABLE", "the song was made without a creator address")
        if _has_permit(song, permit_format):
            return song
        if not song.metadata_cid:
            with span("pin"):
                await self._pin(song)
            song = await self._reread(song)
        # Before there is a permit: what is minted has to be found.
        await self._keeper.keep(song)
        if not await self._store.ask_permit(song.id):
            raise song_not_found(str(song.id))
        try:
            permit = await self._permit(song, permit_format)
        except FailedPrecondition:  # by the signer's rule: none was given
            await self._store.no_permit(song.id)
            raise
        await self._store.save(song.id, permit)
        return await self._reread(song)

    async def _pin(self, song: Song) -> None:
        """Puts cover and metadata beside the audio, and fixes them for good."""
        if song.audio_sha256 is None:
            raise Internal("RESULT_MISSING", "the song has no result")
        cover = await asyncio.to_thread(cover_png, song.seed, song.genre, song.audio_sha256)
        image_cid = unixfs_cid(cover)
        metadata = metadata_json(song, image_cid, self._public_url)
        metadata_cid = raw_cid(metadata)
        cover_key, metadata_key = await asyncio.gather(
            *(self._objects.put(data, hashlib.sha256(data).digest()) for data in (cover, metadata))
        )
        pins = (
            Pin(song.audio_cid, key_of(song.audio_sha256), song.media_type, song.audio_bytes),
            Pin(image_cid, cover_key, "image/png", len(cover)),
            Pin(metadata_cid, metadata_key, "application/json", len(metadata)),
        )
        await self._store.pin(song.id, metadata_cid, image_cid, pins)

    async def _permit(self, song: Song, permit_format: PermitFormat) -> Permit:
        pin = await self._store.pinned(song.metadata_cid)
        if pin is None or song.audio_sha256 is None:
            raise Internal("PIN_MISSING", "the song's metadata is not pinned")
        metadata = await self._objects.read_all(pin.object_key, 0, pin.bytes)
        try:
            scope = await self._signer.DescribeSigner(signer_pb.DescribeSignerRequest(), timeout=TIMEOUT_S)
            request = signer_pb.SignMintPermitRequest(
                envelopes=await self._store.chain(song.id),
                to=song.creator_address,
                metadata_uri=ipfs_uri(song.metadata_cid),
                metadata=metadata,
                audio_hash=song.audio_sha256,
                format=_FORMATS[permit_format],
                chain_id=scope.chain_id,
                contract=scope.contract,
            )
            signed = await self._signer.SignMintPermit(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise _for_our_caller(error_from_rpc(error)) from error
        return Permit(
            permit_format=permit_format,
            permit_signature=signed.signature,
            permit_signer=signed.signer,
            permit_deadline=signed.deadline.ToDatetime(UTC) if signed.HasField("deadline") else None,
            chain_id=scope.chain_id,
            contract=scope.contract,
        )

    async def _reread(self, song: Song) -> Song:
        fresh = await self._store.get(song.account_id, song.id)
        if fresh is None:
            raise song_not_found(str(song.id))
        return fresh


def permit_has_expired(song: Song) -> bool:
    return song.permit_deadline is not None and song.permit_deadline <= datetime.now(UTC)


def _has_permit(song: Song, permit_format: PermitFormat) -> bool:
    given = song.saved_at is not None and song.permit_format == permit_format
    return given and not permit_has_expired(song)


def _for_our_caller(error: ServiceError) -> ServiceError:
    """The signer's refusals are the creator's business; its quarrels with us are not."""
    away = isinstance(error, Unavailable) and error.reason == grpc.StatusCode.UNAVAILABLE.name
    if away or isinstance(error, DeadlineExceeded):  # gRPC's own words would name addresses of the mesh
        text = "the signer does not answer; repeat later"
        return Unavailable("SIGNER_UNAVAILABLE", text, retry_delay_s=AGAIN_IN_S)
    if isinstance(error, FailedPrecondition | AlreadyExists | ResourceExhausted | Unavailable):
        return error
    return Internal("SIGNER_REFUSED", f"the signer refused the gateway's request: {error.reason}")
