"""A key in AWS KMS, here moto: what it signs recovers to it, and what it does not sign, nobody does."""

import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import asyncpg
import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric import utils
from eth_account import Account

from deploy.local.postgres import Database
from services.common.errors import Unavailable
from services.signer.keys import KeyOpenError, KeystoreKey, KmsKey, SignatureDefect, checksummed, sign_checked
from services.signer.keys import kms as kms_module
from services.signer.keys.commands import main as keys_cli
from services.signer.keys.kms import canonical
from services.signer.keys.signing import ORDER
from tests.signer.attested import request_for, statement
from tests.signer.process import SignerProcess, write_files
from tests.signer.test_start import start

REGION = "eu-central-1"
AWS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
    "AWS_EC2_METADATA_DISABLED": "true",
}
DIGEST = b"\x07" * 32


@dataclass(frozen=True)
class Kms:
    endpoint: str
    pid: int

    def new_key(self, spec: str = "ECC_SECG_P256K1", usage: str = "SIGN_VERIFY") -> str:
        client = boto3.client(
            "kms",
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        return str(client.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"])

    def open(self, key_id: str | None = None) -> KmsKey:
        return KmsKey.open(key_id or self.new_key(), region=REGION, endpoint=self.endpoint)


@contextmanager
def serving(*options: str) -> Iterator[Kms]:
    command = [sys.executable, str(Path(__file__).with_name("kms_server.py")), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            yield Kms(f"http://127.0.0.1:{int(server.stdout.readline())}", server.pid)
        finally:
            server.kill()


@pytest.fixture(scope="module")
def kms() -> Iterator[Kms]:
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)


async def test_a_signature_of_kms_is_whole_low_s_and_recovers_to_its_address(kms: Kms) -> None:
    key = kms.open()
    signatures = [await sign_checked(key, bytes([n]) * 32) for n in range(16)]
    for n, signature in enumerate(signatures):
        v_r_s = signature[64], *(int.from_bytes(part) for part in (signature[:32], signature[32:64]))
        assert Account._recover_hash(bytes([n]) * 32, vrs=v_r_s) == checksummed(key.address)
    assert {signature[64] for signature in signatures} == {27, 28}
    assert repr(key) == f"<KmsKey {checksummed(key.address)}>"
    with pytest.raises(TypeError):
        pickle.dumps(key)


async def test_a_high_s_is_flipped_and_anything_else_refused() -> None:
    local = KeystoreKey(b"\x11" * 32)
    signature = await local.sign(DIGEST)
    r, s = (int.from_bytes(part) for part in (signature[:32], signature[32:64]))
    for given in (s, ORDER - s):
        assert canonical(utils.encode_dss_signature(r, given), DIGEST, local.address) == signature
    bad = {
        "of another key": utils.encode_dss_signature(r, s + 1),
        "no DER": b"\x30\x00",
        "r beyond 32 bytes": utils.encode_dss_signature(1 << 256, s),
        "zero": utils.encode_dss_signature(0, 0),
        "s beyond the order": utils.encode_dss_signature(r, ORDER + 1),
    }
    for name, der in bad.items():
        with pytest.raises(SignatureDefect):
            pytest.fail(f"{name}: {canonical(der, DIGEST, local.address)!r}")


async def test_a_kms_that_signs_something_else_gives_no_signature() -> None:
    with serving("--hashes-again") as other, pytest.raises(SignatureDefect, match="another address"):
        await sign_checked(other.open(), DIGEST)


def test_a_key_that_cannot_be_used_is_one_clear_line(kms: Kms, monkeypatch: pytest.MonkeyPatch) -> None:
    unusable = {
        r"is ECC_NIST_P256 for SIGN_VERIFY; a permit key is ECC_SECG_P256K1": kms.new_key("ECC_NIST_P256"),
        r"NotFoundException": "no-such-key",
    }
    for complaint, key_id in unusable.items():
        with pytest.raises(KeyOpenError, match=complaint) as refused:
            kms.open(key_id)
        assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(KeyOpenError, match="Could not connect"):
        KmsKey.open("any", region=REGION, endpoint="http://127.0.0.1:1")
    with pytest.raises(KeyOpenError, match="Invalid endpoint"):
        KmsKey.open("any", region=REGION, endpoint="not a url")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with pytest.raises(KeyOpenError, match="credentials"):
        kms.open("any")


def test_without_boto3_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(KeyOpenError, match=r"pip install -r requirements/kms\.txt"):
        KmsKey.open("any", region=REGION)


async def test_a_kms_that_hangs_is_given_up_and_used_again_when_it_is_back(
    kms: Kms, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = kms.open()
    monkeypatch.setattr(kms_module, "SIGN_TIMEOUT_S", 0.3)
    os.kill(kms.pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable) as refused:
            await sign_checked(key, DIGEST)
        assert refused.value.reason == "KEY_UNAVAILABLE"
    finally:
        os.kill(kms.pid, signal.SIGCONT)
    monkeypatch.undo()
    assert len(await sign_checked(key, DIGEST)) == 65


async def test_what_kms_fails_once_is_asked_again(kms: Kms) -> None:
    key_id, failures = kms.new_key(), [500, 503]

    class Failing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            is_sign = str(self.headers["x-amz-target"]).endswith(".Sign")
            if is_sign and failures:
                status, answer = failures.pop(), b"{}"
            else:
                forwarded = Request(kms.endpoint, body, dict(self.headers.items()))
                with urlopen(forwarded, timeout=5) as response:
                    status, answer = 200, response.read()
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        key = KmsKey.open(key_id, region=REGION, endpoint=f"http://127.0.0.1:{proxy.server_port}")
        assert len(await sign_checked(key, DIGEST)) == 65
        proxy.shutdown()
    assert not failures


def test_address_of_a_kms_key_is_printed(
    kms: Kms, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key_id = kms.new_key()
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", kms.endpoint)
    assert keys_cli(["address", "--kms-key-id", key_id]) == 0
    assert capsys.readouterr().out.strip() == checksummed(kms.open(key_id).address)


def with_kms(folder: Path, database: Database, kms: Kms, key_id: str) -> dict[str, str]:
    """A signer's settings with the EIP-712 key in KMS and the packed one in its keystore."""
    settings = write_files(folder) | {"SIGNER_DATABASE_URL": database.signer_dsn} | AWS
    del settings["SIGNER_KEYSTORE_FILE"], settings["SIGNER_KEYSTORE_PASSWORD_FILE"]
    return settings | {
        "SIGNER_KMS_KEY_ID": key_id,
        "SIGNER_KMS_REGION": REGION,
        "SIGNER_KMS_ENDPOINT": kms.endpoint,
    }


async def test_the_signer_signs_with_kms_and_not_at_all_while_kms_is_down(
    database: Database, tmp_path: Path
) -> None:
    with serving() as kms:
        key_id = kms.new_key()
        process = SignerProcess(with_kms(tmp_path / "signer", database, kms, key_id), tmp_path / "log")
        with process.running():
            async with process.client() as client:
                request = request_for(statement())
                permit = await client.permit(request)
                assert permit.signer == checksummed(kms.open(key_id).address)
                os.kill(kms.pid, signal.SIGKILL)
                with pytest.raises(Unavailable) as refused:
                    await client.permit(request_for(statement()))
                assert refused.value.reason == "KEY_UNAVAILABLE"
                connection = await asyncpg.connect(database.superuser_dsn)
                audited = await connection.fetch("SELECT verdict, reason FROM signer.audit ORDER BY id")
                signed = await connection.fetchval("SELECT count(signature) FROM signer.permits")
                await connection.close()
                assert [tuple(line) for line in audited] == [
                    ("permitted", None),
                    ("refused", "KEY_UNAVAILABLE"),
                ]
                assert signed == 1
                # What was signed is in the ledger: that needs no key.
                assert (await client.permit(request)).signature == permit.signature
        assert AWS["AWS_SECRET_ACCESS_KEY"] not in process.log.read_text()


Settings = dict[str, str]


def both_keys(settings: Settings) -> None:
    settings["SIGNER_KEYSTORE_FILE"] = settings["SIGNER_PACKED_KEYSTORE_FILE"]
    settings["SIGNER_KEYSTORE_PASSWORD_FILE"] = settings["SIGNER_PACKED_KEYSTORE_PASSWORD_FILE"]


def one_key_for_both(settings: Settings) -> None:
    del settings["SIGNER_PACKED_KEYSTORE_FILE"], settings["SIGNER_PACKED_KEYSTORE_PASSWORD_FILE"]
    settings["SIGNER_PACKED_KMS_KEY_ID"] = settings["SIGNER_KMS_KEY_ID"]


def no_kms(settings: Settings) -> None:
    settings["SIGNER_KMS_ENDPOINT"] = "http://127.0.0.1:1"


def plaintext_in_production(settings: Settings) -> None:
    settings["SIGNER_ENVIRONMENT"] = "production"
    for name in ("CERT", "KEY", "CA"):
        settings[f"SIGNER_TLS_{name}_FILE"] = os.devnull


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (both_keys, "either keystore_file or kms_key_id"),
        (one_key_for_both, "the packed key is the key of EIP-712 permits"),
        (no_kms, "KMS key .* Could not connect"),
        (plaintext_in_production, "https://"),
    ],
)
def test_a_signer_with_unusable_kms_settings_does_not_start(
    kms: Kms, database: Database, tmp_path: Path, spoil: Callable[[Settings], None], complaint: str
) -> None:
    settings = with_kms(tmp_path, database, kms, kms.new_key()) | {"SIGNER_LOG_LEVEL": "WARNING"}
    spoil(settings)
    ended = start("import runpy; runpy.run_module('services.signer', run_name='__main__')", settings)
    assert ended.returncode == 2
    assert re.search(complaint, ended.stderr)
    assert len(ended.stderr.splitlines()) == 1
