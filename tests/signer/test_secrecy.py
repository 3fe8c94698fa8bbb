"""A key stays inside its process: not in logs, errors, tracebacks, metrics, core files or another's reach."""

import base64
import os
import resource
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from urllib.request import urlopen

import pytest

from deploy.local.postgres import Database
from services.common.errors import ServiceError
from services.signer.keys import KeystoreKey, SignatureDefect, sign_checked
from services.signer.keystore import KeystoreError, decrypt, encrypt
from tests.signer.attested import STRANGER, request_for, statement
from tests.signer.process import SignerProcess, write_files
from tests.signer.test_start import start

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="prctl and /proc are Linux's")
SECRET = bytes.fromhex("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318")
PASSWORD = b"opensesame-and-nothing-else"


def forms(secret: bytes) -> set[str]:
    """Every way that a careless line could write it."""
    as_repr = repr(secret)[2:-1]
    return {
        secret.hex(),
        secret.hex().upper(),
        str(int.from_bytes(secret)),
        as_repr,
        base64.b64encode(secret).decode(),
    }


def told_with_locals(error: BaseException) -> str:
    """What a crash reporter sends: every frame of every cause and context, with its locals."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    chained = "".join(whole.format())
    hidden = error.__context__
    return chained + (told_with_locals(hidden) if hidden is not None else "")


def metrics(process: SignerProcess) -> str:
    with urlopen(f"http://127.0.0.1:{process.metrics_port}/metrics", timeout=5) as response:
        return str(response.read().decode())


def expect_silent(text: str, *secrets: bytes) -> None:
    for secret in secrets:
        assert not [form for form in forms(secret) if form in text]


@pytest.mark.parametrize("broken", ["wrong password", "no scalar", "wrong length", "malformed"])
def test_a_traceback_with_locals_of_a_failed_start_holds_no_secret(tmp_path: Path, broken: str) -> None:
    secret = {"no scalar": b"\xff" * 32}.get(broken, SECRET)
    keystore, password = tmp_path / "key.json", tmp_path / "password"
    content = encrypt(secret, "0x" + "00" * 20, PASSWORD, scrypt_n=4)
    if broken == "malformed":
        content = content.replace(b'"version": 3', b'"version": 1')
    if broken == "wrong length":
        content = content.replace(b'"dklen": 32', b'"dklen": 16')
    keystore.write_bytes(content)
    password.write_bytes(PASSWORD + (b"!" if broken == "wrong password" else b"") + b"\n")
    with pytest.raises(KeystoreError) as refused:
        KeystoreKey.load(keystore, password)
    # This frame's own locals are the test's, not the signer's.
    refused.value.with_traceback(refused.value.__traceback__.tb_next if refused.value.__traceback__ else None)
    expect_silent(told_with_locals(refused.value), secret, PASSWORD)


async def test_a_traceback_with_locals_of_a_failed_signature_holds_no_secret(tmp_path: Path) -> None:
    keystore, password = tmp_path / "key.json", tmp_path / "password"
    keystore.write_bytes(encrypt(SECRET, "0x" + "00" * 20, PASSWORD, scrypt_n=4))
    password.write_bytes(PASSWORD)
    key = KeystoreKey.load(keystore, password)
    key.address = b"\x01" * 20
    with pytest.raises(SignatureDefect) as refused:
        await sign_checked(key, b"\x07" * 32)
    told = told_with_locals(refused.value)
    assert "KeystoreKey" in told  # locals are there, and the key says its address only
    expect_silent(told, SECRET, PASSWORD)
    with pytest.raises(Exception) as failed:  # noqa: PT011  # whatever the library raises
        await key.sign(b"short")
    expect_silent(told_with_locals(failed.value), SECRET, PASSWORD)


async def test_a_working_signer_says_nothing_of_its_keys(database: Database, tmp_path: Path) -> None:
    """Its log at the most talkative level, its metrics and all its answers."""
    settings = write_files(tmp_path / "signer") | {
        "SIGNER_DATABASE_URL": database.signer_dsn,
        "SIGNER_LOG_LEVEL": "DEBUG",
    }
    passwords = [
        Path(settings[f"SIGNER_{p}KEYSTORE_PASSWORD_FILE"]).read_bytes().strip() for p in ("", "PACKED_")
    ]
    keystores = [Path(settings[f"SIGNER_{p}KEYSTORE_FILE"]).read_bytes() for p in ("", "PACKED_")]
    secrets = [decrypt(k, p) for k, p in zip(keystores, passwords, strict=True)]
    process = SignerProcess(settings, tmp_path / "log")
    with process.running():
        async with process.client() as client:
            answers = [str(await client.permit(request_for(statement()))), str(await client.describe())]
            with pytest.raises(ServiceError) as refused:
                await client.permit(request_for(statement(), to=STRANGER))
            answers.append(f"{refused.value} {refused.value.metadata}")
        answers.append(metrics(process))
        environment = Path(f"/proc/{process.pid}/environ")
        if sys.platform == "linux" and os.geteuid() == 0:
            answers.append(environment.read_text())
        assert process.stop() == 0
    expect_silent("\n".join(answers) + process.log.read_text(), *secrets, *passwords)


@LINUX
def test_a_signer_that_is_aborted_leaves_no_core(database: Database, tmp_path: Path) -> None:
    """Though it was started with leave to write one, as the plain process beside it does."""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("core files are forbidden to everybody here (ulimit -H -c)")
    leave = "import resource as r; r.setrlimit(r.RLIMIT_CORE, (r.getrlimit(r.RLIMIT_CORE)[1],) * 2);"
    plain = subprocess.Popen([sys.executable, "-c", f"{leave} import os; os.abort()"], cwd=tmp_path)
    _, status = os.waitpid(plain.pid, 0)
    plain.returncode = os.waitstatus_to_exitcode(status)
    if not os.WCOREDUMP(status):
        pytest.skip("this system writes no core files (/proc/sys/kernel/core_pattern)")

    settings = write_files(tmp_path / "signer") | {"SIGNER_DATABASE_URL": database.signer_dsn}
    process = SignerProcess(settings, tmp_path / "log")
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        with process.running():
            os.kill(process.pid, signal.SIGABRT)
            _, status = os.waitpid(process.pid, 0)
            assert process._process is not None
            process._process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)


# A user's process that tries to read a secret out of two of its children, the second one protected.
READER = """
import ctypes, os, signal
from services.signer.keys.memory import forbid_core_dumps
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
secret = ctypes.create_string_buffer(b"the key")
for protected in (False, True):
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as every program starts
        if protected:
            forbid_core_dumps()
        os.write(tell, b"x")
        signal.pause()
    os.read(ready, 1)
    try:
        with open(f"/proc/{child}/mem", "rb", buffering=0) as memory:
            memory.seek(ctypes.addressof(secret))
            print(memory.read(7))
    except PermissionError:
        print("refused")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@LINUX
def test_another_process_of_the_same_user_cannot_read_its_memory() -> None:
    ended = start(READER, {})
    assert ended.stdout == "b'the key'\nrefused\n", ended.stderr


def test_signing_never_comes_to_a_library_that_would_go_on_in_python() -> None:
    code = (
        "import sys, services.signer.service, services.signer.deploy, services.signer.keys.commands;"
        "print([name for name in ('eth_account', 'eth_keys', 'web3') if name in sys.modules])"
    )
    assert start(code, {}).stdout == "[]\n"


@pytest.mark.parametrize("module", ["services.signer", "services.signer.keys", "services.signer.deploy"])
def test_no_command_starts_without_the_native_library(module: str) -> None:
    """Neither a missing package nor one whose compiled part cannot be loaded is worked around."""
    run = f"import runpy; sys.argv = ['x', '--help']; runpy.run_module({module!r}, run_name='__main__')"
    for missing in ("coincurve", "coincurve._libsecp256k1"):
        ended = start(f"import sys; sys.modules[{missing!r}] = None; {run}", {})
        assert ended.returncode == 1
        assert ended.stderr == "signer: the native secp256k1 library (package coincurve) cannot be loaded\n"
