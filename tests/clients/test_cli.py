"""The command line as a person or a script meets it: the process, against a gateway in the test's loop."""

import asyncio
import hashlib
import json
import os
import pty
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import GatewayServiceServicer
from services.common.errors import InvalidRequest
from tests.clients.recorder import Recorder, served
from tests.clients.shell import WITHIN_S, Shell
from tests.gateway.mesh import Gateway, Mesh, eventually, made
from tests.gateway.pods import Script, rendered

SHORT = ("--duration", "5", "--instrumental", "--seed", "7")
PROMPT = "calm jazz hop, 84 bpm"


async def test_make_writes_the_song_and_says_what_it_is(shell: Shell, pods: Mesh) -> None:
    script = Script(pause_after=2)
    pods.music.follow(script)
    process = await shell.start("make", PROMPT, *SHORT, "--title", "Night Train", "-o", "new/song.mp3")
    assert process.stderr is not None
    told = b""
    while b"first audio after" not in told:  # without a terminal: lines
        told = await process.stderr.readline()
    assert b"rendering" in told
    assert list(shell.folder.glob("new/*.mp3")) == []
    script.go_on.set()
    out, err = (read.decode() for read in await process.communicate())
    assert process.returncode == 0, err
    audio = (shell.folder / "new" / "song.mp3").read_bytes()
    (spec,) = pods.music.specs
    assert audio == rendered(spec.song_id, 7, 5.0).audio
    for fact in (spec.song_id, "Night Train", hashlib.sha256(audio).hexdigest(), "not AI", "song.mp3"):
        assert fact in out
    assert "\x1b" not in out + err


async def test_every_answer_can_be_had_as_json(shell: Shell) -> None:
    made_now = await shell.ask("make", PROMPT, *SHORT)
    song = made_now["song"]
    audio = (shell.folder / made_now["path"]).read_bytes()
    assert hashlib.sha256(audio).hexdigest() == song["audio"]["sha256"]
    assert (await shell.ask("show", song["id"]))["seed"] == 7
    assert (await shell.ask("list"))["id"] == song["id"]
    assert (await shell.ask("cancel", song["id"]))["state"] == "SONG_STATE_SUCCEEDED"
    assert (await shell.ask("watch", song["id"]))["id"] == song["id"]
    assert (await shell.ask("review", PROMPT))["allowed"] is True
    flac = await shell.ask("download", song["id"], "--format", "flac", "--out", "song.flac")
    assert (shell.folder / "song.flac").stat().st_size == flac["bytes"]


async def test_a_song_is_arranged_and_deleted_by_commands(shell: Shell, gateway: Gateway) -> None:
    song, _ = await made(gateway)
    variation = (await shell.ask("vary", song.id))["song"]
    assert (await shell.ask("rename", song.id, "Überall Schnee"))["title"] == "Überall Schnee"
    assert (await shell.ask("favourite", song.id))["favourite"] is True
    assert (await shell.ask("list", "--favourite"))["id"] == song.id
    assert (await shell.ask("list", "--query", "schnee"))["id"] == song.id
    assert "favourite" not in await shell.ask("favourite", song.id, "--off")
    assert (await shell.ask("hide", song.id))["hidden"] is True
    assert (await shell.ask("list"))["id"] == variation["id"]
    token = (await shell.ask("share", song.id))["song"]["share_token"]
    assert token in (await shell.run("share", song.id))[1]
    assert "share_token" not in await shell.ask("share", song.id, "--off")
    lines = (await shell.run("family", variation["id"]))[1].splitlines()
    assert [line.split()[0] for line in lines] == [song.id, variation["id"]]
    assert await shell.ask("delete", song.id, "--yes") == {"deleted": song.id}
    assert (await shell.run("show", song.id))[0] == 3
    assert "deleted" in (await shell.run("family", variation["id"]))[1].splitlines()[0]


async def test_an_edit_is_a_command_of_its_own(shell: Shell, gateway: Gateway) -> None:
    source, _ = await made(gateway)
    (shell.folder / "words.txt").write_text("[verse]\nrain on the roof\nrain on the pane\n")
    edited = {
        "variation": await shell.ask("vary", source.id, "--variance", "0.3"),
        "repaint": await shell.ask("repaint", source.id, "1", "2.5"),
        "extend": await shell.ask("extend", source.id, "--right", "3"),
        "lyric_edit": await shell.ask("reword", source.id, "--lyrics", "words.txt"),
    }
    for edit, answer in edited.items():
        assert answer["song"]["source_song_id"] == source.id
        assert edit in answer["song"]
    assert edited["extend"]["song"]["duration_s"] == 8.0


async def test_no_wait_leaves_at_once_with_the_id(shell: Shell, gateway: Gateway) -> None:
    status, out, _ = await shell.run("make", PROMPT, *SHORT, "--no-wait")
    assert status == 0
    assert (await gateway.ended(out.strip())).id == out.strip()


