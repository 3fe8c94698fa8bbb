"""The secrets and the trust bundle of a new installation: `python -m deploy.first_secrets FOLDER`.

Makes what is missing in FOLDER and keeps what is there, options too; writes FOLDER/secrets.json for
`kubectl apply -f` and FOLDER/roles.sql for the database's administrator. Talks to no cluster, database or
chain. Keep the folder safe.
"""

import argparse
import base64
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from deploy.local import keys
from deploy.local.keys import KeyCommandError
from deploy.local.postgres import GATEWAY_ROLE, ROLES, ROLES_SQL, SCHEMAS_SQL, SIGNER_OWNER_ROLE, SIGNER_ROLE
from services.common.provenance import AttestationKey
from services.music.edit import EDIT_TASKS
from services.music.engine import TEXT_TO_MUSIC
from services.music.sketch.engine import SketchEngine

OPTIONS = "options.json"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    folder: Path = arguments.folder
    try:
        objects = _objects(folder, arguments)
    except (KeyCommandError, OSError, ValueError) as error:
        print(f"first_secrets: {error}", file=sys.stderr)
        return 1
    _write(
        folder / "secrets.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}, indent=2)
    )
    said = {name: value for name, value in vars(arguments).items() if name != "folder"}
    _write(folder / OPTIONS, json.dumps(said, indent=2))
    print(f"permit key   {keys.ensure_keystore(folder, 'permit').address}  (let it sign on the contract)")
    print(f"now          kubectl apply -f {folder / 'secrets.json'}")
    print(f"PostgreSQL   {folder / 'roles.sql'} makes roles and schemas; the overlay local runs it by itself")
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What is not said is as it was the last time: who adds a digest does not lose the database's address."""
    parser = _parser()
    options = parser.parse_args(argv).folder / OPTIONS
    if options.exists():
        parser.set_defaults(**json.loads(options.read_text()))
    return parser.parse_args(argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.first_secrets", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where keys and passwords are kept")
    parser.add_argument("--namespace", default="acesteps", metavar="NAME")
    parser.add_argument(
        "--postgresql",
        default="postgresql:5432/acesteps",
        metavar="HOST:PORT/DATABASE",
        help="of PostgreSQL as pods reach it; '?sslmode=require' may follow (default: the overlay local's)",
    )
    parser.add_argument(
        "--chain-rpc-url",
        default="http://chain:8545",
        metavar="URL",
        help="node of the chain, with its API key (default: the overlay local's)",
    )
    parser.add_argument(
        "--weights-digest",
        metavar="SHA256",
        help="trust ACE-Step with these weights (`python -m services.music.weights verify`), not the sketch",
    )
    return parser


def _objects(folder: Path, arguments: argparse.Namespace) -> list[dict[str, object]]:
    permit, pod_key = keys.ensure_keystore(folder, "permit"), keys.ensure_pod_key(folder)
    passwords = {role: keys.ensure_secret(folder, f"{role}.password") for role in ROLES}
    roles_sql = _roles_sql(passwords)
    _write(folder / "roles.sql", roles_sql)
    urls = {
        role: f"postgresql://{role}:{quote(password)}@{arguments.postgresql}"
        for role, password in passwords.items()
    }
    secrets: dict[str, Mapping[str, str]] = {
        "gateway": {
            "gateway_database_url": urls[GATEWAY_ROLE],
            "gateway_chain_rpc_url": arguments.chain_rpc_url,
            "gateway_url_keys": keys.ensure_secret(folder, "url.key"),
            "gateway_webhook_key": keys.ensure_secret(folder, "webhook.key"),
        },
        "signer": {"signer_database_url": urls[SIGNER_ROLE]},
        "signer-owner": {"signer_owner_database_url": urls[SIGNER_OWNER_ROLE]},
        "signer-keystore": {
            "keystore.json": permit.file.read_text(),
            "password": permit.password_file.read_text(),
        },
        "music-attestation": {"attestation.pem": pod_key.read_text()},
        # for the overlay local, which runs a PostgreSQL of its own
        "postgresql": {"password": keys.ensure_secret(folder, "postgres.password"), "roles.sql": roles_sql},
    }
    bundle = _trust_bundle(folder, pod_key, arguments.weights_digest)
    return [
        *(_secret(name, arguments.namespace, content) for name, content in secrets.items()),
        _config_map("trust-bundle", arguments.namespace, {"trust.json": bundle}),
    ]


def _trust_bundle(folder: Path, pod_key: Path, weights_digest: str | None) -> str:
    """The bundle in which the pods' key may attest this engine; its next version where it could not yet."""
    if weights_digest is None:
        sketch = SketchEngine.info
        made = (sketch.name, sketch.weights_digest, sketch.tasks)
    else:
        made = ("acestep", weights_digest, (TEXT_TO_MUSIC, *EDIT_TASKS))
    file, key_id = folder / "trust.json", AttestationKey.load(pod_key).key_id
    if not keys.trusts(file, key_id, *made):
        keys.trust_pod(file, pod_key, *made)
    return file.read_text()


def _roles_sql(passwords: Mapping[str, str]) -> str:
    """Repeatable. The passwords are of URL-safe letters: nothing in them ends a literal."""
    given = "".join(f"ALTER ROLE {role} PASSWORD '{password}';\n" for role, password in passwords.items())
    return ROLES_SQL + given + SCHEMAS_SQL.replace(";", ";\n")


def _secret(name: str, namespace: str, content: Mapping[str, str]) -> dict[str, object]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    return {**_head("Secret", name, namespace), "type": "Opaque", "data": data}


def _config_map(name: str, namespace: str, content: Mapping[str, str]) -> dict[str, object]:
    return {**_head("ConfigMap", name, namespace), "data": dict(content)}


def _head(kind: str, name: str, namespace: str) -> dict[str, object]:
    labels = {"app.kubernetes.io/part-of": "acesteps"}
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    }


def _write(file: Path, text: str) -> None:
    """Readable by the owner only, from its first byte on."""
    file.unlink(missing_ok=True)
    with open(file, "w", opener=_private) as stream:
        stream.write(text)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


if __name__ == "__main__":
    sys.exit(main())
