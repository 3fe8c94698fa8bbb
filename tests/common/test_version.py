"""The version that services tell is the project's."""

import tomllib
from pathlib import Path

from services.common.version import VERSION


def test_services_tell_the_version_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
