"""The commands `new`, `address` and `rotate`. Prints addresses, never a secret."""

import argparse
import asyncio
import os
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.common.errors import ServiceError
from services.signer.keys.kms import KmsKey
from services.signer.keys.signing import KeyOpenError, KeystoreKey, SignatureDefect, checksummed, new_secret
from services.signer.keystore import DEFAULT_SCRYPT_N, KeystoreError, encrypt, read_password, write_new
from services.signer.onchain.development import refuse_development_accounts
from services.signer.onchain.node import ChainError
from services.signer.onchain.operator import (
    Journal,
    add_chain_options,
    add_key_options,
    address,
    open_account,
    open_chain,
    show,
    write_unsigned,
)
from services.signer.onchain.song_nft import check_contract
from services.signer.request import PermitFormat
from services.signer.rotation import Rotation, Situation, Step, last_permit, read_situation, steps
from services.signer.settings import SignerSettings

EXIT_DONE, EXIT_FAILED, EXIT_UNFINISHED = 0, 1, 3

_ROTATE = """\
Walks one rotation through, from the same options each time: it looks at the chain, the record and the ledger
(SIGNER_DATABASE_URL, where it is set), shows every step, and with --apply does all that can be done now.

  1 the new key is made (--keystore, or --kms-key-id for one made in KMS)
  2 it gets the role on chain; both keys' permits mint from here on
  3 you switch the signers' settings to it, restart them, and say --switched
  4 when the last permit of the old key has run out, the old key loses the role

Exit status: 0 done, or a dry run; 1 refused or failed; 3 something is left to do.
"""


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except (KeystoreError, KeyOpenError, ChainError, ServiceError, SignatureDefect) as error:
        print(f"keys: {error}", file=sys.stderr)
        return EXIT_FAILED


def _new(arguments: argparse.Namespace) -> int:
    print(checksummed(make_keystore(arguments)))
    return EXIT_DONE


def make_keystore(arguments: argparse.Namespace) -> bytes:
    """Write the keystore of a new key and give its address. Raises KeystoreError."""
    if arguments.keystore.exists():  # before any work
        raise KeystoreError(f"{arguments.keystore} exists and is not overwritten")
    fresh = arguments.new_password and not arguments.password_file.exists()
    password = secrets.token_hex(32).encode() if fresh else read_password(arguments.password_file)
    secret, made = new_secret()
    keystore = encrypt(secret, checksummed(made), password, arguments.scrypt_n)
    if fresh:  # first: a password without a keystore is taken up by the next run, the reverse is lost
        write_new(arguments.password_file, password + b"\n")
    write_new(arguments.keystore, keystore)
    return made


def _address(arguments: argparse.Namespace) -> int:
    if (arguments.keystore is None) == (arguments.kms_key_id is None):
        raise KeystoreError("give either --keystore with --password-file, or --kms-key-id")
    print(checksummed(_open_address(arguments)))
    return EXIT_DONE


def _open_address(arguments: argparse.Namespace) -> bytes:
    if arguments.kms_key_id is not None:
        return KmsKey.open(arguments.kms_key_id).address
    if arguments.password_file is None:
        raise KeystoreError("--keystore needs --password-file")
    return KeystoreKey.load(arguments.keystore, arguments.password_file).address


def _rotate(arguments: argparse.Namespace) -> int:
    return asyncio.run(_rotate_async(arguments))


async def _rotate_async(arguments: argparse.Namespace) -> int:
    chain, admin = open_chain(arguments), open_account(arguments, "admin")
    check_contract(chain.node, arguments.contract, chain.chain_id)  # before a key is made for it
    record = arguments.record or Path(f"rotation.{arguments.old.lower()}.json")
    journal = Journal.read(record) if record.exists() else Journal(record, {})
    belongs = {"chain_id": chain.chain_id, "contract": arguments.contract, "old": arguments.old}
    if any(journal.content.get(name, value) != value for name, value in belongs.items()):
        raise ChainError(f"{record} is the record of another rotation; name another --record")
    journal.content |= belongs
    if arguments.apply:
        journal.settle(chain)

    rotation = Rotation(
        contract=arguments.contract,
        admin=admin.address,
        format=PermitFormat(arguments.format),
        old=arguments.old,
        new=_new_key(arguments),
        lifetime=timedelta(seconds=arguments.permit_lifetime_s),
        at_once=arguments.stolen,
    )
    refuse_development_accounts(chain.chain_id, [admin.address, *filter(None, [rotation.new])])
    dsn = os.environ.get("SIGNER_DATABASE_URL")

    async def look() -> tuple[list[Step], Situation]:
        noted = journal.content.get("switched_at")
        switched_at = datetime.fromisoformat(noted) if noted else None
        last = await last_permit(dsn, bytes.fromhex(rotation.old.removeprefix("0x"))) if dsn else None
        situation = read_situation(chain, rotation, switched_at, last)
        return list(steps(rotation, situation)), situation

    walk, situation = await look()
    if arguments.switched:
        if not situation.new_has_role:
            raise ChainError("not yet: the new key has no role, so its permits would not mint")
        if not arguments.apply:
            raise ChainError("--switched is written down, so it needs --apply")
        if situation.switched_at is None or situation.signed_late:  # said again, it changes nothing
            journal.content["switched_at"] = datetime.now(UTC).isoformat()
            journal.save()
        walk, _ = await look()

    while arguments.apply and (step := _sendable(walk)) and admin.key is not None:
        assert step.call is not None
        (transaction,) = chain.prepare([step.call], {})
        chain.check_funds([transaction])
        await journal.send(chain, transaction, admin.key)
        walk, _ = await look()

    _print_walk(walk, arguments)
    left = [step.call for step in walk if step.call and not step.done and not step.waits_for]
    if left:
        transactions = chain.prepare(left, {})
        show(chain, transactions)
        if arguments.unsigned:
            write_unsigned(arguments.unsigned, transactions)
    if all(step.done for step in walk):
        print("rotated")
        return EXIT_DONE
    if not arguments.apply:
        print("dry run: nothing was sent")
        return EXIT_DONE
    return EXIT_UNFINISHED


