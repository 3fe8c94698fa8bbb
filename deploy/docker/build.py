"""`python -m deploy.docker.build`: builds the images with docker or podman; a release is pinned and clean.

Knows what a release must be. What an image is made of is its Dockerfile's.
"""

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path

from deploy.docker.images import BASES_FILE, IMAGES, ROOT, build_command, read_bases, unpinned


class NotAReleaseError(Exception):
    """Why this is not fit for a release, in words that say what to change."""


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    bases = read_bases(options.bases)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    try:
        if options.release:
            check_release(bases, _git("status", "--porcelain"), options.source)
    except NotAReleaseError as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    arguments = {**bases, "VERSION": version, "REVISION": _git("rev-parse", "HEAD"), "SOURCE": options.source}
    for image in IMAGES:
        if options.images and image.name not in options.images:
            continue
        own = {"TORCH_INDEX_URL": options.torch_index} if image.has_torch and options.torch_index else {}
        command = build_command(options.engine, image, options.tag or version, {**arguments, **own})
        print(" ".join(command), flush=True)
        if not options.dry_run and subprocess.run(command, cwd=ROOT, check=False).returncode:
            return 1
    return 0


def check_release(bases: dict[str, str], changed: str, source: str) -> None:
    """Raises NotAReleaseError unless anybody could build the same again from what the labels say."""
    if loose := unpinned(bases):
        raise NotAReleaseError(f"{', '.join(loose)} must end in @sha256:<digest>, see docs/images.md")
    if changed:
        raise NotAReleaseError("there are changes that are not committed")
    if not source.startswith("https://"):
        raise NotAReleaseError("--source must say where the code is (https://...)")


def _git(*words: str) -> str:
    done = subprocess.run(("git", *words), cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or ("" if words[0] == "status" else "unknown")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.docker.build", description=__doc__)
    names = [image.name for image in IMAGES]
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"of {', '.join(names)}; none: all")
    parser.add_argument("--engine", default="docker", help="docker (default) or podman")
    parser.add_argument("--tag", default="", help="default: the version in pyproject.toml")
    parser.add_argument("--bases", type=Path, default=BASES_FILE, help="default: deploy/docker/bases.env")
    parser.add_argument("--source", default="unknown", metavar="URL", help="where the code is, for a label")
    parser.add_argument("--torch-index", default="", metavar="URL", help="where torch's own builds are")
    parser.add_argument("--release", action="store_true", help="refuse bases without digest, and changes")
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")
    return parser


if __name__ == "__main__":
    sys.exit(main())
