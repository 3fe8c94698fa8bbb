"""Keystores that other tools read and write, signatures that are checked, secrets that stay inside."""

import asyncio
import json
import pickle
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from services.signer.keys import (
    KeystoreKey,
    SignatureDefect,
    SigningKey,
    checksummed,
    recover,
    sign_checked,
)
from services.signer.keys.commands import main
from services.signer.keystore import KeystoreError, decrypt, encrypt

SECRET = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
PASSWORD = "correct horse \u00fc".encode()
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@given(st.integers(1, ORDER - 1), st.binary(min_size=32, max_size=32))
def test_a_signature_is_that_of_eth_account(secret: int, digest: bytes) -> None:
    key = KeystoreKey(secret.to_bytes(32, "big"))
    signature = asyncio.run(sign_checked(key, digest))
    theirs = Account.from_key(secret.to_bytes(32, "big"))
    assert checksummed(key.address) == theirs.address
    assert signature == bytes(theirs.unsafe_sign_hash(digest).signature)
    assert recover(digest, signature) == key.address


@pytest.mark.parametrize("secret", [bytes(32), ORDER.to_bytes(32, "big"), b"\1" * 31, b"\1" * 33])
def test_what_is_no_scalar_of_the_curve_is_no_key(secret: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the library's own words
        KeystoreKey(secret)


@dataclass
class Forging:
    """A backend that does not do what it says: it signs with `signer`, then `spoils` the signature."""

    address: bytes
    signer: KeystoreKey
    high_s: bool = False
    compact: bool = False

    async def sign(self, digest: bytes) -> bytes:
        signature = await self.signer.sign(digest)
        if self.high_s:
            s = ORDER - int.from_bytes(signature[32:64], "big")
            return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
        return signature[:64] if self.compact else signature


async def test_a_signature_of_another_key_or_form_never_leaves() -> None:
    key, digest = KeystoreKey(SECRET), b"\7" * 32
    backends: dict[str, SigningKey] = {
        "another address": Forging(b"\1" * 20, key),
        "lower half": Forging(key.address, key, high_s=True),
        "r ‖ s ‖ v": Forging(key.address, key, compact=True),
    }
    for complaint, backend in backends.items():
        with pytest.raises(SignatureDefect, match=complaint):
            await sign_checked(backend, digest)


@pytest.mark.parametrize("digest", [b"", b"\7" * 31, b"\7" * 33])
async def test_only_32_bytes_are_signed(digest: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        await sign_checked(KeystoreKey(SECRET), digest)


def test_eth_account_reads_our_keystore() -> None:
    keystore = encrypt(SECRET, ADDRESS, PASSWORD, scrypt_n=4)
    assert bytes(Account.decrypt(keystore.decode(), PASSWORD.decode())) == SECRET
    assert json.loads(keystore)["address"] == ADDRESS[2:].lower()


@pytest.mark.parametrize(("kdf", "iterations"), [("scrypt", 4), ("pbkdf2", 3)])
def test_we_read_a_keystore_of_eth_account(kdf: Literal["scrypt", "pbkdf2"], iterations: int) -> None:
    theirs = Account.encrypt(SECRET, PASSWORD.decode(), kdf=kdf, iterations=iterations)
    assert decrypt(json.dumps(theirs).encode(), PASSWORD) == SECRET


def test_we_read_the_example_of_the_specification() -> None:
    """Web3 Secret Storage Definition, test vector for PBKDF2-SHA-256."""
    keystore = {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 262144,
                "dklen": 32,
                "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
            },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    }
    secret = decrypt(json.dumps(keystore).encode(), b"testpassword")
    assert secret.hex() == "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"


def test_a_wrong_password_is_said_to_be_one() -> None:
    with pytest.raises(KeystoreError, match=r"^wrong password$"):
        decrypt(encrypt(SECRET, ADDRESS, PASSWORD, scrypt_n=4), b"guess")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 1),
        (("crypto", "cipher"), "aes-256-gcm"),
        (("crypto", "kdf"), "argon2"),
        (("crypto", "ciphertext"), "00" * 31),
        (("crypto", "ciphertext"), "zz"),
        (("crypto", "cipherparams"), None),
        (("crypto", "kdfparams", "n"), 1 << 24),  # 16 GiB
        (("crypto", "kdfparams", "n"), 5),
        (("crypto", "kdfparams", "r"), 64),
        (("crypto", "kdfparams", "p"), True),
        (("crypto", "kdfparams", "dklen"), 16),
    ],
)
def test_a_malformed_keystore_is_refused(path: tuple[str, ...], value: object) -> None:
    keystore = json.loads(encrypt(SECRET, ADDRESS, PASSWORD, scrypt_n=4))
    place = keystore
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(KeystoreError):
        decrypt(json.dumps(keystore).encode(), PASSWORD)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"version": 3}', b"not json"])
