"""Batches: several prompts, each several times, asked for and followed as one."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Unpack

from acesteps.aio.calls import AsyncCalls
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.orders import SongFields, new_request_id, song_order


class AsyncBatches(AsyncCalls):
    """Every method raises AcestepsError."""

    async def create_batch(
        self,
        prompts: Sequence[str] = (),
        *,
        variations: int = 1,
        request_id: str = "",
        **fields: Unpack[SongFields],
    ) -> pb.CreateBatchResponse:
        """Put `variations` songs of each prompt into the queue, all of them or none.

        `fields` are what they have in common. Without prompts, they are edits of `source_song_id`.
        """
        request = pb.CreateBatchRequest(
            request_id=request_id or new_request_id(),
            prompts=prompts,
            variations=variations,
            song=song_order("", "", **fields),
        )
        return await self._call(self._stub.CreateBatch, request)

    async def get_batch(self, batch_id: str) -> pb.Batch:
        return (await self._call(self._stub.GetBatch, pb.GetBatchRequest(batch_id=batch_id))).batch

    async def watch_batch(
        self, batch_id: str, *, cursor: str = ""
    ) -> AsyncGenerator[pb.WatchBatchResponse, None]:
        """Every song of the batch as it is, then after every change, until all have ended.

        `cursor` is that of the last answer seen; a broken stream goes on by itself.
        """

        def request() -> pb.WatchBatchRequest:
            return pb.WatchBatchRequest(batch_id=batch_id, cursor=cursor)

        async with aclosing(self._follow(self._stub.WatchBatch, request)) as answers:
            async for answer in answers:
                cursor = answer.cursor
                yield answer

    async def cancel_batch(self, batch_id: str) -> pb.Batch:
        """Stop every song of the batch that has not ended."""
        return (await self._call(self._stub.CancelBatch, pb.CancelBatchRequest(batch_id=batch_id))).batch
