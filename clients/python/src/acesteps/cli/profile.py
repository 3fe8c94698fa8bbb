"""Where the gateway is and who is calling: from the environment, else from the file that `login` writes.

Knows no call.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from platformdirs import user_config_path

# Where `make demo` listens.
DEFAULT_TARGET = "127.0.0.1:50050"


@dataclass(frozen=True)
class Profile:
    target: str = DEFAULT_TARGET
    api_key: str = ""
    # None: TLS unless the target is this machine.
    tls: bool | None = None
    # Authorities to trust instead of the system's; empty: the system's.
    ca_file: str = ""


def profile_file() -> Path:
    return user_config_path("acesteps", appauthor=False) / "profile.json"


def read_profile(environment: Mapping[str, str], target: str = "") -> Profile:
    """The profile to call with. `target` goes before ACESTEPS_TARGET, and that before the file.

    The file's key and its way of speaking belong to the file's target: no other is sent them.

    Raises:
        ValueError: the file is not a profile, or others may read it.
        OSError: it cannot be read.
    """
    stored = _stored(profile_file())
    target = target or environment.get("ACESTEPS_TARGET", "") or stored.target
    profile = stored if target == stored.target else Profile(target)
    api_key, ca_file = environment.get("ACESTEPS_API_KEY"), environment.get("ACESTEPS_CA_FILE")
    if api_key is not None:
        profile = replace(profile, api_key=api_key)
    return replace(profile, ca_file=ca_file) if ca_file is not None else profile


def store_profile(profile: Profile) -> Path:
    """Writes the file so that only its owner may read it; returns where it is."""
    path = profile_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(profile), file, indent=2)
    part.replace(path)
    return path


def _stored(path: Path) -> Profile:
    if not path.exists():
        return Profile()
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ValueError(f"others may read {path}, which holds an API key: chmod 600 it")
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        profile = Profile(**stored)
    except (ValueError, TypeError):
        profile = None
    if profile is None or not _sound(profile):
        raise ValueError(f"{path} is not what `acesteps login` writes: remove it and log in again")
    return profile


def _sound(profile: Profile) -> bool:
    texts = (profile.target, profile.api_key, profile.ca_file)
    return all(isinstance(text, str) for text in texts) and profile.tls in (None, True, False)
