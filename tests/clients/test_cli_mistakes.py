"""What the command line says to mistakes, and which keys it keeps, sends and refuses."""

import json
import stat
from pathlib import Path

import pytest
from eth_account import Account

from acesteps.cli.profile import Profile, read_profile, store_profile
from acesteps.gateway.v1 import account_service_pb2 as account_pb
from acesteps.wallet import account_from, account_from_keystore
from tests.clients.conftest import Keyed
from tests.clients.shell import Shell

SHORT = ("--duration", "5", "--instrumental", "--seed", "7")
PROMPT = "calm jazz hop, 84 bpm"


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
