"""A signer that cannot sign rightly does not start: one clear line, exit status 2, and no secret in it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from deploy.local.postgres import Database
from services.common.settings import load_settings
from services.signer.settings import SignerSettings
from tests.signer.process import plain_environment, write_files

Settings = dict[str, str]


def wrong_password(settings: Settings) -> None:
    Path(settings["SIGNER_KEYSTORE_PASSWORD_FILE"]).write_text("guess")


def no_keystore(settings: Settings) -> None:
    Path(settings["SIGNER_KEYSTORE_FILE"]).unlink()


def one_key_for_both_formats(settings: Settings) -> None:
    for name in ("KEYSTORE_FILE", "KEYSTORE_PASSWORD_FILE"):
        settings[f"SIGNER_PACKED_{name}"] = settings[f"SIGNER_{name}"]


def bundle_rolled_back(settings: Settings) -> None:
    Path(settings["SIGNER_TRUST_STATE_FILE"]).write_text(json.dumps({"version": 2}))


def no_postgresql(settings: Settings) -> None:
    settings["SIGNER_DATABASE_URL"] = "postgresql://signer:hunter2@127.0.0.1:1/acesteps"


def schema_of_somebody_else(settings: Settings) -> None:
    settings["SIGNER_DATABASE_URL"] = settings["SIGNER_DATABASE_URL"].replace(
        "acesteps_signer", "acesteps_gateway"
    )


CANNOT_START: Mapping[str, tuple[Callable[[Settings], None], str]] = {
    "wrong_password": (wrong_password, "eip712.json: wrong password"),
    "no_keystore": (no_keystore, "cannot read the keystore"),
    "one_key_for_both_formats": (one_key_for_both_formats, "the packed key is the key of EIP-712 permits"),
    "bundle_rolled_back": (bundle_rolled_back, "version 1 is older than 2"),
    "no_postgresql": (no_postgresql, "cannot open the ledger in SIGNER_DATABASE_URL"),
    "schema_of_somebody_else": (schema_of_somebody_else, "cannot open the ledger in SIGNER_DATABASE_URL"),
}


@pytest.mark.parametrize("url", ["postgresql://signer:hun/ter2@db/x", "postgresql://signer:hun?ter2@db/x"])
@pytest.mark.parametrize(
    ("module", "setting"),
    [("services.signer", "SIGNER_DATABASE_URL"), ("services.signer.migrate", "SIGNER_OWNER_DATABASE_URL")],
)
def test_a_password_that_breaks_its_url_is_not_shown(
    tmp_path: Path, url: str, module: str, setting: str
) -> None:
    settings = write_files(tmp_path) if module == "services.signer" else {}
    ended = start(
        f"import runpy; runpy.run_module('{module}', run_name='__main__')", settings | {setting: url}
    )
    assert ended.returncode in (1, 2)
    assert "not a PostgreSQL URL" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "hun" not in ended.stderr
    assert "ter2" not in ended.stderr


@pytest.mark.parametrize(("spoil", "complaint"), CANNOT_START.values(), ids=CANNOT_START.keys())
def test_a_start_that_cannot_succeed_is_one_clear_line(
    database: Database, tmp_path: Path, spoil: Callable[[Settings], None], complaint: str
) -> None:
    settings = write_files(tmp_path) | {
        "SIGNER_DATABASE_URL": database.signer_dsn,
        "SIGNER_LOG_LEVEL": "ERROR",
    }
    spoil(settings)
    ended = start("import runpy; runpy.run_module('services.signer', run_name='__main__')", settings)
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "hunter2" not in ended.stderr


def test_without_the_native_library_it_does_not_start() -> None:
    ended = start("import sys; sys.modules['coincurve'] = None; import services.signer.service", {})
    assert ended.returncode == 1
    assert ended.stderr == "signer: the native secp256k1 library (package coincurve) cannot be loaded\n"


def start(code: str, settings: Settings) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=plain_environment() | settings,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("SIGNER_CONTRACT", "0x123", "SIGNER_CONTRACT: .* not an Ethereum address"),
        ("SIGNER_CONTRACT", "0x" + "0" * 40, "SIGNER_CONTRACT: .* zero address"),
        ("SIGNER_CHAIN_ID", "0", "SIGNER_CHAIN_ID: .* greater than or equal to 1"),
        ("SIGNER_CHAIN_ID", str(2**64), "SIGNER_CHAIN_ID: "),
        ("SIGNER_PERMIT_LIFETIME_S", "0", "SIGNER_PERMIT_LIFETIME_S: "),
        ("SIGNER_PACKED_KEYSTORE_PASSWORD_FILE", "", "go together"),
        ("SIGNER_KEYSTORE_FILE", "", "keystore_file and keystore_password_file go together"),
        ("SIGNER_KMS_KEY_ID", "alias/permits", "either keystore_file or kms_key_id"),
        ("SIGNER_KMS_REGION", "eu-central-1", "go with kms_key_id"),
        ("SIGNER_QUOTA", "9", "unknown setting SIGNER_QUOTA"),
    ],
)
def test_an_invalid_setting_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    complaint: str,
) -> None:
    settings = write_files(tmp_path) | {
        "SIGNER_DATABASE_URL": "postgresql://signer:hunter2@/acesteps",
        name: value,
    }
    for key, text in settings.items():
        monkeypatch.setenv(key, text)
    with pytest.raises(SystemExit) as ended:
        load_settings(SignerSettings, [])
    assert ended.value.code == 2
    line = capsys.readouterr().err
    assert len(line.splitlines()) == 1
    assert "hunter2" not in line
    assert re.search(complaint, line)


def test_the_password_of_the_ledger_is_not_shown(tmp_path: Path) -> None:
    settings = write_files(tmp_path) | {"SIGNER_DATABASE_URL": "postgresql://signer:hunter2@/acesteps"}
    code = "from services.signer.settings import SignerSettings; print(SignerSettings())"
    assert "hunter2" not in start(code, settings).stdout
