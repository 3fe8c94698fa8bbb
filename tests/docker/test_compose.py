"""The compose files: valid, hardened, and every setting in them is one that the service knows."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from cryptography import x509

from deploy.docker import certificates, compose_file, secrets
from deploy.docker.certificates import Authority
from deploy.docker.images import FOLDER, IMAGES, read_bases
from deploy.local.postgres import ROLES, Postgres
from services.common.settings import load_settings
from tests.docker.test_dockerfiles import SETTINGS

PLAIN = (FOLDER / "compose.yaml",)
WITH_MODELS = (*PLAIN, FOLDER / "gpu.yaml")
PRODUCTION = {
    "ENVIRONMENT": "production",
    "AUTH": "accounts",
    "PUBLIC_URL": "https://songs.example",
    "CHAIN_ID": "8453",
    "CONTRACT": "0x5fbdb2315678afecb367f032d93f642f64180aa3",
    "CHAIN_RPC_URL": "https://rpc.example",
}

each_set = pytest.mark.parametrize("files", [PLAIN, WITH_MODELS], ids=["builtin", "models"])


def services(files: tuple[Path, ...], variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = compose_file.load(variables or {}, *files)["services"]
    return found


@each_set
def test_the_file_is_what_the_specification_allows(files: tuple[Path, ...]) -> None:
    merged = compose_file.load({}, *files)
    parsed = PyCompose.from_yaml(yaml.safe_dump(merged))
    assert "gateway" in parsed.service_names()
    merged["services"]["gateway"]["read_onyl"] = True
    with pytest.raises(ValueError, match="read_onyl"):
        PyCompose.from_yaml(yaml.safe_dump(merged))


@each_set
@pytest.mark.parametrize("variables", [{}, PRODUCTION], ids=["development", "production"])
def test_every_service_takes_the_settings_that_it_is_given(
    files: tuple[Path, ...],
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("gateway_url_keys", "gateway_webhook_key"):
        (tmp_path / name).write_text("k" * 40)
    described = services(files, variables)
    for name, cls in SETTINGS.items():
        with monkeypatch.context() as patch:
            for variable, value in described[name]["environment"].items():
                patch.setenv(variable, str(value))
            if "ACESTEPS_SECRETS_DIR" in described[name]["environment"]:
                patch.setenv("ACESTEPS_SECRETS_DIR", str(tmp_path))
            settings = load_settings(cls, [])
        assert settings.tls is not None
        assert settings.health_port == 8081
        assert settings.environment == variables.get("ENVIRONMENT", "development")


@each_set
def test_the_gateway_looks_for_the_others_where_they_are(files: tuple[Path, ...]) -> None:
    described = services(files)
    for name in ("lyrics", "music", "signer"):
        port = SETTINGS[name].model_fields["grpc_port"].default
        assert (
            described["gateway"]["environment"][f"GATEWAY_{name.upper()}_TARGET"] == f"dns:///{name}:{port}"
        )
        assert set(described["gateway"]["networks"]) & set(described[name]["networks"])


@each_set
def test_no_container_can_do_more_than_it_has_to(files: tuple[Path, ...]) -> None:
    for name, service in services(files).items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        if "cap_add" in service:
            assert name in ("secrets", "postgres")
        if "ports" in service:
            assert name == "gateway"
            assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@each_set
def test_a_secret_is_mounted_by_whom_it_is_for_and_is_not_written(files: tuple[Path, ...]) -> None:
    users: dict[str, set[str]] = {}
    for name, service in services(files).items():
        for volume in service.get("volumes", ()):
            source, _, rest = volume.partition(":")
            if source.startswith(("secrets-", "authority")) and name != "secrets":
                users.setdefault(source, set()).add(name)
                assert rest == "/run/acesteps:ro", (name, volume)
    assert users == {
        "secrets-gateway": {"gateway"},
        "secrets-lyrics": {"lyrics"},
        "secrets-music": {"music"},
        "secrets-postgres": {"postgres", "roles"},
        "secrets-signer": {"signer"},
        "secrets-signer-owner": {"signer-migrate"},
        "secrets-trust": {"trust"},
    }


def test_every_image_of_ours_is_one_that_is_built() -> None:
    ours = {f"acesteps/{image.name}:0.1.0" for image in IMAGES}
    used = {service["image"] for files in (PLAIN, WITH_MODELS) for service in services(files).values()}
    assert used - ours == {"postgres:18-bookworm"}
    assert ours <= used


def test_compose_builds_on_the_same_bases() -> None:
    for name, service in services(WITH_MODELS).items():
        arguments = service.get("build", {}).get("args", {})
        assert {k: v for k, v in arguments.items() if k.endswith("_IMAGE")}.items() <= read_bases().items(), (
            name
        )


def test_the_roles_are_those_of_a_laptop_and_may_be_made_again(postgres: Postgres, tmp_path: Path) -> None:
    for name in ("gateway", "signer", "signer-owner"):
        (tmp_path / f"{name}.password").write_text("00ff")
    sql = (FOLDER / "roles.sql").read_text().replace("/run/acesteps", str(tmp_path))
    os.chmod(tmp_path, 0o755)
    postgres.execute("CREATE DATABASE acesteps")
    try:
        for _ in range(2):
            postgres.execute(sql, "acesteps")
        owners = postgres.execute(
            "SELECT nspname || ' ' || nspowner::regrole FROM pg_namespace "
            "WHERE nspname IN ('gateway', 'signer') ORDER BY 1",
            "acesteps",
        )
        assert owners.split("\n")[:2] == ["gateway acesteps_gateway", "signer acesteps_signer_owner"]
        assert all(role in sql for role in ROLES)
        rights = postgres.execute(
            "SELECT has_schema_privilege('acesteps_gateway', 'signer', 'USAGE')", "acesteps"
        )
        assert rights.strip() == "f"
    finally:
        postgres.drop_database("acesteps")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users, which only root may")
def test_secrets_are_made_once_and_lie_with_whom_they_are_for(tmp_path: Path) -> None:
    assert secrets.main(tmp_path) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert secrets.main(tmp_path) == 0
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for path in before:
        if path.parent.name not in ("postgres", "authority"):
            assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (10001, 0o600), path
    assert (tmp_path / "authority" / "ca.key").stat().st_mode & 0o777 == 0o600
    password = (tmp_path / "postgres" / "signer.password").read_text()
    assert f":acesteps_signer:{password}\n" in (tmp_path / "signer" / "pgpass").read_text()


def test_a_certificate_that_runs_out_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("authority", "music"):
        (tmp_path / name).mkdir()
    authority = Authority(tmp_path / "authority")
    assert authority.ensure(tmp_path / "music", "music")
    assert not Authority(tmp_path / "authority").ensure(tmp_path / "music", "music")
    first = x509.load_pem_x509_certificate((tmp_path / "music" / "tls.pem").read_bytes())
    first.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pem))
    monkeypatch.setattr(certificates, "RENEW_BEFORE", certificates.LIFE + timedelta(days=1))
    assert authority.ensure(tmp_path / "music", "music")
    second = x509.load_pem_x509_certificate((tmp_path / "music" / "tls.pem").read_bytes())
    assert second.serial_number != first.serial_number
