"""What a person or a script sees: results on stdout, all else on stderr; JSON where it was asked for.

Works without a terminal, and on terminals that cannot show every character. Knows no call.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from acesteps.files import AudioPiece
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.orders import state_of

_STAGES = {"queued": "waiting", "lyrics": "writing lyrics"}


def show_every_character() -> None:
    """Output that a terminal's encoding has no bytes for becomes "?", not an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


class Screen:
    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._out = Console(highlight=False, markup=False, emoji=False)
        self._err = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def note(self, text: str) -> None:
        """What a person who waits should know."""
        self._err.print(Text(text), soft_wrap=True)

    def line(self, text: str) -> None:
        self._out.print(Text(text), soft_wrap=True)

    def data(self, value: Message | dict[str, Any]) -> None:
        """One line of JSON."""
        document = as_dict(value) if isinstance(value, Message) else value
        self._out.file.write(json.dumps(document, ensure_ascii=True) + "\n")
        self._out.file.flush()

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Columns for a person at a terminal; elsewhere lines of values with tabs between."""
        if not self._out.is_terminal:
            for row in rows:
                self.line("\t".join(value.replace("\t", " ").replace("\n", " ") for value in row))
            return
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in head:
            table.add_column(name, overflow="ellipsis", no_wrap=name in ("id", "when", "state"))
        for row in rows:
            table.add_row(*(Text(value) for value in row))
        self._out.print(table)

    def facts(self, rows: Iterable[tuple[str, str]]) -> None:
        """Names and values, those without a value left out; a value stays on its line, to be copied."""
        shown = [(name, value) for name, value in rows if value]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            text = Text(f"{name:<{width}}  ", style="dim")
            self._out.print(text.append(value, style="not dim"), soft_wrap=True)

    def section(self, section: lyrics_pb.LyricSection) -> None:
        tag = lyrics_pb.SectionTag.Name(section.tag).removeprefix("SECTION_TAG_").lower()
        self.line(f"[{section.label or tag}]")
        for line in section.lines:
            self.line(line.text)
        self.line("")

    @contextmanager
    def progress(self) -> Iterator["Bars"]:
        columns = (
            TextColumn("{task.description:<15}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[step]:<8}", markup=False),
            TextColumn("{task.fields[told]}", markup=False),
            TimeElapsedColumn(),
        )
        live = self._err.is_terminal and not self.as_json
        with Progress(*columns, console=self._err, disable=not live) as progress:
            yield Bars(progress, None if live or self.as_json else self.note)


class Bars:
    """One bar for every song; where there is no terminal, a line for every stage."""

    def __init__(self, progress: Progress, line: Callable[[str], None] | None) -> None:
        self._progress, self._line = progress, line
        self._tasks: dict[str, TaskID] = {}
        self._told: dict[str, tuple[str, bool]] = {}

    def show(self, song: pb.Song) -> None:
        if song.id not in self._tasks:
            self._tasks[song.id] = self._progress.add_task("waiting", total=None, step="", told="")
        now, stage = song.progress, _STAGES.get(song.progress.stage, song.progress.stage)
        self._progress.update(
            self._tasks[song.id],
            description=stage,
            total=now.steps or None,
            completed=now.step,
            step=f"{now.step}/{now.steps}" if now.steps else "",
            told=", ".join(_told(song)),
        )
        heard = song.HasField("first_audio_time")
        if self._line is not None and self._told.get(song.id) != (stage, heard):
            told = "".join(f", {text}" for text in _told(song))
            self._line(f"{song.id[:8]}  {stage}{told}")
        self._told[song.id] = (stage, heard)

    def received(self, song_id: str, piece: AudioPiece) -> None:
        """Of a song that was shown before."""
        size = piece.offset + len(piece.data)
        self._progress.update(
            self._tasks[song_id],
            description="receiving",
            total=piece.total_bytes or None,
            completed=size,
            told=f"{size / 1e6:.1f} MB",
        )


def _told(song: pb.Song) -> Iterator[str]:
    if song.progress.queue_position:
        yield f"number {song.progress.queue_position} in the queue"
    if song.progress.eta_s:
        yield f"{song.progress.eta_s:.0f} s left"
    if song.HasField("first_audio_time"):
        yield f"first audio after {_seconds(song.create_time, song.first_audio_time):.2f} s"
    if song.attempt > 1:
        yield f"attempt {song.attempt}"


def as_dict(message: Message) -> dict[str, Any]:
    """The proto3 JSON mapping with the protos' names of fields, as the REST API speaks it."""
    return dict(MessageToDict(message, preserving_proto_field_name=True))


def facts_of(song: pb.Song) -> list[tuple[str, str]]:
    """What a person wants to know of a song."""
    tempo = f"{song.music.tempo_bpm:g} BPM" if song.music.tempo_bpm else ""
    procedural = " (procedural, not AI)" if song.engine == "sketch" else ""
    marks = [name for name, is_so in (("favourite", song.favourite), ("hidden", song.hidden)) if is_so]
    return [
        ("id", song.id),
        ("title", song.title),
        ("state", ", ".join([state_of(song), *marks])),
        ("failure", f"{song.failure.reason}: {song.failure.message}" if song.failure.reason else ""),
        ("prompt", song.prompt),
        ("length", f"{song.audio.duration_s or song.duration_s:g} s"),
        ("made from", f"{song.source_song_id} ({song.WhichOneof('edit')})" if song.source_song_id else ""),
        ("music", ", ".join(filter(None, (song.music.genre, song.music.mood, tempo, song.music.key)))),
        ("engine", f"{song.engine}, seed {song.seed}{procedural}" if song.engine else ""),
        ("sha256", song.audio.sha256),
        ("creator", song.creator_address),
        ("metadata", song.save.metadata_uri),
        ("token", token_of(song)),
        ("share token", song.share_token),
    ]


def token_of(song: pb.Song) -> str:
    """What the chain tells of the song's token; empty for none."""
    if not song.HasField("mint"):
        return ""
    state = pb.MintState.Name(song.mint.state).removeprefix("MINT_STATE_")
    return f"{state} in block {song.mint.block_number}, {song.mint.token_id}"


def when(time: Timestamp) -> str:
    return time.ToDatetime().strftime("%Y-%m-%d %H:%M") if time.seconds else ""


def _seconds(start: Timestamp, end: Timestamp) -> float:
    return (end.ToNanoseconds() - start.ToNanoseconds()) / 1e9
