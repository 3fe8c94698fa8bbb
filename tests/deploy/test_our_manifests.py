"""Nothing is wrong with deploy/k8s: what `make k8s-validate` runs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.manifests.__main__ import FOLDER, main
from deploy.manifests.references import prerequisites

INSTALL = FOLDER.parents[1] / "docs" / "install-kubernetes.md"


def test_the_installation_page_names_every_secret_that_has_to_be_made() -> None:
    page = INSTALL.read_text()
    secrets = [entry.name for entry in prerequisites(FOLDER) if entry.kind in ("Secret", "ConfigMap")]
    secrets.remove("postgresql")  # of the overlay local, where one command makes all
    assert [name for name in secrets if f"`{name}`" not in page] == []


def test_the_secrets_of_a_new_installation_are_those_that_the_manifests_ask_for(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.first_secrets", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    items = json.loads((tmp_path / "secrets.json").read_text())["items"]
    made = {(item["kind"], item["metadata"]["name"], frozenset(item["data"])) for item in items}
    asked = {
        (entry.kind, entry.name, entry.keys)
        for entry in prerequisites(FOLDER)
        # where pods have identities of their own there is none
        if entry.kind in ("Secret", "ConfigMap") and entry.name != "gateway-objects"
    }
    assert made == asked


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl (Debian 13 package kubectl)")
def test_nothing_is_wrong_with_our_manifests(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["validate"])
    told = capsys.readouterr()
    assert status == 0, told.out + told.err
