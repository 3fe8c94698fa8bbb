"""The weights of ACE-Step v1: what belongs to them, fetched with resume and checked, and their digest.

Knows names, hashes and HTTP; nothing of tensors. `python -m services.music.weights --help`.
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

REVISION = "82cd0d7b6322bd28cd4e830fe675ddb6180ce36c"
MODEL_URL = f"https://huggingface.co/ACE-Step/ACE-Step-v1-3.5B/resolve/{REVISION}"
CODE_URL = "https://raw.githubusercontent.com/ace-step/ACE-Step/d612523/acestep"

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


def _model(path: str, size_bytes: int = 0, sha256: str = "") -> WeightFile:
    return WeightFile(PurePosixPath(path), f"{MODEL_URL}/{path}", size_bytes, sha256)


_TENSORS = "diffusion_pytorch_model.safetensors"

RELEASE: tuple[WeightFile, ...] = (
    _model("ace_step_transformer/config.json"),
    _model(
        f"ace_step_transformer/{_TENSORS}",
        6_611_422_728,
        "e810f16728d8a2e0d1b9c3a907aac8c9a427ce38edbd890cb3dce5ff92da5aad",
    ),
    _model("music_dcae_f8c8/config.json"),
    _model(
        f"music_dcae_f8c8/{_TENSORS}",
        313_646_516,
        "2b0cb469307ac50659d1880db2a99bae47d0df335cbb36853964662d4b80e8ee",
    ),
    _model("music_vocoder/config.json"),
    _model(
        f"music_vocoder/{_TENSORS}",
        206_350_988,
        "c92c9b46e28ab7b37b777780cf4308ad7ddac869636bb77aa61599358c4bc1c0",
    ),
    _model("umt5-base/config.json"),
    _model("umt5-base/special_tokens_map.json"),
    _model("umt5-base/tokenizer.json"),
    _model("umt5-base/tokenizer_config.json"),
    _model(
        "umt5-base/model.safetensors",
        1_127_460_248,
        "779cec0d210b2123e21d0a9cd8128f02b4d412627355028965a8be0b241cc3b6",
    ),
    # The lyric vocabulary is part of the released code, not of the released weights.
    WeightFile(
        PurePosixPath("lyric_vocab.json"),
        f"{CODE_URL}/models/lyrics_utils/vocab.json",
        364_005,
        "c2a66ea48c478c0bb9acb5497144b926acdeaa37128faa799508d40f2b9cc558",
    ),
)


def fetch(folder: Path, files: Iterable[WeightFile] = RELEASE, seen: Seen = lambda *_: None) -> None:
    """Bring every file into `folder`. What is there and right stays; what was begun goes on.

    A file appears under its name only when it is whole and its hash is right.

    Raises:
        WeightsError: a server that does not give the file, or gives another one.
    """
    for file in files:
        target = folder / file.path
        if target.exists():
            _check(file, target, seen)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        _download(file, part, seen)
        try:
            _check(file, part, seen)
        except WeightsError:
            part.unlink()  # going on with wrong bytes would never end well
            raise
        part.rename(target)


def verify(folder: Path, files: Sequence[WeightFile] = RELEASE, seen: Seen = lambda *_: None) -> str:
    """The weights digest of a complete folder: sha256 (hex) over its sorted lines `sha256  path`.

    Only the files that belong to the weights count; others in the folder are not read.

    Raises:
        WeightsError: a file is missing or another one than the release's.
    """
    check_present(folder, files)
    return digest_of({str(f.path): _check(f, folder / f.path, seen) for f in files})


def check_present(folder: Path, files: Sequence[WeightFile] = RELEASE) -> None:
    """Raises WeightsError, which says what to run, when a file is missing."""
    missing = [str(f.path) for f in files if not (folder / f.path).is_file()]
    if missing:
        raise WeightsError(
            f"{folder} lacks {', '.join(missing)}; run: python -m services.music.weights fetch {folder}"
        )


def digest_in(folder: Path, files: Sequence[WeightFile] = RELEASE) -> str:
    """The weights digest of a complete folder, also of weights that are not the release's.

    Raises:
        WeightsError: a file is missing.
    """
    check_present(folder, files)
    return digest_of({str(f.path): _sha256(f, folder / f.path, lambda *_: None) for f in files})


def digest_of(hashes: dict[str, str]) -> str:
    """sha256 (hex) over the sorted lines `sha256  relative/path`, as `sha256sum` prints them."""
    lines = sorted(f"{sha256}  {path}\n" for path, sha256 in hashes.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


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
    if not file.sha256 and not _is_json(path):
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


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.music.weights", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    for name, text in (
        ("fetch", "download the pinned revision (8.3 GB) and the lyric vocabulary; goes on where it stopped"),
        ("verify", "check a folder and print its weights digest, which attestations carry"),
    ):
        commands.add_parser(name, help=text).add_argument("folder", type=Path)
    arguments = parser.parse_args(argv)
    show = _progress() if sys.stderr.isatty() else lambda *_: None
    try:
        if arguments.command == "fetch":
            fetch(arguments.folder, seen=show)
        print(verify(arguments.folder, seen=show))
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


if __name__ == "__main__":
    sys.exit(main())