async def test_ctrl_c_leaves_the_song_running_and_says_how_to_go_on(
    shell: Shell, pods: Mesh, gateway: Gateway
) -> None:
    script = Script(pause_after=2)
    pods.music.follow(script)
    process = await shell.start("make", PROMPT, *SHORT)
    await script.paused.wait()

    async def heard() -> bool:
        return any(part.stat().st_size for part in shell.folder.glob("*.part"))

    await eventually(heard, WITHIN_S)
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    assert list(shell.folder.glob("*mp3*")) == []
    (song,) = (await gateway.grpc.ListSongs(pb.ListSongsRequest(), timeout=10)).songs
    last = err.decode().splitlines()[-1]
    assert f"acesteps watch {song.id}" in last
    assert f"acesteps cancel {song.id}" in last
    script.go_on.set()
    answer = await shell.ask("download", song.id)
    assert answer["sha256"] == hashlib.sha256(rendered(song.id, 7, 5.0).audio).hexdigest()


async def test_a_failed_song_is_one_line_and_status_5(shell: Shell, pods: Mesh) -> None:
    pods.music.follow(Script(error=InvalidRequest("STEPS_UNKNOWN", "no such steps")))
    status, out, err = await shell.run("make", PROMPT, *SHORT)
    assert (status, out) == (5, "")
    assert "STEPS_UNKNOWN" in err.splitlines()[-1]
    assert list(shell.folder.glob("*mp3*")) == []


async def test_a_terminal_that_cannot_show_every_character_shows_the_rest(shell: Shell) -> None:
    shell.environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    status, out, err = await shell.run("make", PROMPT, *SHORT, "--title", "Überall Schnee ♪")
    assert status == 0, err
    assert "?berall Schnee ?" in out
    (line,) = (await shell.run("list", "--json"))[1].splitlines()
    assert json.loads(line)["title"] == "Überall Schnee ♪"


async def test_on_a_terminal_there_is_a_bar_and_delete_asks(shell: Shell) -> None:
    ours, theirs = pty.openpty()
    process = await shell.start(
        "make", PROMPT, *SHORT, stdin=theirs, stdout=theirs, stderr=theirs,
        env=shell.environment | {"TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    shown = await asyncio.to_thread(_all_of, ours)
    assert await process.wait() == 0
    assert "\x1b[" in shown
    assert "waiting" in shown
    song = await shell.ask("list")
    status, _, err = await shell.run("delete", song["id"])
    assert (status, "--yes" in err) == (1, True)


def _all_of(terminal: int) -> str:
    read = b""
    while True:
        try:
            read += os.read(terminal, 4096)
        except OSError:  # the last of them has closed it
            return read.decode("utf-8", "replace")


async def test_who_reads_only_the_first_line_breaks_nothing(shell: Shell, gateway: Gateway) -> None:
    await made(gateway)
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m acesteps list | head -c 1",
        cwd=shell.folder,
        env=shell.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert err == b""


COMMANDS = {
    "CreateBatch": ("make", "x", "-n", "3"),
    "ListSongs": (
        "list",
        "--state",
        "failed",
        "--state",
        "queued",
        "--query",
        "night",
        "--favourite",
        "--hidden",
    ),
    "RetrySong": ("retry", "x"),
    "DeleteSong": ("delete", "x", "--yes"),
    "UpdateSong": ("rename", "x", "Night Train"),
    "ShareSong": ("share", "x"),
    "UnshareSong": ("share", "x", "--off"),
    "GetFamily": ("family", "x"),
    "SaveSong": ("save", "x", "--permit", "packed"),
    "GetMint": ("mint", "x"),
    "WriteLyrics": ("lyrics", "rain", "--genre", "folk", "--seed", "3"),
    "ReviewLyrics": ("review", "--lyrics", "words.txt"),
}


@pytest.mark.parametrize("rpc", COMMANDS)
@pytest.mark.parametrize("options", [(), ("--json",)])
async def test_a_command_asks_for_what_it_says(tmp_path: Path, rpc: str, options: tuple[str, ...]) -> None:
    recorder = Recorder()
    (tmp_path / "words.txt").write_text("rain on the roof\n", encoding="utf-8-sig")
    async with served(recorder) as target:
        status, _, err = await Shell(tmp_path, target).run(*COMMANDS[rpc], *options)
    # An empty review passes nothing.
    assert status == (1 if rpc == "ReviewLyrics" else 0), err
    assert list(recorder.calls) == [rpc]


class Relatives(GatewayServiceServicer):
    async def GetFamily(self, request: pb.GetFamilyRequest, context: Any) -> pb.GetFamilyResponse:
        members = [
            pb.FamilyMember(song_id="first", deleted=True),
            pb.FamilyMember(song_id="loud", source_song_id="first", task="variation", title="Loud", state=3),
            pb.FamilyMember(song_id="soft", source_song_id="first", task="variation", title="Soft", state=3),
            pb.FamilyMember(song_id="long", source_song_id="loud", task="extend", title="Long", state=4),
        ]
        return pb.GetFamilyResponse(members=members, truncated=True)


async def test_a_family_is_shown_as_a_tree(tmp_path: Path) -> None:
    async with served(Relatives()) as target:
        status, out, err = await Shell(tmp_path, target).run("family", "long")
    assert status == 0
    assert out.splitlines() == [
        "first  deleted",
        "  loud  variation  succeeded  Loud",
        "    long  extend  failed  Long  <- this one",
        "  soft  variation  succeeded  Soft",
    ]
    assert "more than these" in err
