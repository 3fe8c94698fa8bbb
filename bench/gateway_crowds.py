"""Many who follow songs in the making: watchers, each of a song of its own, and listeners to one song.

Knows what the engine sent when, and what a client has by then.
"""

import asyncio
import json
import statistics
import time
import zlib
from dataclasses import dataclass

import grpc

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from bench.gateway_figures import Line, cpu_line, percentile
from bench.gateway_http import Connection, get, post
from bench.gateway_stack import Stack
from bench.processes import resident_bytes

PROGRESS_WITHIN_S = 0.05
MOST_RESIDENT_BYTES = 400_000_000
# Between the median of the first third of the time and that of the last.
FLAT_WITHIN = 0.1
SAMPLE_S = 0.25
CALL_S = 600.0
# Connections that are opened at once, of a crowd.
OPENING = 50


async def progress(stack: Stack, songs: int) -> list[Line]:
    """How old a progress event is when the song's watcher has it, or one after it."""
    lines = []
    for name, watch in (("SSE", _over_sse), ("gRPC", _over_grpc)):
        ids = [await _create(stack) for _ in range(songs)]
        begun, cpu = time.perf_counter(), stack.cpu()
        async with asyncio.TaskGroup() as watching:
            tasks = [watching.create_task(watch(stack, song_id)) for song_id in ids]
        took_s, cpu_then = time.perf_counter() - begun, stack.cpu()
        sent = stack.sent()
        seen = [(sent[song_id], task.result()) for song_id, task in zip(ids, tasks, strict=True)]
        # Only while all of them are in the making.
        first, last = max(moments[0] for moments, _ in seen), min(moments[-1] for moments, _ in seen)
        ages = sorted(age for moments, steps in seen for age in _ages(moments, steps, first, last))
        lines += [
            Line(
                f"progress of {songs} songs over {name}, {len(ages)} events, 99th percentile",
                f"{percentile(ages, 0.99) * 1e3:.0f} ms",
                f"{PROGRESS_WITHIN_S * 1e3:.0f} ms",
                percentile(ages, 0.99) <= PROGRESS_WITHIN_S,
            ),
            Line("  median, longest", f"{statistics.median(ages) * 1e3:.0f}, {ages[-1] * 1e3:.0f} ms"),
            cpu_line("second", cpu, cpu_then, took_s),
        ]
    return lines


def _ages(moments: list[float], seen: dict[int, float], first: float, last: float) -> list[float]:
    """Seconds from each event's sending until it or a later one was seen. Steps count from 1."""
    ages, soonest = [], float("inf")
    for step in range(len(moments), 0, -1):
        soonest = min(soonest, seen.get(step, soonest))
        if first <= moments[step - 1] <= last:
            ages.append(soonest - moments[step - 1])
    return ages


async def _over_sse(stack: Stack, song_id: str) -> dict[int, float]:
    """The moment at which each step was first seen."""
    steps: dict[int, float] = {}
    rest = b""

    def hear(data: bytes) -> None:
        nonlocal rest
        *events, rest = (rest + data).split(b"\n\n")
        for event in events:
            if (at := event.find(b"\ndata: ")) >= 0:
                step = json.loads(event[at + 7 :])["progress"]["step"]
                steps.setdefault(step, time.monotonic())

    connection = await Connection.open(stack.http_port)
    try:
        assert await connection.listen(get(f"/v1/songs/{song_id}/events"), hear) == 200
    finally:
        connection.close()
    return steps


async def _over_grpc(stack: Stack, song_id: str) -> dict[int, float]:
    steps: dict[int, float] = {}
    # A connection of its own, as every client has.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(stack.grpc_target, options=options) as channel:
        request = pb.WatchSongRequest(song_id=song_id)
        async for response in GatewayServiceStub(channel).WatchSong(request, timeout=CALL_S):
            steps.setdefault(response.song.progress.step, time.monotonic())
    return steps


@dataclass
class Heard:
    """What one listener has of a song."""

    size: int = 0
    checksum: int = 0

    def hear(self, data: bytes) -> None:
        self.size += len(data)
        self.checksum = zlib.crc32(data, self.checksum)


async def listeners(stack: Stack, count: int) -> list[Line]:
    """`count` listeners over HTTP to one song from its beginning, and the memory of the gateway meanwhile."""
    connections: list[Connection] = []
    try:
        for _ in range(0, count, OPENING):
            ports = [stack.http_port] * min(OPENING, count - len(connections))
            connections += await asyncio.gather(*map(Connection.open, ports))
        song_id = await _create(stack)
        memory: list[float] = []
        sampling = asyncio.create_task(_sample(stack.gateway_pid, memory))
        crowd = [Heard() for _ in connections]
        begun, cpu = time.perf_counter(), stack.cpu()
        request = get(f"/v1/songs/{song_id}/audio")
        statuses = await asyncio.gather(
            *(c.listen(request, heard.hear) for c, heard in zip(connections, crowd, strict=True)),
            return_exceptions=True,
        )
        took_s, cpu_then = time.perf_counter() - begun, stack.cpu()
        sampling.cancel()
        whole = Heard()
        assert await connections[0].listen(request, whole.hear) == 200
    finally:
        for connection in connections:
            connection.close()
    satisfied = sum(s == 200 and heard == whole for s, heard in zip(statuses, crowd, strict=True))
    third = max(1, len(memory) // 3)
    growth = statistics.median(memory[-third:]) / statistics.median(memory[:third]) - 1
    return [
        Line(
            f"{count} HTTP listeners to one live song, who have every byte",
            f"{satisfied} in {took_s:.1f} s",
            f"{count}",
            satisfied == count,
        ),
        Line(
            "  gateway's memory at most",
            f"{max(memory) / 1e6:.0f} MB",
            f"under {MOST_RESIDENT_BYTES / 1e6:.0f} MB",
            max(memory) < MOST_RESIDENT_BYTES,
        ),
        Line(
            "  its growth from the first third to the last",
            f"{growth:.0%}",
            f"within {FLAT_WITHIN:.0%}",
            growth <= FLAT_WITHIN,
        ),
        cpu_line("second", cpu, cpu_then, took_s),
    ]


async def _sample(pid: int, memory: list[float]) -> None:
    while True:
        memory.append(resident_bytes(pid))
        await asyncio.sleep(SAMPLE_S)


async def _create(stack: Stack) -> str:
    """The id of a new song."""
    connection = await Connection.open(stack.http_port)
    try:
        asked = {"prompt": "calm jazz hop, 84 bpm", "instrumental": True}
        return str((await connection.ask(post("/v1/songs", asked))).json()["song"]["id"])
    finally:
        connection.close()
