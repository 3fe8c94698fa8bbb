"""A channel that goes on with a renewed certificate: a new channel inside for new calls, the old one drained.

gRPC reads a client's certificate once, when a channel is made. Knows no service and no certificate's content.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc

from services.common.tls import Identity, IdentityFiles


class _Generation:
    """One channel and the calls on it. Once retired it is closed when its last call has ended."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.closing: asyncio.Task[None] | None = None
        self._calls = 0
        self._retired = False

    def begin(self, call: Any) -> None:
        self._calls += 1
        call.add_done_callback(self._end)

    def retire(self) -> None:
        self._retired = True
        self._close_when_idle()

    def _end(self, _: Any) -> None:
        self._calls -= 1
        self._close_when_idle()

    def _close_when_idle(self) -> None:
        if self._retired and self._calls == 0 and self.closing is None:
            self.closing = asyncio.get_running_loop().create_task(self.channel.close())


class RenewingChannel(grpc.aio.Channel):
    """Looks at the files at every call, which costs microseconds; an idle channel has nothing to renew."""

    def __init__(self, files: IdentityFiles, open_: Callable[[Identity], grpc.aio.Channel]) -> None:
        self._files, self._open = files, open_
        self._current = _Generation(open_(files.identity))
        self._retired: list[_Generation] = []

    def generation(self) -> _Generation:
        """The channel for a call that begins now."""
        if (identity := self._files.renewed()) is not None:
            old, self._current = self._current, _Generation(self._open(identity))
            # Those that have drained are forgotten.
            self._retired = [g for g in self._retired if g.closing is None or not g.closing.done()]
            self._retired.append(old)
            old.retire()
        return self._current

    # What a stub asks for at its making and calls ever after.

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        return self._following(lambda channel: channel.unary_unary(*arguments, **options))

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        return self._following(lambda channel: channel.unary_stream(*arguments, **options))

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        return self._following(lambda channel: channel.stream_unary(*arguments, **options))

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        return self._following(lambda channel: channel.stream_stream(*arguments, **options))

    def _following(self, make: Callable[[grpc.aio.Channel], Any]) -> Callable[..., Any]:
        generation = self._current
        method = make(generation.channel)

        def begin(*arguments: Any, **options: Any) -> Any:
            nonlocal generation, method
            if (now := self.generation()) is not generation:
                generation, method = now, make(now.channel)
            call = method(*arguments, **options)
            generation.begin(call)
            return call

        return begin

    async def close(self, grace: float | None = None) -> None:
        await asyncio.gather(*(g.channel.close(grace) for g in (self._current, *self._retired)))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self.generation().channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._current.channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self.generation().channel.channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
