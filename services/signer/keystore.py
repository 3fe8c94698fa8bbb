"""Encrypted key files: Web3 Secret Storage, version 3, as Geth, Foundry and eth-account write them.

Knows bytes, passwords and files; knows nothing of signing. A file that is not well formed, or asks for
absurd work, is refused before any key is derived.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import uuid
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from eth_utils.crypto import keccak

from services.common.provenance import strict_json

# OWASP's least scrypt cost for passwords that people choose: 128 MiB and about 0.4 s, once per start. Geth's
# own 2^18 needs 256 MiB, more than a signer pod has use for afterwards. A password of 32 random bytes, as
# `keys new --new-password` writes it, is beyond guessing at any cost: the demo takes 2^13.
DEFAULT_SCRYPT_N = 1 << 17
# Four times what Geth writes; wallets write r = 8, p = 1 to 6.
_MAX_SCRYPT_BYTES = 1 << 30
_MAX_SCRYPT_R, _MAX_SCRYPT_P = 32, 16
_MAX_PBKDF2_ROUNDS = 10_000_000
_MAX_FILE_BYTES = 64 * 1024


class KeystoreError(Exception):
    """Why a key file cannot be read or written, in one line without any secret."""


def encrypt(secret: bytes, address: str, password: bytes, scrypt_n: int = DEFAULT_SCRYPT_N) -> bytes:
    """The key file (JSON) of a 32-byte secp256k1 secret. `address` is written down for people.

    Raises:
        KeystoreError: when `scrypt_n` is not a power of two from 2 to 2^20 (1 GiB).
    """
    salt, iv = secrets.token_bytes(32), secrets.token_bytes(16)
    parameters = {"dklen": 32, "n": scrypt_n, "r": 8, "p": 1, "salt": salt.hex()}
    derived = _scrypt(parameters, password)
    ciphertext = _aes_ctr(derived, iv, secret)
    document = {
        "address": address.removeprefix("0x").lower(),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": iv.hex()},
            "ciphertext": ciphertext.hex(),
            "kdf": "scrypt",
            "kdfparams": parameters,
            "mac": keccak(derived[16:32] + ciphertext).hex(),
        },
        "id": str(uuid.uuid4()),
        "version": 3,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def decrypt(keystore: bytes, password: bytes) -> bytes:
    """The 32-byte secret inside a key file.

    Raises:
        KeystoreError: for a wrong password, or a file that is malformed or of another kind.
    """
    try:
        document = strict_json(keystore)
        if document["version"] != 3:
            raise KeystoreError("not a version 3 keystore")
        crypto = document["crypto"] if "crypto" in document else document["Crypto"]
        if crypto["cipher"] != "aes-128-ctr":
            raise KeystoreError("its cipher is not aes-128-ctr")
        ciphertext, mac = bytes.fromhex(crypto["ciphertext"]), bytes.fromhex(crypto["mac"])
        iv = bytes.fromhex(crypto["cipherparams"]["iv"])
        derived = _KDFS[crypto["kdf"]](crypto["kdfparams"], password)
    except (ValueError, KeyError, TypeError) as error:
        raise KeystoreError("not a well-formed version 3 keystore") from error
    if len(ciphertext) != 32 or len(iv) != 16:
        raise KeystoreError("it does not hold a secp256k1 key")
    if not hmac.compare_digest(keccak(derived[16:32] + ciphertext), mac):
        raise KeystoreError("wrong password")
    return _aes_ctr(derived, iv, ciphertext)


def read_password(path: Path) -> bytes:
    """The password in a file, without the line end that editors and `echo` add.

    Raises:
        KeystoreError: when there is none.
    """
    password = _read(path, "password file").removesuffix(b"\n").removesuffix(b"\r")
    if not password:
        raise KeystoreError(f"the password file {path} is empty")
    return password


def read_keystore(path: Path) -> bytes:
    """Raises KeystoreError when the file cannot be read."""
    return _read(path, "keystore")


def write_new(path: Path, data: bytes) -> None:
    """Write a file for its owner's eyes only, whole or not at all; never over another.

    Raises:
        KeystoreError: when `path` exists or cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(unfinished, path)  # unlike a rename, fails when `path` exists
        _sync_folder(path.parent)
    except FileExistsError:
        raise KeystoreError(f"{path} exists and is not overwritten") from None
    except OSError as error:
        raise KeystoreError(f"cannot write {path}: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise KeystoreError(f"cannot read the {what} {path}: {error.strerror}") from None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _scrypt(parameters: dict[str, Any], password: bytes) -> bytes:
    n, r, p, salt = parameters["n"], parameters["r"], parameters["p"], bytes.fromhex(parameters["salt"])
    integers = all(type(v) is int and v > 0 for v in (n, r, p))
    if not integers or n < 2 or n & (n - 1) or r > _MAX_SCRYPT_R or p > _MAX_SCRYPT_P:
        raise KeystoreError("its scrypt cost is not a power of two, with r up to 32 and p up to 16")
    if 128 * n * r > _MAX_SCRYPT_BYTES:
        raise KeystoreError("its scrypt cost asks for more than 1 GiB of memory")
    _expect_32(parameters)
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(password)


def _pbkdf2(parameters: dict[str, Any], password: bytes) -> bytes:
    rounds, salt = parameters["c"], bytes.fromhex(parameters["salt"])
    if parameters["prf"] != "hmac-sha256" or type(rounds) is not int or not 0 < rounds <= _MAX_PBKDF2_ROUNDS:
        raise KeystoreError("its PBKDF2 is not hmac-sha256 with 1 to 10,000,000 rounds")
    _expect_32(parameters)
    return hashlib.pbkdf2_hmac("sha256", password, salt, rounds, dklen=32)


_KDFS = {"scrypt": _scrypt, "pbkdf2": _pbkdf2}


def _expect_32(parameters: dict[str, Any]) -> None:
    if parameters["dklen"] != 32:
        raise KeystoreError("its derived key is not 32 bytes")


def _aes_ctr(derived: bytes, iv: bytes, data: bytes) -> bytes:
    """AES-128-CTR under the first half of the derived key; the second half is the MAC's. Its own inverse."""
    encryptor = Cipher(algorithms.AES(derived[:16]), modes.CTR(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()
