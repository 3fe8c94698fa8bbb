"""Signing keys behind one interface, and `python -m services.signer.keys` to make them.

Knows secp256k1 digests and addresses; knows no permit, no rule and no ledger. A secret never leaves this
module: not by repr, log, error, pickle or core dump.
"""

import argparse
import ctypes
import resource
import secrets
import sys
from functools import lru_cache
from pathlib import Path
from typing import NoReturn, Protocol, Self

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from services.signer.keystore import (
    DEFAULT_SCRYPT_N,
    KeystoreError,
    decrypt,
    encrypt,
    read_keystore,
    read_password,
    write_new,
)

try:
    from coincurve import PrivateKey, PublicKey
except ImportError as missing:
    # eth-keys would go on in pure Python, slower by a factor of ten and not in constant time.
    raise SystemExit("signer: the native secp256k1 library (package coincurve) cannot be loaded") from missing

# Order of secp256k1 (SEC 2, section 2.4.1).
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_PR_SET_DUMPABLE = 4  # <linux/prctl.h>


class SigningKey(Protocol):
    """A secp256k1 key, wherever it lives."""

    @property
    def address(self) -> bytes:
        """The Ethereum address of the key, 20 bytes."""
        ...

    async def sign(self, digest: bytes) -> bytes:
        """r ‖ s ‖ v, 65 bytes, low s, v of 27 or 28, over a 32-byte digest.

        Raises:
            Exception: whatever keeps the backend from signing; nothing was signed then.
        """
        ...


class SignatureDefect(Exception):
    """A backend gave a signature that the contract would refuse. Never leaves the process."""


class KeystoreKey:
    """A key from an encrypted keystore, held in memory."""

    __slots__ = ("_private", "address")

    def __init__(self, secret: bytes) -> None:
        """Raises ValueError unless `secret` is 32 bytes and a scalar of the curve."""
        if len(secret) != 32:
            raise ValueError("a secp256k1 secret has 32 bytes")
        self._private = PrivateKey(secret)
        self.address = _address_of(self._private.public_key)

    @classmethod
    def load(cls, keystore: Path, password_file: Path) -> Self:
        """Raises KeystoreError."""
        try:
            return cls(decrypt(read_keystore(keystore), read_password(password_file)))
        except (KeystoreError, ValueError) as error:
            reason = error if isinstance(error, KeystoreError) else "it holds no secp256k1 key"
            raise KeystoreError(f"keystore {keystore}: {reason}") from None  # the cause could quote the key

    async def sign(self, digest: bytes) -> bytes:
        """Deterministic (RFC 6979): the same digest gives the same signature."""
        r_s_recid = self._private.sign_recoverable(digest, hasher=None)
        return r_s_recid[:64] + bytes([27 + r_s_recid[64]])

    def __repr__(self) -> str:
        return f"<KeystoreKey {checksummed(self.address)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is not to be copied or pickled")


async def sign_checked(key: SigningKey, digest: bytes) -> bytes:
    """The signature of `key` over a 32-byte digest, after recovering its signer as the contract will.

    Raises:
        SignatureDefect: when it is malformed, has a high s, or is another key's.
    """
    if len(digest) != 32:
        raise ValueError(f"a digest has 32 bytes, not {len(digest)}")
    signature = await key.sign(digest)
    if len(signature) != 65 or signature[64] not in (27, 28):
        raise SignatureDefect("not r ‖ s ‖ v with v of 27 or 28")
    if not 0 < int.from_bytes(signature[32:64], "big") <= _ORDER // 2:  # EIP-2
        raise SignatureDefect("s is not in the lower half of the order")
    if recover(digest, signature) != key.address:
        raise SignatureDefect("it recovers to another address")
    return signature


def recover(digest: bytes, signature: bytes) -> bytes:
    """The address, 20 bytes, that signed `digest` with r ‖ s ‖ v.

    Raises:
        SignatureDefect: when no key can have made it.
    """
    try:
        compact = signature[:64] + bytes([signature[64] - 27])
        return _address_of(PublicKey.from_signature_and_message(compact, digest, hasher=None))
    except Exception as error:  # coincurve raises ValueError and bare Exception alike
        raise SignatureDefect("it recovers to no key") from error


@lru_cache(maxsize=16)
def checksummed(address: bytes) -> str:
    """EIP-55 text of a 20-byte address."""
    return str(to_checksum_address(address))


def forbid_core_dumps() -> None:
    """Keep the memory of this process, and the key in it, from core files and from its user's debuggers."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError("prctl(PR_SET_DUMPABLE) failed")


def _encrypted_key(password: bytes, scrypt_n: int) -> tuple[bytes, bytes]:
    """Address and keystore of a new random key."""
    private = PrivateKey()
    address = _address_of(private.public_key)
    return address, encrypt(private.secret, checksummed(address), password, scrypt_n)


def _address_of(public: PublicKey) -> bytes:
    return keccak(public.format(compressed=False)[1:])[12:]


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        print(checksummed(arguments.run(arguments)))
    except KeystoreError as error:
        print(f"keys: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.signer.keys",
        description="Makes and shows the encrypted keystores (version 3) of permit keys.",
    )
    commands = parser.add_subparsers(required=True)
    new = commands.add_parser("new", help="write the keystore of a new random key and print its address")
    new.add_argument("--keystore", type=Path, required=True, help="file to write (0600); never overwritten")
    new.add_argument("--password-file", type=Path, required=True, help="file whose content encrypts the key")
    new.add_argument(
        "--new-password",
        action="store_true",
        help="where the password file is missing, write one (0600) with 32 random bytes in hex",
    )
    new.add_argument(
        "--scrypt-n",
        type=int,
        default=DEFAULT_SCRYPT_N,
        help="scrypt cost, a power of two: 1 KiB of memory each, spent at every start (default: %(default)s; "
        "lower it only for a random password)",
    )
    new.set_defaults(run=_new)
    address = commands.add_parser("address", help="decrypt a keystore and print its key's address")
    address.add_argument("--keystore", type=Path, required=True)
    address.add_argument("--password-file", type=Path, required=True)
    address.set_defaults(run=_address)
    return parser


def _new(arguments: argparse.Namespace) -> bytes:
    if arguments.keystore.exists():  # before any work
        raise KeystoreError(f"{arguments.keystore} exists and is not overwritten")
    fresh = arguments.new_password and not arguments.password_file.exists()
    password = secrets.token_hex(32).encode() if fresh else read_password(arguments.password_file)
    address, keystore = _encrypted_key(password, arguments.scrypt_n)
    if fresh:  # first: a password without a keystore is taken up by the next run, the reverse is lost
        write_new(arguments.password_file, password + b"\n")
    write_new(arguments.keystore, keystore)
    return address


def _address(arguments: argparse.Namespace) -> bytes:
    return KeystoreKey.load(arguments.keystore, arguments.password_file).address


if __name__ == "__main__":
    forbid_core_dumps()
    sys.exit(main())
