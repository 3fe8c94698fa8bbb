"""Released weights: the files of a release, fetched with resume and checked, and a folder's digest.

Knows hashes and HTTP; nothing of tensors, nor which files a release has: each service that runs a model says.
"""

import argparse
import errno
import hashlib
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0
# A connection that breaks is taken up again where it broke, so often without getting on.
TRIES = 5
RETRY_S = 0.2
# Trying again mends a connection, not these.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)

# (path below what is being hashed, bytes so far, bytes in all)
Seen = Callable[[str, int, int], None]


class WeightsError(Exception):
    """A folder that is not the released weights, or a download that cannot be completed; one line."""


@dataclass(frozen=True)
class WeightFile:
    path: PurePosixPath
    url: str
    # 0 and "": small files whose hash is part of the digest but that were not pinned one by one
    size_bytes: int = 0
    sha256: str = ""
    # how the commit begins that a branch has to be at, where the server names one (X-Repo-Commit)
    commit: str = ""


@dataclass(frozen=True)
class Release:
    """The files of a release and the command that brings them. `listed` are those that its own files name."""

    command: str
    about: str
    files: tuple[WeightFile, ...]
    # given a folder where `files` are
    listed: Callable[[Path], tuple[WeightFile, ...]] = lambda _: ()

    def in_folder(self, folder: Path) -> tuple[WeightFile, ...]:
        """Every file of the release. Raises WeightsError, which says what to run, when one is missing."""
        self._check_present(folder, self.files)
        listed = self.listed(folder)
        self._check_present(folder, listed)
        return (*self.files, *listed)

    def _check_present(self, folder: Path, files: Iterable[WeightFile]) -> None:
        missing = [str(file.path) for file in files if not (folder / file.path).is_file()]
        if missing:
            raise WeightsError(f"{folder} lacks {', '.join(missing)}; run: {self.command} fetch {folder}")


def fetch(folder: Path, release: Release, seen: Seen = lambda *_: None) -> None:
    """Bring every file into `folder`. What is there and right stays; what was begun goes on.

    A file appears under its name only when it is whole and its hash is right.

    Raises:
        WeightsError: a server that does not give the file, or gives another one.
    """
    for file in release.files:
        _bring(file, folder / file.path, seen)
    for file in release.listed(folder):
        _bring(file, folder / file.path, seen)


def verify(folder: Path, release: Release, seen: Seen = lambda *_: None) -> str:
    """The weights digest of a complete folder: sha256 (hex) over its sorted lines `sha256  path`.

    Only the files that belong to the weights count; others in the folder are not read.

    Raises:
        WeightsError: a file is missing or another one than the release's.
    """
    return digest_of({str(f.path): _check(f, folder / f.path, seen) for f in release.in_folder(folder)})


def digest_in(folder: Path, release: Release) -> str:
    """The weights digest of a complete folder, also of weights that are not the release's.

    Raises:
        WeightsError: a file is missing.
    """
    files = release.in_folder(folder)
    return digest_of({str(f.path): _sha256(f, folder / f.path, lambda *_: None) for f in files})


