"""The engine process: `python -m services.music.engine_process`, started by host.py and by nobody else.

One thread per slot renders what its socket asks for. Ends when the front process does, however that ends.
Knows no gRPC and no keys.
"""

import argparse
import ctypes
import logging
import os
import select
import signal
import socket
import sys
import threading
from typing import NoReturn

from opentelemetry import trace

from services.common.errors import InvalidField
from services.common.logs import setup_logs
from services.common.tracing import context_of
from services.music.engine import Engine, EngineBroken, EngineCannotStart, Progress, RenderCancelled
from services.music.production import Produced, produce
from services.music.registry import EngineChoice, open_engine
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

_PR_SET_PDEATHSIG = 1


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m services.music.engine_process", description=__doc__)
    EngineChoice.add_arguments(parser)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--control", type=int, required=True, help="descriptor of a socket")
    parser.add_argument("--slot", type=int, action="append", required=True, help="one per song at once")
    parser.add_argument("--log-level", default="INFO")
    arguments = parser.parse_args(argv)
    setup_logs("music-engine", arguments.log_level)
    _die_with(arguments.parent)
    control = socket.socket(fileno=arguments.control)
    try:
        engine = open_engine(EngineChoice.parse(arguments))
    except EngineCannotStart as error:
        _log.error("engine cannot start: %s", error)
        raise SystemExit(2) from error
    memory = MemoryReport(engine, control)
    control.sendall(encode(Ready(engine.info)))
    memory.send()
    for slot in arguments.slot:
        link = _Link(socket.socket(fileno=slot))
        threading.Thread(target=_serve, args=(engine, link, memory), daemon=True).start()
    control.recv(1)  # nothing is ever sent: this returns when the front is gone
    _end()


def _die_with(parent: int) -> None:
    """On Linux the kernel ends this process with its parent; elsewhere the closed sockets do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        _end()


def _end() -> NoReturn:
    os._exit(0)  # not sys.exit: threads that render must not keep the process


class _Link:
    """One slot's socket, seen from the engine. A front that is gone ends the process."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def receive(self) -> Message:
        head, body = LENGTHS.unpack(self._exactly(LENGTHS.size))
        return decode(self._exactly(head), self._exactly(body))

    def send(self, message: Message) -> None:
        """Blocks while the other side does not read: that is the back-pressure."""
        try:
            self._socket.sendall(encode(message))
        except OSError:
            _end()

    def cancelled(self) -> bool:
        """Asked at every step. Only `Cancel` can arrive while a song is being made."""
        readable, _, _ = select.select([self._socket], [], [], 0)
        return bool(readable) and isinstance(self.receive(), Cancel)

    def _exactly(self, count: int) -> bytes:
        # unbuffered, so that `select` sees whatever has not been read
        try:
            data = self._socket.recv(count, socket.MSG_WAITALL)
        except OSError:
            data = b""
        if len(data) < count:
            _end()
        return data


class MemoryReport:
    """Tells the front how much of the accelerator's memory is used, from whichever thread has reason to."""

    def __init__(self, engine: Engine, control: socket.socket) -> None:
        self._engine, self._control, self._one_at_a_time = engine, control, threading.Lock()

    def send(self) -> None:
        if (memory := self._engine.memory()) is None:
            return
        try:
            with self._one_at_a_time:
                self._control.sendall(encode(memory))
        except OSError:
            _end()


def _serve(engine: Engine, link: _Link, memory: MemoryReport) -> None:
    while True:
        message = link.receive()
        if isinstance(message, Render):  # else a Cancel that came too late
            with trace.use_span(trace.get_current_span(context_of([("traceparent", message.traceparent)]))):
                last = _song(engine, link, message, memory)
            memory.send()  # of what is idle now
            link.send(last)


def _song(engine: Engine, link: _Link, order: Render, memory: MemoryReport) -> Message:
    """Makes one song and sends all of it but the last message, which is returned."""
    try:
        for output in produce(engine, order.job, link.cancelled, order.source):
            if isinstance(output, Produced):
                return output
            link.send(output)
            if isinstance(output, Progress):
                memory.send()
        raise AssertionError("a song without an end")
    except RenderCancelled:
        return Cancelled()
    except InvalidField as error:
        return Refused(error.reason, error.field, error.message, error.limit)
    except EngineBroken:
        _log.exception("the engine is broken and ends", extra={"song_id": order.job.song_id})
        os._exit(1)  # the front starts another one
    except MemoryError:
        _log.error("song does not fit into memory", extra={"song_id": order.job.song_id})
        return Failed("OUT_OF_MEMORY")
    except Exception:
        _log.exception("song failed", extra={"song_id": order.job.song_id})
        return Failed("RENDER_FAILED")


if __name__ == "__main__":
    main()
