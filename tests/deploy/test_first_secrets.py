"""A new installation's secrets: made once, kept, and such that the services start with them."""

import asyncio
import base64
import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy import first_secrets
from deploy.local import contract
from deploy.local import postgres as local_postgres
from deploy.local.chain import Chain
from deploy.local.cluster import binary, run
from deploy.local.postgres import ROLES, Postgres
from services.common.provenance import AttestationKey
from services.common.settings import load_settings
from services.common.trust import TrustBundle
from services.gateway.settings import GatewaySettings
from services.signer.keys import KeystoreKey
from services.signer.settings import SignerSettings


def made(folder: Path, *options: str) -> dict[str, dict[str, str]]:
    """What the objects hold, by their names."""
    assert first_secrets.main([str(folder), *options]) == 0
    listed = json.loads((folder / "secrets.json").read_text())
    assert listed["kind"] == "List"
    found: dict[str, dict[str, str]] = {}
    for item in listed["items"]:
        data: dict[str, str] = item["data"]
        secret = item["kind"] == "Secret"
        found[item["metadata"]["name"]] = {
            key: base64.b64decode(value).decode() if secret else value for key, value in data.items()
        }
    return found


def mounted(folder: Path, content: dict[str, str]) -> Path:
    folder.mkdir()
    for name, value in content.items():
        (folder / name).write_text(value)
    return folder


def test_a_second_run_keeps_every_key_and_nobody_else_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "installation"
    assert made(folder) == made(folder)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert {name for name, mode in modes.items() if mode & 0o077} == {"trust.json"}


def test_services_take_what_was_made_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = made(tmp_path / "installation", "--chain-rpc-url", "https://node.example/v2/key")
    monkeypatch.setenv("ACESTEPS_SECRETS_DIR", str(mounted(tmp_path / "gateway", content["gateway"])))
    for name in ("LYRICS", "MUSIC", "SIGNER"):
        monkeypatch.setenv(f"GATEWAY_{name}_TARGET", "dns:///name:1")
    monkeypatch.setenv("GATEWAY_OBJECTS_URL", "s3://bucket")
    gateway = load_settings(GatewaySettings, [])
    assert gateway.chain_rpc_url is not None
    assert gateway.chain_rpc_url.get_secret_value() == "https://node.example/v2/key"

    keystore = mounted(tmp_path / "keystore", content["signer-keystore"])
    assert KeystoreKey.load(keystore / "keystore.json", keystore / "password").address
    monkeypatch.setenv("ACESTEPS_SECRETS_DIR", str(mounted(tmp_path / "signer", content["signer"])))
    for name, value in {
        "KEYSTORE_FILE": str(keystore / "keystore.json"),
        "KEYSTORE_PASSWORD_FILE": str(keystore / "password"),
        "CHAIN_ID": "31337",
        "CONTRACT": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
        "TRUST_BUNDLE_FILE": "trust.json",
        "TRUST_STATE_FILE": "state",
    }.items():
        monkeypatch.setenv(f"SIGNER_{name}", value)
    assert "acesteps_signer:" in load_settings(SignerSettings, []).database_url.get_secret_value()


def test_the_bundle_trusts_the_pods_key_for_the_engine_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "installation"
    made(folder)
    key_id = AttestationKey.load(folder / "pod.pem").key_id
    content = made(folder, "--weights-digest", "ab" * 32)
    bundle = TrustBundle.parse(content["trust-bundle"]["trust.json"].encode())
    key = bundle.by_id()[key_id]
    assert bundle.version == 2
    assert "acestep" in key.engines
    assert "ab" * 32 in key.weights_digests
    assert "repaint" in key.tasks


