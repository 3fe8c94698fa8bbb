"""`python -m deploy.docker.secrets FOLDER`: every secret of one machine, made the first time and kept.

Each service's folder below FOLDER is a volume that only that service mounts. Runs in the signer's image, as
root, for the folders' owners; certificates that run out are made anew, nothing else is ever replaced.
"""

import os
import secrets
import subprocess
import sys
from pathlib import Path

from deploy.docker.certificates import Authority

OWNER = 10001
# Everybody who calls or is called, by the name on the certificate.
CERTIFIED = ("gateway", "lyrics", "music", "signer", "trust", "operator")
DATABASE = "acesteps"
DATABASE_HOST = "postgres"
# Whose folder holds the password of which role; a copy lies in the database's, which sets it.
ROLES = {
    "gateway": "acesteps_gateway",
    "signer": "acesteps_signer",
    "signer-owner": "acesteps_signer_owner",
}
# Volumes that need an owner and get no secret.
EMPTY = ("bundle", "objects", "state-music", "state-signer", "weights-lyrics", "weights-music")


def main(folder: Path) -> int:
    authority = Authority(_folder(folder / "authority"))
    for name in CERTIFIED:
        if authority.ensure(_folder(folder / name), name):
            print(f"certificate of {name}")
    _passwords(folder)
    for setting in ("gateway_url_keys", "gateway_webhook_key"):
        _text(folder / "gateway" / setting, secrets.token_urlsafe(32))
    if not (folder / "music" / "pod.pem").exists():
        public = _folder(folder / "trust") / "pod.pub.pem"
        print(
            "attestation key",
            _run(
                "services.common.trust",
                "new-key",
                "--out",
                folder / "music" / "pod.pem",
                "--public-out",
                public,
            ),
        )
    if not (folder / "signer" / "eip712.json").exists():
        keystore, password = folder / "signer" / "eip712.json", folder / "signer" / "eip712.password"
        files = ("--keystore", keystore, "--password-file", password, "--new-password")
        print("permit key", _run("services.signer.keys", "new", *files))
    for name in EMPTY:
        if (folder / name).exists():
            os.chown(folder / name, OWNER, OWNER)
    _give_away(folder)
    return 0


def _passwords(folder: Path) -> None:
    database = _folder(folder / "postgres")
    _text(database / "superuser.password", secrets.token_hex(32))
    for place, role in ROLES.items():
        password = _text(database / f"{place}.password", secrets.token_hex(32))
        _text(_folder(folder / place) / "pgpass", f"{DATABASE_HOST}:*:{DATABASE}:{role}:{password}\n")


def _text(file: Path, text: str) -> str:
    """What is in the file, which is `text` if it was not there."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(text)
    return file.read_text()


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True, mode=0o700)
    return path


def _give_away(folder: Path) -> None:
    """Folders to the user of the images; the database's to whoever its image runs as, who alone mounts it."""
    for place in (*CERTIFIED, *ROLES):
        for path in (folder / place, *(folder / place).iterdir()):
            os.chown(path, OWNER, OWNER)
            path.chmod(0o700 if path.is_dir() else 0o600)
    for path in (folder / "postgres", *(folder / "postgres").iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o444)


def _run(module: str, *arguments: object) -> str:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
