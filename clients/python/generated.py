"""The build's hook: makes the modules of the protos and puts them into the package.

In a source distribution they are there already, and nothing is left to do.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "src/acesteps"


class GeneratedModules(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        protos = Path(self.root).parents[1] / "protos"
        if (Path(self.root) / PACKAGE / "gateway").is_dir():
            return
        self._folder = Path(tempfile.mkdtemp())
        _generate(protos, self._folder)
        place = PACKAGE if self.target_name == "sdist" else "acesteps"
        for folder in sorted((self._folder / "acesteps").iterdir()):
            for kind in {"force_include", "force_include_editable"} & build_data.keys():
                build_data[kind][str(folder)] = f"{place}/{folder.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder)


def _generate(protos: Path, folder: Path) -> None:
    """Raises CalledProcessError where the protos cannot be compiled."""
    files = sorted(str(path) for path in protos.glob("acesteps/*/v1/*.proto"))
    places = [f"--{kind}={folder}" for kind in ("python_out", "grpc_python_out")]
    typed = [f"--{kind}=quiet:{folder}" for kind in ("mypy_out", "mypy_grpc_out")]
    if not files:
        raise FileNotFoundError(f"there are no protos in {protos}: build from a checkout or from an sdist")
    # The plugins for types are scripts beside this interpreter.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", *places, *typed, *files]
    subprocess.run(command, check=True, env=os.environ | {"PATH": path})
