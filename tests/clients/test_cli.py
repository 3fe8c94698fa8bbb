"""The command line as a person or a script meets it: the process, against a gateway in the test's loop."""

import asyncio
import hashlib
import json
import os
import pty
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from acesteps.cli.profile import Profile, read_profile, store_profile
from acesteps.gateway.v1 import account_service_pb2 as account_pb
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import GatewayServiceServicer
from acesteps.wallet import account_from, account_from_keystore
from services.common.errors import InvalidRequest
from tests.clients.conftest import Keyed, target_of
from tests.clients.recorder import Recorder, served
from tests.gateway.mesh import Gateway, Mesh, eventually, made
from tests.gateway.pods import Script, rendered

WITHIN_S = 30
SHORT = ("--duration", "5", "--instrumental", "--seed", "7")
PROMPT = "calm jazz hop, 84 bpm"


class Shell:
    """Runs commands in a folder, as somebody whose home that is."""

    def __init__(self, folder: Path, target: str) -> None:
        self.folder = folder
        path = os.environ["PATH"]
        self.environment = {"PATH": path, "HOME": str(folder), "ACESTEPS_TARGET": target, "COLUMNS": "200"}

    async def start(self, *arguments: str | bytes, **options: Any) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "acesteps",
            *arguments,
            **{
                "cwd": self.folder,
                "env": self.environment,
                "stdin": asyncio.subprocess.DEVNULL,
                "stdout": asyncio.subprocess.PIPE,
                "stderr": asyncio.subprocess.PIPE,
            }
            | options,
        )

    async def run(self, *arguments: str | bytes, given: str = "") -> tuple[int, str, str]:
        """Status, stdout, stderr."""
        process = await self.start(*arguments, stdin=asyncio.subprocess.PIPE)
        async with asyncio.timeout(WITHIN_S):
            out, err = await process.communicate(given.encode())
        assert process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    async def ask(self, *arguments: str) -> Any:
        """The JSON of a command that has to go well."""
        status, out, err = await self.run(*arguments, "--json")
        assert status == 0, err
        return json.loads(out)


@pytest.fixture
def shell(tmp_path: Path, gateway: Gateway) -> Shell:
    (tmp_path / "home").mkdir()
    return Shell(tmp_path / "home", target_of(gateway))


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


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("make", "x", "--duration", "4"), 2, ("duration_s", "5 to 240")),
        (("make", "x", "--duration", "soon"), 2, ("--duration", "soon")),
        (("make", "x", "--seed", "5000000000"), 2, ("seed", "4294967295")),
        (("make", "x", "--lyrics", "missing.txt"), 2, ("missing.txt",)),
        (("make", "a song in the voice of Taylor Swift"), 1, ("PROMPT_REFUSED",)),
        (("make", b"\xff\xfe"), 2, ("UTF-8",)),
        (("show", "00000000-0000-4000-8000-000000000000"), 3, ("SONG_NOT_FOUND",)),
        (("list", "--state", "sleeping"), 2, ("sleeping", "queued")),
        (("list", "--limit", "0"), 2, ("--limit",)),
        (("delete", "00000000-0000-4000-8000-000000000000"), 3, ("SONG_NOT_FOUND",)),
        (("mint", "x", "--rpc-url", "http://127.0.0.1:9"), 2, ("--private-key-file",)),
        (("sing",), 2, ("sing",)),
        ((), 2, ("COMMAND",)),
        (("list", "--target", "nowhere"), 2, ("host:port",)),
        (("list", "--target", "127.0.0.1:9", "--patience", "0.3"), 6, ("UNAVAILABLE",)),
    ],
)
async def test_what_is_wrong_is_one_clear_line(
    shell: Shell, arguments: tuple[str, ...], status: int, words: tuple[str, ...]
) -> None:
    ended, out, err = await shell.run(*arguments)
    assert (ended, out) == (status, ""), err
    assert err.splitlines()[-1].startswith("acesteps: ")
    assert all(word in err.splitlines()[-1] for word in words), err


async def test_login_keeps_target_and_key_for_the_owner_alone(shell: Shell, keyed: Keyed) -> None:
    del shell.environment["ACESTEPS_TARGET"]
    secret = await keyed.secret(account_pb.SCOPE_READ)
    assert (await shell.run("login", keyed.target))[0] == 4
    status, out, err = await shell.run("login", keyed.target, "--api-key-file", "-", given=f"{secret}\n")
    assert status == 0, err
    (profile,) = shell.folder.rglob("profile.json")
    assert str(profile) in out
    assert secret not in out + err
    assert stat.S_IMODE(profile.stat().st_mode) == 0o600
    assert json.loads(profile.read_text())["api_key"] == secret
    assert (await shell.run("list"))[:2] == (0, "")
    shell.environment["ACESTEPS_API_KEY"] = "ace_" + "A" * 43
    assert (await shell.run("list"))[0] == 4


@pytest.mark.parametrize("content", ['{"target": 7}', '{"tarqet": "x"}', "[]", "{", "\udcff"])
async def test_a_profile_that_login_did_not_write_is_one_line(shell: Shell, content: str) -> None:
    profile = shell.folder / ".config" / "acesteps" / "profile.json"
    profile.parent.mkdir(parents=True)
    profile.write_bytes(content.encode("utf-8", "surrogateescape"))
    status, _, err = await shell.run("list")
    assert (status, "chmod 600" in err) == (2, True)
    profile.chmod(0o600)
    status, _, err = await shell.run("list")
    assert (status, "log in again" in err) == (2, True)
    assert (await shell.run("logout"))[0] == 0
    assert not profile.exists()


async def test_login_keeps_nothing_that_does_not_work(shell: Shell) -> None:
    status, _, _ = await shell.run("login", "127.0.0.1:9", "--patience", "0.3")
    assert status == 6
    assert list(shell.folder.rglob("profile.json")) == []


def test_a_key_goes_to_the_gateway_that_it_is_for_and_to_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    store_profile(Profile("one.example:443", "ace_secret", None, "ca.pem"))
    assert read_profile({}).api_key == "ace_secret"
    assert read_profile({}, "one.example:443").api_key == "ace_secret"
    assert read_profile({}, "other.example:443") == Profile("other.example:443")
    assert read_profile({"ACESTEPS_TARGET": "other.example:443"}) == Profile("other.example:443")
    assert read_profile({"ACESTEPS_API_KEY": "ace_other"}).api_key == "ace_other"


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


@pytest.mark.parametrize("content", ["", "0x1234", "not a key at all", "é" * 32, "ff" * 32])
def test_a_wrong_key_is_refused_without_being_quoted(content: str) -> None:
    with pytest.raises(ValueError, match="32 bytes in hex") as error:
        account_from(content)
    assert not content or content not in str(error.value)


def test_a_keystore_opens_with_its_password_only(tmp_path: Path) -> None:
    account = Account.create()
    store = tmp_path / "key.json"
    store.write_text(json.dumps(Account.encrypt(account.key, "right", kdf="pbkdf2", iterations=1000)))
    assert account_from_keystore(store, "right").address == account.address
    for password, path in (("wrong", store), ("right", Path(__file__))):
        with pytest.raises(ValueError, match="password"):
            account_from_keystore(path, password)


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
