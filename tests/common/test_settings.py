"""Settings stop a start with one clear line, or are what the environment says."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.common.settings import ServiceSettings, load_settings, read_setting


class ProbeSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="PROBE_")

    slots: Annotated[int, Field(ge=1)] = 1
    token: SecretStr = SecretStr("")


def test_fields_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_SLOTS", "3")
    for name in ("CERT", "KEY", "CA"):
        monkeypatch.setenv(f"PROBE_TLS_{name}_FILE", f"{name}.pem")
    monkeypatch.setenv("PROBE_ALLOWED_CALLERS", "a.example, b.example")
    settings = load_settings(ProbeSettings, [])
    assert settings.slots == 3
    assert settings.allowed_callers == ("a.example", "b.example")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PROBE_SLOTS", "none", ["PROBE_SLOTS", "integer"]),
        ("PROBE_SLOTS", "0", ["PROBE_SLOTS", "greater than or equal to 1"]),
        ("PROBE_SLOST", "2", ["unknown setting PROBE_SLOST"]),
        ("PROBE_GRPC_PORT", "70000", ["PROBE_GRPC_PORT", "65535"]),
        ("PROBE_TLS_KEY_FILE", "key.pem", ["tls_cert_file, tls_key_file and tls_ca_file go together"]),
        ("PROBE_ENVIRONMENT", "production", ["production needs tls_cert_file"]),
        ("PROBE_ALLOWED_CALLERS", "gateway", ["names on certificates", "needs tls_cert_file"]),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    words: list[str],
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        load_settings(ProbeSettings, [])
    line = capsys.readouterr().err
    assert caught.value.code == 2
    assert line.count("\n") == 1
    assert all(word in line for word in words)


def test_help_lists_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_settings(ProbeSettings, ["--help"])
    shown = capsys.readouterr().out
    assert caught.value.code == 0
    assert all(f"PROBE_{name}".upper() in shown for name in ProbeSettings.model_fields)
    assert "(default: 1)" in shown


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A secret as Kubernetes mounts it: links to a hidden folder that is exchanged as a whole."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "..2026" / "probe_token").write_text("from a file\n")
    (tmp_path / "probe_token").symlink_to("..data/probe_token")
    monkeypatch.setenv("PROBE_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_a_secret_comes_from_its_file_unless_the_environment_has_it(
    mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(ProbeSettings, []).token.get_secret_value() == "from a file"
    assert read_setting("PROBE_TOKEN") == "from a file"
    monkeypatch.setenv("PROBE_TOKEN", "from the environment")
    assert load_settings(ProbeSettings, []).token.get_secret_value() == "from the environment"
    assert read_setting("PROBE_TOKEN") == "from the environment"
    assert read_setting("PROBE_SLOTS") == read_setting("OTHER_TOKEN") == ""


def test_a_bad_secret_is_told_by_name_and_not_by_value(
    mounted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mounted / "probe_slots").write_text("a-secret-word")
    with pytest.raises(SystemExit):
        load_settings(ProbeSettings, [])
    line = capsys.readouterr().err
    assert "PROBE_SLOTS" in line
    assert "a-secret-word" not in line


def test_a_file_that_names_no_setting_stops_the_start(
    mounted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mounted / "probe_tokn").write_text("x")
    with pytest.raises(SystemExit):
        load_settings(ProbeSettings, [])
    assert "probe_tokn" in capsys.readouterr().err


def test_a_folder_of_secrets_that_is_not_there_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROBE_SECRETS_DIR", "/nowhere/at/all")
    with pytest.raises(SystemExit):
        load_settings(ProbeSettings, [])
    assert "PROBE_SECRETS_DIR: /nowhere/at/all is no folder" in capsys.readouterr().err
