"""What the demo shows: a live progress bar on a terminal, plain lines where there is none.

Knows no service and no chain.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from acesteps import AcestepsError
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb

_STAGES = {
    "queued": "waiting",
    "lyrics": "writing lyrics",
    "composing": "composing",
    "rendering": "rendering",
    "mastering": "mastering",
    "storing": "storing",
    "done": "done",
}


class Screen:
    def __init__(self) -> None:
        self.console = Console(highlight=False)

    def line(self, text: str) -> None:
        self.console.print(f"  {text}", markup=False, soft_wrap=True)

    def away(self, error: AcestepsError) -> None:
        self.line(f"asking again until it works: {error}")

    def head(self, text: str) -> None:
        self.console.print(f"\n{text}", style="bold", markup=False)

    def lyrics(self, song: pb.Song) -> None:
        self.head(f"Lyrics: {song.lyrics.title or song.title}")
        for section in song.lyrics.sections:
            tag = lyrics_pb.SectionTag.Name(section.tag).removeprefix("SECTION_TAG_").lower()
            self.console.print(f"  [{section.label or tag}]", style="dim", markup=False)
            for line in section.lines:
                self.line(line.text)

    def summary(self, rows: list[tuple[str, str]]) -> None:
        """Values stay on one line each, however long: they are there to be copied."""
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            text = Text(f"  {name:<{width}}  ", style="dim")
            self.console.print(text.append(value, style="not dim"), soft_wrap=True)

    @contextmanager
    def progress(self, asked_at: float) -> Iterator["SongProgress"]:
        """`asked_at` is `time.monotonic()` when the song was asked for."""
        columns = (
            TextColumn("  {task.description:<15}"),
            BarColumn(bar_width=36),
            TextColumn("{task.fields[step]:<9}"),
            TextColumn("{task.fields[audio]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal) as bars:
            yield SongProgress(self, bars, asked_at)


class SongProgress:
    """The one bar of a song: stage, step of steps, and when the first audio came."""

    def __init__(self, screen: Screen, bars: Progress, asked_at: float) -> None:
        self._screen, self._bars, self._asked_at = screen, bars, asked_at
        self._task = bars.add_task("waiting", total=None, step="", audio="")
        self._stage = ""
        self._heard = False

    def show(self, song: pb.Song) -> None:
        stage = _STAGES.get(song.progress.stage, song.progress.stage)
        steps = song.progress.steps
        if song.HasField("first_audio_time") and not self._heard:
            self._heard = True
            first_s = (song.first_audio_time.ToNanoseconds() - song.create_time.ToNanoseconds()) / 1e9
            self._bars.update(self._task, audio=f"audio since {first_s:.2f} s")
        self._bars.update(
            self._task,
            description=stage,
            total=steps or None,
            completed=song.progress.step,
            step=f"{song.progress.step}/{steps}" if steps else "",
        )
        if not self._screen.console.is_terminal and stage != self._stage:
            elapsed_s = time.monotonic() - self._asked_at
            self._screen.line(f"{elapsed_s:6.2f} s  {stage}" + (f" ({steps} steps)" if steps else ""))
        self._stage = stage
