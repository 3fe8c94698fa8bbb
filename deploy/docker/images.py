"""The images and how each is built. Knows names, files and arguments; runs nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
BASES_FILE = FOLDER / "bases.env"

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


@dataclass(frozen=True)
class Image:
    """`acesteps/<name>`, made of one target of a service's Dockerfile."""

    name: str
    service: str
    target: str
    # requirement files of what is installed in it
    requirements: tuple[str, ...]

    @property
    def dockerfile(self) -> Path:
        return FOLDER / f"{self.service}.Dockerfile"

    @property
    def has_torch(self) -> bool:
        return self.target in ("llama", "acestep")


IMAGES = (
    Image("gateway", "gateway", "gateway", ("gateway.txt",)),
    Image("signer", "signer", "signer", ("signer.txt", "kms.txt")),
    Image("lyrics-builtin", "lyrics", "builtin", ("lyrics.txt",)),
    Image("lyrics-llama", "lyrics", "llama", ("lyrics.txt", "llama.txt")),
    Image("music-sketch", "music", "sketch", ("music.txt",)),
    Image("music-acestep", "music", "acestep", ("music.txt", "acestep.txt")),
)


def read_bases(file: Path = BASES_FILE) -> dict[str, str]:
    """The base images by the name of their build argument."""
    lines = (line.strip() for line in file.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def unpinned(bases: Mapping[str, str]) -> list[str]:
    """The bases that are not named by a digest: what they are may change from one day to the next."""
    return [name for name, image in bases.items() if not _DIGEST.search(image)]


def build_command(
    engine: str, image: Image, tag: str, arguments: Mapping[str, str], options: tuple[str, ...] = ()
) -> list[str]:
    """What builds one image with docker or podman, run in the repository's root.

    Of the arguments it gets those that it declares: engines complain about others.
    """
    declared = re.findall(r"^ARG (\w+)", image.dockerfile.read_text(), re.MULTILINE)
    return [
        *(engine, "build", "--file", str(image.dockerfile.relative_to(ROOT)), "--target", image.target),
        *(
            word
            for name, value in arguments.items()
            if name in declared
            for word in ("--build-arg", f"{name}={value}")
        ),
        *options,
        *("--tag", f"acesteps/{image.name}:{tag}", "."),
    ]
