"""Runs the contracts' own tests, which are in Solidity: `make contracts-test`."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deploy.local.chain import foundry_binary
from deploy.local.contract import ARTIFACT, ChainError

ROOT = Path(__file__).parents[2]


def test_foundry_compiles_with_the_settings_of_what_is_deployed() -> None:
    tested = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]["default"]
    assert json.loads(ARTIFACT.read_text())["settings"] == {
        "optimizer": {"enabled": tested["optimizer"], "runs": tested["optimizer_runs"]},
        "viaIR": tested["via_ir"],
        "evmVersion": tested["evm_version"],
    }


def test_unit_fuzz_and_invariant_tests_in_foundry_pass() -> None:
    try:
        forge = foundry_binary("forge")
    except ChainError as error:
        pytest.skip(str(error))
    # Where setup had to bring Node, which runs the compiler, it is beside Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = os.environ | {"PATH": path, "NO_COLOR": "1"}
    run = subprocess.run([forge, "test"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "invariant" in run.stdout
    assert "10_000" in run.stdout
