"""The trust bundle of one verifier: taken anew when its file changes, and never an older one.

Knows files and versions; what a bundle says is in `bundle`.
"""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import rfc8785
from prometheus_client import Gauge

from services.common.provenance import strict_json
from services.common.trust.bundle import TrustBundle, write_atomically

_log = logging.getLogger(__name__)

VERSION = Gauge("acesteps_trust_bundle_version", "Version of the trust bundle in use; 0 while there is none.")
FOUND = Gauge(
    "acesteps_trust_bundle_found_version",
    "Version that the trust bundle's file says, also when it is refused; 0 when the file is no bundle.",
)


@dataclass(frozen=True)
class Seen:
    """The highest version that a verifier has taken, and what it said."""

    version: int
    sha256: str

    @classmethod
    def of(cls, bundle: TrustBundle, data: bytes) -> Self:
        """`data` is the bundle's file; how it is spaced does not count."""
        return cls(bundle.version, hashlib.sha256(rfc8785.dumps(strict_json(data))).hexdigest())

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """None without a file. Raises OSError; ValueError for a file that is not ours."""
        try:
            fields = strict_json(path.read_bytes())
        except FileNotFoundError:
            return None
        version, sha256 = fields.get("version"), fields.get("sha256", "")
        if type(version) is not int or not isinstance(sha256, str):
            raise ValueError("no version in it")
        return cls(version, sha256)

    def check(self, found: "Seen") -> None:
        """Raises ValueError for a bundle that is older, or another one of the same version."""
        name = f"trust bundle version {found.version}"
        if found.version < self.version:
            raise ValueError(f"{name} is older than {self.version}, seen before")
        if found.version == self.version and self.sha256 not in ("", found.sha256):
            raise ValueError(f"{name} is another one than that of this version seen before")


class TrustStore:
    """The highest version is kept in memory and in `state_path`, so that a restart does not forget it.

    Without that file the bundle found is taken as the first one, unless it is below `least_version`: a
    verifier that can lose its files is told by its settings what it must not fall behind.
    """

    def __init__(self, bundle_path: Path, state_path: Path, least_version: int = 1) -> None:
        """Raises OSError; ValueError when the bundle or the state is malformed, or the bundle too old."""
        self._path, self._state_path = bundle_path, state_path
        self._complaint = ""
        try:
            self._kept = Seen.load(state_path)
        except ValueError as error:
            raise ValueError(f"{state_path} is not the state of a trust bundle: {error}") from error
        self._stamp = self._stat()
        self._bundle, self._seen = _read(bundle_path.read_bytes())
        if self._seen.version < least_version:
            raise ValueError(f"trust bundle version {self._seen.version} is below {least_version}, the least")
        if self._kept is None:
            _log.warning("no trust state: the bundle that is there is taken for the first")
        else:
            self._kept.check(self._seen)
        self._keep()
        for gauge in (VERSION, FOUND):
            gauge.set(self._seen.version)

    def bundle(self) -> TrustBundle:
        """The newest good bundle. A bad or rolled-back file is logged, and the last good one stays."""
        complaint = ""
        try:
            self._renew()
        except (OSError, ValueError) as error:
            complaint = f"trust bundle refused, the last good one stays: {error}"
        try:
            self._keep()
        except OSError as error:  # a full disk must not keep a revocation from counting
            complaint = (
                f"the version of the trust bundle cannot be kept in {self._state_path}: {error.strerror}"
            )
        if complaint != self._complaint:  # once, not at every call
            self._complaint = complaint
            if complaint:
                _log.error("%s", complaint)
        return self._bundle

    def _renew(self) -> None:
        stamp = self._stat()
        if stamp == self._stamp:
            return
        data = self._path.read_bytes()  # where this fails it is tried again
        self._stamp = stamp
        FOUND.set(0)
        bundle, found = _read(data)
        FOUND.set(found.version)
        self._seen.check(found)
        self._bundle, self._seen = bundle, found
        VERSION.set(found.version)
        _log.info("trust bundle reloaded", extra={"version": bundle.version})

    def _keep(self) -> None:
        if self._kept != self._seen:
            write_atomically(self._state_path, json.dumps(asdict(self._seen)).encode())
            self._kept = self._seen

    def _stat(self) -> tuple[int, int, int]:
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read(data: bytes) -> tuple[TrustBundle, Seen]:
    bundle = TrustBundle.parse(data)
    return bundle, Seen.of(bundle, data)
