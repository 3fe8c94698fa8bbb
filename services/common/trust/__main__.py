"""Makes attestation keys and trust bundles: `python -m services.common.trust --help`."""

import argparse
import base64
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.common.provenance import AttestationKey
from services.common.trust.bundle import TrustBundle, TrustedKey


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        print(arguments.run(arguments))
    except (OSError, ValueError) as error:
        print(f"trust: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.common.trust", description=__doc__)
    commands = parser.add_subparsers(required=True)

    new_key = commands.add_parser(
        "new-key", help="write a new Ed25519 pod key (PEM, 0600) and print its key id"
    )
    new_key.add_argument("--out", type=Path, required=True, help="file to write; never overwritten")
    new_key.set_defaults(run=_new_key)

    bundle = commands.add_parser("bundle", help="add a key to a trust bundle, as its next version")
    bundle.add_argument("--bundle", type=Path, required=True, help="bundle to write; made when missing")
    bundle.add_argument(
        "--key", type=Path, required=True, help="pod key (PEM); only its public half is taken"
    )
    bundle.add_argument("--engine", action="append", required=True, help="engine it may attest; repeatable")
    bundle.add_argument("--weights-digest", action="append", required=True, help="sha256 hex; repeatable")
    bundle.add_argument("--adapter-digest", action="append", default=[], help="sha256 hex; repeatable")
    bundle.add_argument("--task", action="append", required=True, help="task it may attest; repeatable")
    bundle.add_argument("--days", type=float, default=365.0, help="validity from now on (default: 365)")
    bundle.set_defaults(run=_bundle)

    revoke = commands.add_parser("revoke", help="revoke a key in a trust bundle, as its next version")
    revoke.add_argument("--bundle", type=Path, required=True)
    revoke.add_argument("--key-id", required=True)
    revoke.set_defaults(run=_revoke)
    return parser


def _new_key(arguments: argparse.Namespace) -> str:
    key = AttestationKey.new()
    key.save(arguments.out)
    return key.key_id


def _bundle(arguments: argparse.Namespace) -> str:
    key, now = AttestationKey.load(arguments.key), datetime.now(UTC)
    entry = TrustedKey(
        key_id=key.key_id,
        public_key=base64.b64encode(key.public_key).decode(),
        not_before=now - timedelta(minutes=1),  # pods whose clocks are a little behind
        not_after=now + timedelta(days=arguments.days),
        engines=tuple(arguments.engine),
        weights_digests=tuple(arguments.weights_digest),
        adapter_digests=tuple(arguments.adapter_digest),
        tasks=tuple(arguments.task),
    )
    old = TrustBundle.parse(arguments.bundle.read_bytes()) if arguments.bundle.exists() else None
    others = tuple(k for k in old.keys if k.key_id != entry.key_id) if old else ()
    return _save(TrustBundle(version=old.version + 1 if old else 1, keys=(*others, entry)), arguments.bundle)


def _revoke(arguments: argparse.Namespace) -> str:
    old = TrustBundle.parse(arguments.bundle.read_bytes())
    if arguments.key_id not in old.by_id():
        raise ValueError(f"no key {arguments.key_id} in {arguments.bundle}")
    now = datetime.now(UTC)
    keys = tuple(
        k.model_copy(update={"revoked_at": k.revoked_at or now}) if k.key_id == arguments.key_id else k
        for k in old.keys
    )
    return _save(TrustBundle(version=old.version + 1, keys=keys), arguments.bundle)


def _save(bundle: TrustBundle, path: Path) -> str:
    bundle.save(path)
    return f"version {bundle.version} with {len(bundle.keys)} key(s)"


if __name__ == "__main__":
    sys.exit(main())
