"""A small mesh with nothing wrong (good.yaml), to plant mistakes in."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.manifests.checking import Checks
from deploy.manifests.finding import lines
from deploy.manifests.objects import Object, Render
from deploy.manifests.rendering import Loader

FOLDER = Path(__file__).parent
SCHEMAS = Path(__file__).parents[2] / "deploy" / "k8s" / "schemas"


class Mesh:
    """Objects as they would be rendered, to be changed by a test, and what is then told of them."""

    def __init__(self, objects: list[dict[str, Any]], checks: Checks) -> None:
        self.objects = objects
        self._checks = checks

    def __call__(self, title: str) -> dict[str, Any]:
        """The object `Kind/name`."""
        kind, name = title.split("/")
        return next(obj for obj in self.objects if (obj["kind"], obj["metadata"]["name"]) == (kind, name))

    def pod(self, name: str) -> dict[str, Any]:
        return self(f"Deployment/{name}")["spec"]["template"]["spec"]

    def container(self, name: str) -> dict[str, Any]:
        return self.pod(name)["containers"][0]

    def set(self, name: str, variable: str, value: str) -> None:
        env = self.container(name)["env"]
        env[:] = [entry for entry in env if entry["name"] != variable] + [{"name": variable, "value": value}]

    def unset(self, name: str, variable: str) -> None:
        env = self.container(name)["env"]
        env[:] = [entry for entry in env if entry["name"] != variable]

    def add(self, obj: Object) -> None:
        self.objects.append({"metadata": {}, **obj})

    def told(self, where: str = "overlays/staging") -> str:
        """What is found, a line each."""
        return "\n".join(lines(self._checks.of(Render(where, tuple(self.objects)))))


@pytest.fixture(scope="session")
def checks() -> Checks:
    return Checks(FOLDER, SCHEMAS)


@pytest.fixture(scope="session")
def good() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = yaml.load((FOLDER / "good.yaml").read_text(), Loader)
    return loaded


@pytest.fixture
def mesh(good: list[dict[str, Any]], checks: Checks) -> Mesh:
    # Each by itself: what an anchor names is one object, and a mistake in it would be in many places.
    return Mesh(yaml.load(yaml.dump(copy.deepcopy(good), Dumper=_Plain), Loader), checks)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True
