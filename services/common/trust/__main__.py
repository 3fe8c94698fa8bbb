"""Makes attestation keys and trust bundles: `python -m services.common.trust --help`."""

import argparse
import base64
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.common.provenance import AttestationKey, key_id_of, load_public_key
from services.common.trust.bundle import TrustBundle, TrustedKey

_ROTATION = """\
Rotation, with both keys trusted for a day:
  new-key --out new.pem --public-out new.pub.pem          (where the pod runs; new.pem never leaves)
  bundle  --bundle trust.json --key new.pub.pem ... --replaces OLD_ID --overlap-hours 24
  hand trust.json to every verifier, then new.pem to the pods; after the overlap the old key has run out.
A key that may have been stolen is revoked instead: from then on nothing by it counts, old or new.
"""


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        print(arguments.run(arguments))
    except (OSError, ValueError) as error:
        print(f"trust: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.common.trust",
        description=__doc__,
        epilog=_ROTATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str, run: Callable[[argparse.Namespace], str]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    new_key = command("new-key", "write a new Ed25519 pod key (PEM, 0600) and print its key id", _new_key)
    new_key.add_argument("--out", type=Path, required=True, help="file to write; never overwritten")
    new_key.add_argument("--public-out", type=Path, help="file for the public half, which is all others need")

    bundle = command(
        "bundle", "add a key to a trust bundle, or say anew what it may attest, as its next version", _bundle
    )
    bundle.add_argument("--bundle", type=Path, required=True, help="bundle to write; made when missing")
    bundle.add_argument("--key", type=Path, required=True, help="pod key (PEM), private or its public half")
    bundle.add_argument("--engine", action="append", required=True, help="engine it may attest; repeatable")
    bundle.add_argument("--weights-digest", action="append", required=True, help="sha256 hex; repeatable")
    bundle.add_argument("--adapter-digest", action="append", default=[], help="sha256 hex; repeatable")
    bundle.add_argument("--task", action="append", required=True, help="task it may attest; repeatable")
    bundle.add_argument("--days", type=_positive, default=365.0, help="validity from now on (default: 365)")
    bundle.add_argument("--replaces", metavar="KEY_ID", help="key that this one follows")
    bundle.add_argument(
        "--overlap-hours",
        type=_positive,
        default=24.0,
        help="how much longer the replaced key may attest new songs (default: 24)",
    )

    revoke = command("revoke", "revoke a key in a trust bundle, as its next version; for good", _revoke)
    revoke.add_argument("--bundle", type=Path, required=True, help="bundle to write")
    revoke.add_argument("--key-id", required=True, help="key of which nothing counts from now on")

    show = command("show", "print the keys of a trust bundle", _show)
    show.add_argument("--bundle", type=Path, required=True, help="bundle to read")
    return parser


def _positive(text: str) -> float:
    if not 0 < (value := float(text)) <= 36_500:
        raise argparse.ArgumentTypeError("not between 0 and 36500")
    return value


def _new_key(arguments: argparse.Namespace) -> str:
    key = AttestationKey.new()
    key.save(arguments.out)
    if arguments.public_out is not None:
        arguments.public_out.write_bytes(key.public_pem())
    return key.key_id


def _bundle(arguments: argparse.Namespace) -> str:
    public_key, now = load_public_key(arguments.key), datetime.now(UTC)
    old = _load(arguments.bundle) if arguments.bundle.exists() else None
    keys = dict(old.by_id()) if old else {}
    before = keys.pop(key_id_of(public_key), None)
    if before is not None and before.revoked_at is not None:
        raise ValueError(f"key {before.key_id} is revoked, and stays so; make a new one")
    entry = TrustedKey(
        key_id=key_id_of(public_key),
        public_key=base64.b64encode(public_key).decode(),
        # Some time back for pods whose clocks are behind; of a known key, what it has made stays good.
        not_before=before.not_before if before else now - timedelta(minutes=1),
        not_after=now + timedelta(days=arguments.days),
        engines=tuple(arguments.engine),
        weights_digests=tuple(arguments.weights_digest),
        adapter_digests=tuple(arguments.adapter_digest),
        tasks=tuple(arguments.task),
    )
    if arguments.replaces is not None:
        if arguments.replaces not in keys:
            raise ValueError(f"no other key {arguments.replaces} in {arguments.bundle}")
        replaced = keys[arguments.replaces]
        ends = min(replaced.not_after, now + timedelta(hours=arguments.overlap_hours))
        keys[replaced.key_id] = replaced.model_copy(update={"not_after": ends})
    return _save((*keys.values(), entry), old, arguments.bundle)


def _revoke(arguments: argparse.Namespace) -> str:
    old = _load(arguments.bundle)
    keys = dict(old.by_id())
    if arguments.key_id not in keys:
        raise ValueError(f"no key {arguments.key_id} in {arguments.bundle}")
    key = keys[arguments.key_id]
    if key.revoked_at is not None:
        return f"version {old.version}: the key is revoked since {key.revoked_at}"
    keys[key.key_id] = key.model_copy(update={"revoked_at": datetime.now(UTC)})
    return _save(tuple(keys.values()), old, arguments.bundle)


def _show(arguments: argparse.Namespace) -> str:
    bundle = _load(arguments.bundle)
    lines = [f"version {bundle.version}"]
    for key in bundle.keys:
        state = f"revoked {key.revoked_at}" if key.revoked_at else f"{key.not_before} to {key.not_after}"
        lines.append(f"{key.key_id}  {state}  {', '.join(key.engines)}: {', '.join(key.tasks)}")
    return "\n".join(lines)


def _load(path: Path) -> TrustBundle:
    try:
        return TrustBundle.parse(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not a trust bundle: {error}") from error


def _save(keys: tuple[TrustedKey, ...], old: TrustBundle | None, path: Path) -> str:
    bundle = TrustBundle(version=old.version + 1 if old else 1, keys=keys)
    bundle.save(path)
    return f"version {bundle.version} with {len(bundle.keys)} key(s)"


if __name__ == "__main__":
    sys.exit(main())
