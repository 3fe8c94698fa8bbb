"""A wallet's key on the command line: from a file in hex, or from an encrypted keystore."""

from argparse import ArgumentParser, Namespace
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from acesteps.cli.session import CommandFailed, text_of

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


def add_keys(command: ArgumentParser) -> None:
    keys = command.add_mutually_exclusive_group()
    keys.add_argument("--private-key-file", default="", metavar="FILE", help="hex; - for stdin")
    keys.add_argument("--keystore", default="", metavar="FILE", help="encrypted, version 3")
    command.add_argument("--password-file", default="", metavar="FILE", help="of the keystore")


def is_given(asked: Namespace) -> bool:
    return bool(asked.private_key_file or asked.keystore)


def account_of(asked: Namespace, what_for: str) -> "LocalAccount":
    """Raises ValueError, OSError, CommandFailed: what it needs is not installed."""
    try:
        from acesteps import wallet
    except ImportError:
        raise CommandFailed(f"to {what_for} install what it needs: pip install 'acesteps[mint]'") from None
    if asked.private_key_file:
        return wallet.account_from(text_of(asked.private_key_file))
    given = text_of(asked.password_file).rstrip("\r\n") if asked.password_file else None
    password = getpass("Password of the keystore: ") if given is None else given
    return wallet.account_from_keystore(Path(asked.keystore), password)