def _new_key(arguments: argparse.Namespace) -> str | None:
    """The new key's address, EIP-55; made with --apply where it is not there yet, None in a dry run."""
    given = [arguments.new_address, arguments.kms_key_id, arguments.keystore]
    if sum(source is not None for source in given) != 1:
        raise ChainError("give one of --keystore, --kms-key-id, --new-address for the new key")
    if arguments.new_address is not None:
        return str(arguments.new_address)
    if arguments.keystore is not None and not arguments.keystore.exists():
        if arguments.password_file is None:
            raise KeystoreError("--keystore needs --password-file")
        return checksummed(make_keystore(arguments)) if arguments.apply else None
    return checksummed(_open_address(arguments))


def _sendable(walk: list[Step]) -> Step | None:
    return next((step for step in walk if step.call and not step.done and not step.waits_for), None)


def _print_walk(walk: list[Step], arguments: argparse.Namespace) -> None:
    for number, step in enumerate(walk, start=1):
        state = "done" if step.done else f"waits: {step.waits_for}" if step.waits_for else "next"
        print(f"{number} {step.what} [{state}]")
    switch = next(step for step in walk if step.name == "switch")
    if not switch.done and not switch.waits_for:
        prefix = "SIGNER_PACKED_" if arguments.format == PermitFormat.PACKED.value else "SIGNER_"
        if arguments.kms_key_id:
            print(f"  {prefix}KMS_KEY_ID={arguments.kms_key_id}")
        elif arguments.keystore:
            print(f"  {prefix}KEYSTORE_FILE={arguments.keystore}")
            print(f"  {prefix}KEYSTORE_PASSWORD_FILE={arguments.password_file}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.signer.keys",
        description="Makes, shows and rotates permit keys: encrypted keystores (version 3) or AWS KMS keys.",
    )
    commands = parser.add_subparsers(required=True)

    new = commands.add_parser("new", help="write the keystore of a new random key and print its address")
    new.add_argument("--keystore", type=Path, required=True, help="file to write (0600); never overwritten")
    new.add_argument("--password-file", type=Path, required=True, help="file whose content encrypts the key")
    _add_making_options(new)
    new.set_defaults(run=_new)

    show_address = commands.add_parser("address", help="print a key's address")
    show_address.add_argument("--keystore", type=Path, help="decrypted with the password")
    show_address.add_argument("--password-file", type=Path)
    show_address.add_argument("--kms-key-id", help="or a key in AWS KMS: id, ARN or alias")
    show_address.set_defaults(run=_address)

    rotate = commands.add_parser(
        "rotate",
        help="walk through the change of a permit key; a dry run unless told to apply",
        description=_ROTATE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_chain_options(rotate)
    rotate.add_argument("--contract", type=address, required=True, help="the signer's SongNFT")
    rotate.add_argument(
        "--format", choices=[f.value for f in PermitFormat], default=PermitFormat.EIP712.value
    )
    rotate.add_argument("--old", type=address, required=True, help="address of the key in use")
    key = rotate.add_argument_group("the new key")
    key.add_argument("--keystore", type=Path, help="its keystore; made where it is missing")
    key.add_argument("--password-file", type=Path, help="file with that keystore's password")
    _add_making_options(key)
    key.add_argument("--kms-key-id", help="or a key that was made in AWS KMS")
    key.add_argument("--new-address", type=address, help="or only its address: it was made elsewhere")
    add_key_options(rotate.add_argument_group("the contract's admin, who grants and revokes"), "admin")
    doing = rotate.add_argument_group("what to do")
    doing.add_argument("--apply", action="store_true", help="do what can be done now")
    doing.add_argument("--switched", action="store_true", help="every signer runs with the new key now")
    doing.add_argument(
        "--stolen", action="store_true", help="revoke the old key first, with all it has signed"
    )
    doing.add_argument(
        "--unsigned", type=Path, metavar="FILE", help="write what the admin's wallet has to send (JSON)"
    )
    doing.add_argument("--record", type=Path, help="what was done (default: rotation.<old address>.json)")
    doing.add_argument(
        "--permit-lifetime-s",
        type=int,
        default=SignerSettings.model_fields["permit_lifetime_s"].default,
        help="as the signer's setting, or what that was lately, if longer (default: %(default)s)",
    )
    rotate.set_defaults(run=_rotate)
    return parser


def _add_making_options(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--new-password",
        action="store_true",
        help="where the password file is missing, write one (0600) with 32 random bytes in hex",
    )
    parser.add_argument(
        "--scrypt-n",
        type=int,
        default=DEFAULT_SCRYPT_N,
        help="scrypt cost, a power of two: 1 KiB of memory each, spent at every start (default: %(default)s; "
        "lower it only for a random password)",
    )
