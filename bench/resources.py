"""What the services need: `python -m bench.resources [--slots 1 2 4]`, the real mesh with the engine sketch.

For every number of slots a stack of its own makes songs with words, saves them, and has listeners; memory and
CPU of every process tree are read from /proc. Knows what the mesh is asked, not what any part does.
"""

import argparse
import asyncio
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import asyncpg

from bench.gateway_http import Connection, get, post
from bench.processes import tree_cpu_seconds, tree_resident_bytes
from deploy.local.stack import Stack

SAMPLE_S = 0.1
IDLE_S = 5.0
CREATOR = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"  # an account of the development chain
PARTS = ("gateway", "lyrics", "music", "signer", "postgres")


@dataclass(frozen=True)
class Need:
    """Of one part in one phase. `cpu_s`: for each song, or for each second where nothing is made."""

    slots: int
    phase: str
    part: str
    peak_bytes: int
    cpu_s: float


@dataclass(frozen=True)
class Kept:
    """Bytes that a song leaves behind, mean of all."""

    duration_s: float
    audio: float
    master: float
    # all files of its own: audio, master, state
    objects: float
    database: float
    # files and rows that saving adds: cover, metadata
    saved_objects: float
    saved_database: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.resources", description=__doc__)
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2, 4], help="of the music service")
    parser.add_argument("--songs", type=int, default=12, help="in each phase")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds of each song")
    parser.add_argument("--listeners", type=int, default=200, help="of one song while it is made")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    asked = parser.parse_args()
    needs: list[Need] = []
    kept: list[Kept] = []
    for slots in asked.slots:
        with tempfile.TemporaryDirectory(prefix="acesteps-bench-") as folder:
            Path(folder).chmod(0o711)  # PostgreSQL runs as a user of its own and passes through
            overrides = {"MUSIC_SLOTS": str(slots), "GATEWAY_WORKERS": str(slots + 1)}
            overrides |= {"GATEWAY_METRICS_PORT": "0", "SIGNER_LOG_LEVEL": "WARNING"}
            with Stack(Path(folder) / "mesh", http_port=0, grpc_port=0, overrides=overrides) as stack:
                measured, left = asyncio.run(_measure(stack, slots, asked))
        needs += measured
        kept.append(left)
        if not asked.json:
            print("\n".join([*_needs_table(measured), *_kept_table([left]), ""]), flush=True)
    if asked.json:
        print(json.dumps({"needs": [asdict(n) for n in needs], "kept": [asdict(k) for k in kept]}, indent=1))


class Meter:
    """Samples the process trees in a thread; `needs` of what happened within `phase`."""

    def __init__(self, stack: Stack, slots: int) -> None:
        self._stack, self._slots = stack, slots
        self._peaks: dict[str, int] = {}
        self.needs: list[Need] = []

    @contextmanager
    def phase(self, name: str, songs: int = 0) -> Iterator[None]:
        self._peaks, ended = {}, threading.Event()
        sampling = threading.Thread(target=self._sample, args=(ended,))
        begun, before = time.monotonic(), self._cpu()
        sampling.start()
        try:
            yield
        finally:
            ended.set()
            sampling.join()
        times = songs or time.monotonic() - begun
        for part, cpu_s in self._cpu().items():
            used = (cpu_s - before[part]) / times
            self.needs.append(Need(self._slots, name, part, self._peaks[part], used))

    def _cpu(self) -> dict[str, float]:
        return {part: tree_cpu_seconds(self._stack.pids[part]) for part in PARTS}

    def _sample(self, ended: threading.Event) -> None:
        while True:
            for part in PARTS:
                held = tree_resident_bytes(self._stack.pids[part])
                self._peaks[part] = max(held, self._peaks.get(part, 0))
            if ended.wait(SAMPLE_S):
                return


async def _measure(stack: Stack, slots: int, asked: argparse.Namespace) -> tuple[list[Need], Kept]:
    meter = Meter(stack, slots)
    with meter.phase("idle"):
        await asyncio.sleep(IDLE_S)
    made: list[str] = []
    for at_once in dict.fromkeys((1, slots, 4 * slots)):
        if at_once > 1 or slots == 1:
            with meter.phase(f"{at_once} songs at once", asked.songs):
                made += await _songs(stack.http_port, asked.songs, at_once, asked.duration)
    made_only = await _kept(stack)
    with meter.phase("saved", len(made)):
        for song_id in made:
            await _ask(stack.http_port, post(f"/v1/songs/{song_id}:save", {}))
    saved = await _kept(stack)
    with meter.phase(f"{asked.listeners} listeners", 1):
        await _listen(stack.http_port, asked.listeners, asked.duration)
    added = (after - before for after, before in zip(saved[2:], made_only[2:], strict=True))
    return meter.needs, Kept(asked.duration, *made_only, *added)


