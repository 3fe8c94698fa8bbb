"""The keys of one laptop's mesh: who signs permits, who attests songs, and the bundle that says so.

Made once, by the commands that an operator uses too, and kept. Holds no private key in memory.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from eth_utils.address import to_checksum_address

from services.common.trust import TrustBundle

# The passwords are 32 random bytes: nothing is won by making guesses slow, and every start decrypts.
SCRYPT_N = 1 << 13
RENEW_BEFORE = timedelta(days=30)


class KeyCommandError(RuntimeError):
    """A key could not be made; carries the words of the command that makes it."""


@dataclass(frozen=True)
class Keystore:
    """An encrypted key file and the file with its password."""

    file: Path
    password_file: Path

    @property
    def address(self) -> str:
        """Whose key it is, EIP-55."""
        return to_checksum_address("0x" + json.loads(self.file.read_text())["address"])


def ensure_keystore(folder: Path, name: str) -> Keystore:
    """The keystore `name` in `folder`, made if it is not there. Raises KeyCommandError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keystore = Keystore(folder / f"{name}.json", folder / f"{name}.password")
    if not keystore.file.exists():
        arguments = ["--keystore", keystore.file, "--password-file", keystore.password_file]
        _run("services.signer.keys", "new", *arguments, "--new-password", "--scrypt-n", SCRYPT_N)
    return keystore


def ensure_secret(folder: Path, name: str) -> str:
    """The random text that `folder` keeps in the file `name`, readable by its owner only."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / name
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(secrets.token_urlsafe(32))
    except FileExistsError:
        pass  # made by an earlier start
    return file.read_text()


def ensure_pod_key(folder: Path) -> Path:
    """The Ed25519 key (PEM) of the music pod, made if it is not there. Raises KeyCommandError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_file = folder / "pod.pem"
    if not key_file.exists():
        _run("services.common.trust", "new-key", "--out", key_file)
    return key_file


def trusts(bundle_file: Path, key_id: str, engine: str, weights_digest: str, tasks: Sequence[str]) -> bool:
    """Whether the bundle lets this key attest these tasks of this engine for a good while yet."""
    if not bundle_file.exists():
        return False
    key = TrustBundle.parse(bundle_file.read_bytes()).by_id().get(key_id)
    return (
        key is not None
        and key.revoked_at is None
        and key.not_after > datetime.now(UTC) + RENEW_BEFORE
        and engine in key.engines
        and weights_digest in key.weights_digests
        and set(tasks) <= set(key.tasks)
    )


def trust_pod(
    bundle_file: Path, key_file: Path, engine: str, weights_digest: str, tasks: Sequence[str]
) -> None:
    """Writes the bundle's next version, in which the key may attest these tasks. Raises KeyCommandError."""
    words = [word for task in tasks for word in ("--task", task)]
    _run(
        "services.common.trust",
        "bundle",
        *("--bundle", bundle_file, "--key", key_file, "--engine", engine),
        *("--weights-digest", weights_digest, *words),
    )


def _run(module: str, *arguments: object) -> None:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KeyCommandError(f"python -m {module} failed: {done.stderr.strip() or done.stdout.strip()}")
