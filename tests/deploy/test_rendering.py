"""Every overlay, the base and each component alone is rendered, by a kubectl that can."""

import shutil
from pathlib import Path

import pytest

from deploy.manifests.__main__ import main
from deploy.manifests.objects import at
from deploy.manifests.rendering import RenderError, render_all
from tests.deploy.conftest import FOLDER, SCHEMAS

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="needs kubectl (Debian 13 package kubectl)"
)
COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
NOTE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: note}\ndata:\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small deploy/k8s."""
    folder = tmp_path / "k8s"
    files = {
        "base/kustomization.yaml": "namespace: acesteps\nresources: [namespace.yaml, note.yaml]\n",
        "base/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: acesteps\n"
        "  labels: {pod-security.kubernetes.io/enforce: restricted}\n",
        "base/note.yaml": NOTE + "  address: 0x5FbDB2315678afecb367f032d93F642f64180aa3\n",
        "components/more/kustomization.yaml": COMPONENT + "components: [../part]\nresources: [note.yaml]\n",
        "components/more/note.yaml": NOTE.replace("note", "more") + "  a: b\n",
        "components/part/kustomization.yaml": COMPONENT + "patches: [{path: patch.yaml}]\n",
        "components/part/patch.yaml": NOTE + "  part: taken\n",
        "overlays/local/kustomization.yaml": "namespace: acesteps\nresources: [../../base]\n"
        "components: [../../components/more]\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "edges.yaml").write_text((FOLDER / "edges.yaml").read_text())
    return folder


@needs_kubectl
def test_the_base_each_overlay_and_each_whole_component_are_rendered(tree: Path) -> None:
    renders, findings = render_all(tree)
    assert findings == []
    assert sorted(render.name for render in renders) == ["base", "base + components/more", "overlays/local"]
    alone = next(render for render in renders if render.name == "base + components/more")
    assert at(alone.by_name[("ConfigMap", "note")], "data", "part") == "taken"
    assert at(alone.by_name[("ConfigMap", "more")], "metadata", "namespace") == "acesteps"


@needs_kubectl
def test_an_address_stays_a_string_as_kubernetes_reads_them(tree: Path) -> None:
    renders, _ = render_all(tree)
    base = next(render for render in renders if render.name == "base")
    data = at(base.by_name[("ConfigMap", "note")], "data")
    assert data == {"address": "0x5FbDB2315678afecb367f032d93F642f64180aa3"}


@needs_kubectl
def test_what_does_not_render_is_a_finding(tree: Path) -> None:
    (tree / "overlays" / "local" / "kustomization.yaml").write_text("resources: [../../bass]\n")
    renders, [finding] = render_all(tree)
    assert len(renders) == 2
    assert finding.where == "overlays/local"
    assert finding.wrong.startswith("does not render: ")
    assert "bass" in finding.wrong


@needs_kubectl
def test_the_command_tells_a_line_for_each_finding_and_ends_with_1(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["validate", "--folder", str(tree), "--schemas", str(SCHEMAS), "--checkov", "none"]
    assert main(words) == 0, capsys.readouterr()
    namespace = tree / "base" / "namespace.yaml"
    namespace.write_text(namespace.read_text().replace("restricted", "baseline"))
    capsys.readouterr()
    assert main(words) == 1
    told = capsys.readouterr().out
    assert told == (
        "base and 2 more: Namespace/acesteps: metadata.labels[pod-security.kubernetes.io/enforce]: "
        "is baseline; expected restricted\n"
    )


def test_a_missing_kubectl_is_named(tree: Path) -> None:
    with pytest.raises(
        RenderError, match="kubectl-of-nobody is not installed; Debian 13 has it in the package kubectl"
    ):
        render_all(tree, "kubectl-of-nobody")


def test_a_kubectl_that_is_too_old_is_named_with_the_version_that_is_needed(
    tree: Path, tmp_path: Path
) -> None:
    old = tmp_path / "kubectl"
    old.write_text("""#!/bin/sh\necho '{"clientVersion": {"major": "1", "minor": "20+"}}'\n""")
    old.chmod(0o755)
    with pytest.raises(RenderError, match=r"is 1\.20, .* kubectl 1\.22 or newer is needed"):
        render_all(tree, str(old))


def test_the_command_ends_with_2_where_it_cannot_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "--folder", str(tmp_path), "--kubectl", "kubectl-of-nobody"]) == 2
    assert capsys.readouterr().err.startswith("manifests: kubectl-of-nobody is not installed")
