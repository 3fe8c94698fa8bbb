"""The engine process, seen from the front: starts it, hands it songs, notices its end and starts it again.

Everything here runs on the event loop and never blocks it. Knows no gRPC and no music.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

from opentelemetry import trace

from services.common.errors import Cancelled as CancelledSong
from services.common.errors import Internal, InvalidField, ResourceExhausted, ServiceError, Unavailable
from services.common.tracing import traceparent_of
from services.music.engine import DeviceMemory, EngineInfo, Progress
from services.music.measuring import ENGINE_RESTARTS, GPU_MEMORY_BYTES
from services.music.production import Output, Produced, SongJob, SourceFiles
from services.music.registry import EngineChoice
from services.music.wire import (
    LENGTHS,
    Cancel,
    Cancelled,
    Failed,
    Message,
    Ready,
    Refused,
    Render,
    decode,
    encode,
)

_log = logging.getLogger(__name__)

# What a slot may hold back on this side; the socket holds about as much again, then the engine waits.
_BUFFER_BYTES = 128 * 1024
_FIRST_RESTART_S, _SLOWEST_RESTART_S = 0.2, 10.0
_STOP_S = 2.0


@dataclass(eq=False)
class _Slot:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    eta_s: float = 0.0

    async def receive(self) -> Message:
        """Raises asyncio.IncompleteReadError or ConnectionError when the engine process is gone."""
        head, body = LENGTHS.unpack(await self.reader.readexactly(LENGTHS.size))
        return decode(await self.reader.readexactly(head), await self.reader.readexactly(body))

    def send(self, message: Message) -> None:
        self.writer.write(encode(message))


@dataclass(eq=False)
class _Generation:
    """One life of the engine process. A slot never outlives it."""

    process: asyncio.subprocess.Process
    control: _Slot
    slots: Sequence[_Slot]
    idle: list[_Slot] = field(default_factory=list)
    info: EngineInfo | None = None


class EngineHost:
    def __init__(
        self, engine: EngineChoice, slots: int, on_ready: Callable[[bool], None], log_level: str = "INFO"
    ) -> None:
        """`on_ready` hears of every change: True after warm-up, False when the process has ended."""
        self._engine, self._slots, self._on_ready, self._log_level = engine, slots, on_ready, log_level
        self._life: _Generation | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._recoveries: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to start the engine; it is ready when `on_ready` says so."""
        self._supervisor = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End the engine process and wait for it. Songs in it end with ENGINE_DIED."""
        tasks = [task for task in (self._supervisor, *self._recoveries) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def info(self) -> EngineInfo:
        """Raises Unavailable before the engine has said what it is."""
        if self._life is None or self._life.info is None:
            raise Unavailable("ENGINE_STARTING", "the engine is not up yet", retry_delay_s=1.0)
        return self._life.info

    @property
    def busy(self) -> int:
        return len(self._life.slots) - len(self._life.idle) if self._life and self._life.info else 0

    def check_free(self) -> None:
        """Raises ResourceExhausted (POD_BUSY) while every slot is taken, Unavailable as `info` does."""
        _ = self.info
        if self._life and not self._life.idle:
            soonest = min(slot.eta_s for slot in self._life.slots)
            delay_s = min(max(soonest, 0.5), 60.0)
            raise ResourceExhausted("POD_BUSY", "every slot is taken", retry_delay_s=delay_s)

    async def render(self, job: SongJob, source: SourceFiles | None = None) -> AsyncGenerator[Output, None]:
        """One song's outputs, `Produced` last. Closing it early stops the engine at its next step.

        Raises:
            InvalidField: the engine has a limit of its own, or `source` is not what it should be; names a
                field of RenderRequest, "state" or "master".
            ResourceExhausted: POD_BUSY when no slot is free, OUT_OF_MEMORY when the song does not fit.
            Unavailable: ENGINE_STARTING before the engine is up, ENGINE_DIED when it ended mid-song.
            Internal: RENDER_FAILED; the engine's log says why.
        """
        self.check_free()
        life = self._life
        assert life is not None  # the check would have raised
        slot, held = life.idle.pop(), True
        slot.eta_s = job.request.duration_s / 10  # until the engine has measured itself
        try:
            slot.send(Render.of(job, source, traceparent_of(trace.get_current_span())))
            await slot.writer.drain()
            while held:
                message = await slot.receive()
                if isinstance(message, Ready | DeviceMemory | Render | Cancel):
                    raise Internal("RENDER_FAILED", "the engine process answered out of turn")
                if isinstance(message, Produced | Cancelled | Failed | Refused):
                    # before the consumer hears of it: it may ask for the next song at once
                    life.idle.append(slot)
                    held = False
                if isinstance(message, Cancelled | Failed | Refused):
                    raise _failure(message)
                if isinstance(message, Progress):
                    slot.eta_s = message.eta_s
                yield message
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            held = False  # and with the process the slot is gone
            raise Unavailable(
                "ENGINE_DIED", "the engine process ended in this song", retry_delay_s=1.0
            ) from error
        finally:
            if held:
                task = asyncio.get_running_loop().create_task(_let_go(life, slot))
                self._recoveries.add(task)
                task.add_done_callback(self._recoveries.discard)

    async def _supervise(self) -> None:
        delay_s = _FIRST_RESTART_S
        while True:
            life = await self._spawn()
            try:
                message = await life.control.receive()
                if isinstance(message, Ready):
                    life.info, life.idle, delay_s = message.info, list(life.slots), _FIRST_RESTART_S
                    _log.info(
                        "engine ready", extra={"engine": message.info.name, "engine_pid": life.process.pid}
                    )
                    self._on_ready(True)
                    await _follow(life)
            except (asyncio.IncompleteReadError, ConnectionError, ValueError):
                pass  # it has ended, which is said below
            finally:
                GPU_MEMORY_BYTES.clear()
                self._life = None
                self._on_ready(False)
                await _end(life)
            _log.error(
                "engine process ended", extra={"exit_code": life.process.returncode, "restart_in_s": delay_s}
            )
            ENGINE_RESTARTS.inc()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _SLOWEST_RESTART_S)

    async def _spawn(self) -> _Generation:
        pairs = [socket.socketpair() for _ in range(1 + self._slots)]
        theirs = [pair[1] for pair in pairs]
        command = [sys.executable, "-m", "services.music.engine_process", *self._engine.arguments()]
        command += [
            "--parent",
            str(os.getpid()),
            "--log-level",
            self._log_level,
            "--control",
            str(theirs[0].fileno()),
        ]
        for end in theirs[1:]:
            command += ["--slot", str(end.fileno())]
        # A session of its own: Ctrl-C and a drain are the front's business, which ends this process last.
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            # What is configured here, the attestation key above all, is none of its business.
            env={name: value for name, value in os.environ.items() if not name.startswith("MUSIC_")},
            pass_fds=[end.fileno() for end in theirs],
            start_new_session=True,
        )
        for end in theirs:
            end.close()
        slots = [
            _Slot(*await asyncio.open_connection(sock=ours, limit=_BUFFER_BYTES // 2)) for ours, _ in pairs
        ]
        self._life = _Generation(process, slots[0], slots[1:])
        return self._life


async def _follow(life: _Generation) -> None:
    """What the engine process tells beside its songs, until its end, which is an error of the socket."""
    while True:
        message = await life.control.receive()
        if isinstance(message, DeviceMemory):
            for kind in ("allocated", "reserved", "total"):
                GPU_MEMORY_BYTES.labels(kind).set(getattr(message, f"{kind}_bytes"))


async def _let_go(life: _Generation, slot: _Slot) -> None:
    """Cancel a slot's song and swallow what still comes of it."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):
        slot.send(Cancel())
        while not isinstance(await slot.receive(), Produced | Cancelled | Failed | Refused):
            pass
        life.idle.append(slot)


async def _end(life: _Generation) -> None:
    """Close the sockets, which ends the process; kill it if it does not hear."""
    for slot in (life.control, *life.slots):
        slot.writer.close()
    try:
        await asyncio.wait_for(life.process.wait(), _STOP_S)
    except TimeoutError:
        life.process.kill()
        await life.process.wait()


def _failure(message: Failed | Refused | Cancelled) -> ServiceError:
    if isinstance(message, Refused):
        return InvalidField(message.reason, message.field, message.message, limit=message.limit)
    if isinstance(message, Cancelled):
        return CancelledSong("CANCELLED", "the song was cancelled")
    if message.reason == "OUT_OF_MEMORY":
        return ResourceExhausted("OUT_OF_MEMORY", "the song does not fit into this engine's memory")
    return Internal("RENDER_FAILED", "the engine could not make this song")