def digest_of(hashes: dict[str, str]) -> str:
    """sha256 (hex) over the sorted lines `sha256  relative/path`, as `sha256sum` prints them."""
    lines = sorted(f"{sha256}  {path}\n" for path, sha256 in hashes.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _bring(file: WeightFile, target: Path, seen: Seen) -> None:
    if target.exists():
        _check(file, target, seen)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    _download(file, part, seen)
    try:
        _check(file, part, seen)
    except WeightsError:
        part.unlink()  # going on with wrong bytes would never end well
        raise
    part.rename(target)


def _check(file: WeightFile, path: Path, seen: Seen) -> str:
    """The file's sha256 (hex); raises WeightsError when it is not the release's."""
    size = path.stat().st_size
    if file.size_bytes and size != file.size_bytes:
        raise WeightsError(
            f"{file.path} has {size:,} bytes, the release {file.size_bytes:,}; delete it and fetch"
        )
    sha256 = _sha256(file, path, seen)
    if file.sha256 and sha256 != file.sha256:
        raise WeightsError(f"{file.path} is not the released file (sha256 {sha256}); delete it and fetch")
    if not file.sha256 and path.name.removesuffix(".part").endswith(".json") and not _is_json(path):
        raise WeightsError(f"{file.path} is no JSON, as a page of a server in between; delete it and fetch")
    return sha256


def _is_json(path: Path) -> bool:
    """What is not pinned is settings and vocabulary: at least no page of a captive portal."""
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except ValueError:  # of JSON and of UTF-8
        return False


def _sha256(file: WeightFile, path: Path, seen: Seen) -> str:
    hasher, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            hasher.update(chunk)
            done += len(chunk)
            seen(f"check {file.path}", done, size)
    return hasher.hexdigest()


def _download(file: WeightFile, part: Path, seen: Seen) -> None:
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        if file.size_bytes and before >= file.size_bytes:
            return
        try:
            _continue(file, part, before, seen)
            return
        except (OSError, http.client.HTTPException) as error:  # refused, broken or timed out
            if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
                raise WeightsError(f"{part} cannot be written: {error.strerror}") from error
            status = error.code if isinstance(error, urllib.error.HTTPError) else 0
            if status == 416 and before:  # there is nothing after what we have, which may be another file
                part.unlink()
            elif 400 <= status < 500 and status != 429:
                raise WeightsError(f"{file.url} answers {error}") from error
            got_on = part.exists() and part.stat().st_size > before
            failures = 0 if got_on else failures + 1
            if failures >= TRIES:
                raise WeightsError(f"{file.url} cannot be read: {error}") from error
            time.sleep(min(2.0**failures, 10.0) * RETRY_S)


def _continue(file: WeightFile, part: Path, start: int, seen: Seen) -> None:
    request = urllib.request.Request(file.url, headers={"Range": f"bytes={start}-"} if start else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        commit = answer.headers.get("X-Repo-Commit") or file.commit
        if not commit.startswith(file.commit):
            raise WeightsError(f"{file.url} has moved on to {commit}; the release is {file.commit}")
        resumed = answer.status == 206
        begin = start if resumed else 0  # a server without ranges sends it all again
        total = begin + int(answer.headers.get("Content-Length") or 0)
        done = begin
        with part.open("ab" if resumed else "wb") as stream:
            while chunk := answer.read(CHUNK_BYTES):
                stream.write(chunk)
                done += len(chunk)
                seen(str(file.path), done, total)
        if done < total:
            raise ConnectionError(f"ended after {done:,} of {total:,} bytes")


def main(release: Release, argv: Sequence[str] | None = None) -> int:
    """`fetch FOLDER` and `verify FOLDER`; the exit status."""
    parser = argparse.ArgumentParser(prog=release.command, description=release.about)
    commands = parser.add_subparsers(required=True, dest="command")
    for name, text in (
        ("fetch", f"download {release.about}; goes on where it stopped"),
        ("verify", "check a folder and print its weights digest"),
    ):
        commands.add_parser(name, help=text).add_argument("folder", type=Path)
    arguments = parser.parse_args(argv)
    show = _progress() if sys.stderr.isatty() else lambda *_: None
    try:
        if arguments.command == "fetch":
            fetch(arguments.folder, release, show)
        print(verify(arguments.folder, release, show))
    except (WeightsError, OSError) as error:
        print(f"weights: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("weights: stopped; run the same command to go on", file=sys.stderr)
        return 130
    return 0


def _progress() -> Seen:
    def show(what: str, done: int, total: int) -> None:
        share = f"{done / total:4.0%} of {total / 1e6:,.0f} MB" if total else f"{done / 1e6:,.0f} MB"
        width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
        print(f"{what}  {share}"[:width].ljust(width), end="\r" if done < total else "\n", file=sys.stderr)

    return show