def test_a_file_that_is_no_keystore_is_refused(content: bytes) -> None:
    with pytest.raises(KeystoreError):
        decrypt(content, PASSWORD)


def test_a_key_shows_its_address_and_nothing_else() -> None:
    key = KeystoreKey(SECRET)
    assert repr(key) == f"<KeystoreKey {ADDRESS}>"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert not hasattr(key, "__dict__")


def test_new_writes_a_keystore_for_its_owner_only_and_address_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keystore, password = tmp_path / "key.json", tmp_path / "password"
    files = ["--keystore", str(keystore), "--password-file", str(password)]
    assert main(["new", *files, "--new-password", "--scrypt-n", "4"]) == 0
    made = capsys.readouterr().out
    assert main(["address", *files]) == 0
    assert capsys.readouterr().out == made
    assert [stat.S_IMODE(f.stat().st_mode) for f in (keystore, password)] == [0o600, 0o600]
    assert sorted(tmp_path.iterdir()) == [keystore, password]
    assert (
        Account.from_key(decrypt(keystore.read_bytes(), password.read_bytes().strip())).address
        == made.strip()
    )


def test_new_refuses_to_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keystore, password = tmp_path / "key.json", tmp_path / "password"
    keystore.write_text("precious")
    arguments = ["new", "--keystore", str(keystore), "--password-file", str(password), "--new-password"]
    assert main([*arguments, "--scrypt-n", "4"]) == 1
    assert capsys.readouterr().err == f"keys: {keystore} exists and is not overwritten\n"
    assert keystore.read_text() == "precious"
    assert not password.exists()


@pytest.mark.parametrize(
    ("password", "scrypt_n", "complaint"),
    [
        (b"\n", "4", "is empty"),
        (None, "4", "No such file"),
        (b"x", "5", "power of two"),
        (b"x", "0", "power of two"),
    ],
)
def test_new_leaves_nothing_behind_when_it_cannot_go_on(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    password: bytes | None,
    scrypt_n: str,
    complaint: str,
) -> None:
    keystore, password_file = tmp_path / "key.json", tmp_path / "password"
    if password is not None:
        password_file.write_bytes(password)
    before = sorted(tmp_path.iterdir())
    files = ["--keystore", str(keystore), "--password-file", str(password_file)]
    assert main(["new", *files, "--scrypt-n", scrypt_n]) == 1
    assert complaint in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_new_takes_up_a_password_that_a_killed_run_left(tmp_path: Path) -> None:
    keystore, password = tmp_path / "key.json", tmp_path / "password"
    password.write_bytes(b"left behind\r\n")
    files = ["--keystore", str(keystore), "--password-file", str(password)]
    assert main(["new", *files, "--new-password", "--scrypt-n", "4"]) == 0
    assert password.read_bytes() == b"left behind\r\n"
    decrypt(keystore.read_bytes(), b"left behind")


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_the_process_cannot_be_dumped() -> None:
    code = (
        "import ctypes, resource; from services.signer.keys import forbid_core_dumps; forbid_core_dumps();"
        "print(ctypes.CDLL(None).prctl(3), resource.getrlimit(resource.RLIMIT_CORE))"  # PR_GET_DUMPABLE
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 (0, 0)"