def test_what_was_said_once_need_not_be_said_again(tmp_path: Path) -> None:
    folder = tmp_path / "installation"
    made(folder, "--postgresql", "db.example:5432/songs?sslmode=require", "--namespace", "music")
    again = made(folder, "--weights-digest", "ab" * 32)
    assert again["signer"]["signer_database_url"].endswith("@db.example:5432/songs?sslmode=require")
    other = made(folder, "--postgresql", "other.example:5432/songs")
    assert other["signer"]["signer_database_url"].endswith("@other.example:5432/songs")
    listed = json.loads((folder / "secrets.json").read_text())
    assert {item["metadata"]["namespace"] for item in listed["items"]} == {"music"}
    key_id = AttestationKey.load(folder / "pod.pem").key_id
    bundle = TrustBundle.parse(other["trust-bundle"]["trust.json"].encode())
    assert "ab" * 32 in bundle.by_id()[key_id].weights_digests
    assert "sketch" not in bundle.by_id()[key_id].engines


def test_a_digest_that_is_none_is_refused_and_the_bundle_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "installation"
    made(folder)
    before = (folder / "trust.json").read_bytes()
    assert first_secrets.main([str(folder), "--weights-digest", "ab"]) == 1
    assert "first_secrets: " in capsys.readouterr().err
    assert (folder / "trust.json").read_bytes() == before


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    """Without any role of ours."""
    with local_postgres.start(tmp_path / "postgres" / "data") as running:
        yield running


async def passwords_of(dsn: str) -> dict[str, str]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE 'acesteps%'")
    await connection.close()
    return {row["rolname"]: row["rolpassword"] for row in rows}


def test_the_roles_file_makes_roles_that_can_migrate(tmp_path: Path, server: Postgres) -> None:
    folder = tmp_path / "installation"
    content = made(folder)
    superuser = server.dsn("postgres", "postgres")
    for _ in range(2):  # repeatable
        run(
            binary("psql"), superuser, "-qv", "ON_ERROR_STOP=1", "-f", tmp_path / "installation" / "roles.sql"
        )
    stored = asyncio.run(passwords_of(superuser))
    assert set(stored) == set(ROLES)
    assert all(password.startswith("SCRAM-SHA-256") for password in stored.values())
    for service, secret in (("gateway", "gateway"), ("signer", "signer-owner")):
        name, role = f"{secret}_database_url".replace("-", "_"), f"acesteps_{secret}".replace("-", "_")
        assert content[secret][name].startswith(f"postgresql://{role}:")
        done = subprocess.run(
            [sys.executable, "-m", f"services.{service}.migrate"],
            env={name.upper(): server.dsn(role, "postgres")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "0001_" in done.stdout


def test_an_administrator_who_is_no_superuser_can_run_the_roles_file(
    tmp_path: Path, server: Postgres
) -> None:
    made(tmp_path / "installation")
    server.execute("CREATE ROLE administrator LOGIN CREATEROLE")
    server.execute("CREATE DATABASE acesteps OWNER administrator")
    for _ in range(2):
        run(
            binary("psql"), server.dsn("administrator", "acesteps"), "-qv", "ON_ERROR_STOP=1",
            "-f", tmp_path / "installation" / "roles.sql",
        )  # fmt: skip
    owners = (
        "SELECT nspowner::regrole FROM pg_namespace WHERE nspname IN ('gateway', 'signer') ORDER BY nspname"
    )
    assert server.execute(owners, "acesteps").split() == ["acesteps_gateway", "acesteps_signer_owner"]


def test_a_chain_gets_the_contract_once_and_every_signer_is_let_in(
    anvil: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signers = ["0x" + f"{n:040x}" for n in (0xAB, 0xCD)]
    printed = []
    for signer in signers:
        assert contract.main(["--rpc-url", anvil.rpc_url, "--eip712-signer", signer]) == 0
        printed.append(capsys.readouterr().out.strip())
    assert printed[0] == printed[1]
    assert contract.has_code(anvil.rpc_url, printed[0])


def test_a_chain_that_is_away_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert contract.main(["--rpc-url", "http://127.0.0.1:1", "--eip712-signer", "0x" + "ab" * 20]) == 1
    assert capsys.readouterr().err.startswith("contract: ")
