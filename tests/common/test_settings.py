"""Settings stop a start with one clear line, or are what the environment says."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.settings import Names, ServiceSettings, load_settings, read_setting


class ProbeSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="PROBE_")

    slots: Annotated[int, Field(ge=1)] = 1


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


class SecretiveSettings(ProbeSettings):
    keys: Names = ()


def test_a_secret_may_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "probe_keys").write_text("one, two\n")
    (tmp_path / "probe_slots").write_text("3")
    (tmp_path / "tls.key").write_text("not a setting")
    monkeypatch.setenv("ACESTEPS_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("PROBE_SLOTS", "4")
    settings = load_settings(SecretiveSettings, [])
    assert settings.keys == ("one", "two")
    assert settings.slots == 4, "the variable wins"


def test_a_misspelt_secret_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "probe_kesy").write_text("one")
    monkeypatch.setenv("ACESTEPS_SECRETS_DIR", str(tmp_path))
    with pytest.raises(SystemExit):
        load_settings(SecretiveSettings, [])
    assert "unknown setting probe_kesy" in capsys.readouterr().err
    monkeypatch.setenv("ACESTEPS_SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit):
        load_settings(SecretiveSettings, [])
    assert "ACESTEPS_SECRETS_DIR" in capsys.readouterr().err


def test_a_command_reads_its_one_setting_from_the_environment_or_the_mounted_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "probe_slots").write_text("from a file\n")
    (tmp_path / "probe_slots").symlink_to("..data/probe_slots")  # as Kubernetes mounts it
    assert read_setting("PROBE_SLOTS") == ""
    monkeypatch.setenv("ACESTEPS_SECRETS_DIR", str(tmp_path))
    assert read_setting("PROBE_SLOTS") == "from a file"
    assert read_setting("PROBE_OTHER") == ""
    monkeypatch.setenv("PROBE_SLOTS", "from the environment")
    assert read_setting("PROBE_SLOTS") == "from the environment"