async def _songs(port: int, count: int, at_once: int, duration_s: float) -> list[str]:
    """Ids of songs that callers made, each one after the other, and heard to the end."""
    seeds, made = iter(range(at_once * count, (at_once + 1) * count)), list[str]()

    async def caller() -> None:
        for seed in seeds:
            made.append(song_id := await _create(port, duration_s, seed))
            await _ask(port, get(f"/v1/songs/{song_id}/audio"))
            await _ended(port, song_id)

    await asyncio.gather(*(caller() for _ in range(at_once)))
    return made


async def _ended(port: int, song_id: str) -> None:
    """The file is whole a little before the song is."""
    for _ in range(600):
        song = (await _ask(port, get(f"/v1/songs/{song_id}")))["song"]
        if not song["state"].endswith("RUNNING"):
            break
        await asyncio.sleep(0.05)
    if not song["state"].endswith("SUCCEEDED"):
        raise RuntimeError(f"song {song_id}: {song}")


async def _listen(port: int, count: int, duration_s: float) -> None:
    connections = await asyncio.gather(*(Connection.open(port) for _ in range(count)))
    try:
        song_id = await _create(port, duration_s, 0)
        request, sizes = get(f"/v1/songs/{song_id}/audio"), [0] * count

        async def listen(n: int, connection: Connection) -> None:
            def hear(data: bytes) -> None:
                sizes[n] += len(data)

            await connection.listen(request, hear)

        await asyncio.gather(*(listen(n, one) for n, one in enumerate(connections)))
        if len(set(sizes)) != 1 or not sizes[0]:
            raise RuntimeError(f"listeners heard {sorted(set(sizes))} bytes")
        await _ended(port, song_id)
    finally:
        for connection in connections:
            connection.close()


async def _create(port: int, duration_s: float, seed: int) -> str:
    prompt = "warm synth-pop about city lights after the rain, 112 bpm"
    asked = {"prompt": prompt, "duration_s": duration_s, "seed": seed, "creator_address": CREATOR}
    return str((await _ask(port, post("/v1/songs", asked)))["song"]["id"])


async def _ask(port: int, request: bytes) -> dict[str, dict[str, str]]:
    """What JSON was answered; nothing for audio. Raises RuntimeError where it is an error."""
    connection = await Connection.open(port)
    try:
        answer = await connection.ask(request)
    finally:
        connection.close()
    if answer.status >= 400:
        raise RuntimeError(f"{answer.status}: {answer.body[:500]!r}")
    return dict(answer.json()) if answer.body[:1] == b"{" else {}


async def _kept(stack: Stack) -> tuple[float, float, float, float]:
    """Bytes for a song: MP3, master, all files, rows that stay, with their indexes."""
    connection = await asyncpg.connect(stack.database.gateway_dsn)
    try:
        songs, audio, master, database = await connection.fetchrow(
            "SELECT count(*), avg(audio_bytes)::float8, avg(master_bytes)::float8,"
            # What is heard while it is made goes away with the next vacuum.
            " (SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
            "   WHERE relname <> 'audio_chunks')::float8"
            " FROM songs WHERE state = 'SUCCEEDED'"
        )
    finally:
        await connection.close()
    files = sum(f.stat().st_size for f in stack.folder.objects.rglob("*") if f.is_file())
    return audio, master, files / songs, database / songs


def _needs_table(needs: Sequence[Need]) -> Iterator[str]:
    """MB at most / ms of CPU for each song (idle: each second)."""
    rows: dict[tuple[int, str], Mapping[str, Need]] = {}
    for need in needs:
        rows[need.slots, need.phase] = {**rows.get((need.slots, need.phase), {}), need.part: need}
    yield "MB at most / ms of CPU per song (idle: per second)"
    yield f"{'slots':>5} {'phase':<20}" + "".join(f"{part:>16}" for part in PARTS)
    for (slots, phase), by_part in rows.items():
        cells = (f"{by_part[p].peak_bytes / 1e6:,.0f} / {by_part[p].cpu_s * 1e3:,.0f}" for p in PARTS)
        yield f"{slots:>5} {phase:<20}" + "".join(f"{cell:>16}" for cell in cells)
    yield f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}"


def _kept_table(kept: Sequence[Kept]) -> Iterator[str]:
    headings = ("MP3", "master", "all files", "rows", "saving: files", "rows")
    yield f"{'bytes of a song':>15} " + " ".join(f"{heading:>13}" for heading in headings)
    for one in kept:
        seconds, *sizes = astuple(one)
        yield f"{seconds:>13g} s " + " ".join(f"{size:>13,.0f}" for size in sizes)


if __name__ == "__main__":
    main()
