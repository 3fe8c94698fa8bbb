"""What checkov finds is told, but for what is skipped with a reason; an idle skip is told too."""

import copy
from pathlib import Path

import pytest

from deploy.manifests.checkov import CheckovError, Skip, reported, skips, unskipped
from deploy.manifests.finding import Finding, lines
from deploy.manifests.objects import Render
from tests.deploy.conftest import Mesh

# "Containers should run as a high UID to avoid host conflict"
ROOT = "CKV_K8S_40"
FOUND = Finding("overlays/local", "Deployment/music", "CKV_K8S_11", "CPU limits should be set")


def test_what_is_not_skipped_is_told() -> None:
    assert lines(unskipped([FOUND], ())) == [
        "overlays/local: Deployment/music: CKV_K8S_11: CPU limits should be set"
    ]


def test_a_skip_takes_its_check_of_its_objects_only() -> None:
    assert lines(unskipped([FOUND], (Skip("CKV_K8S_11", "songs wait", "*"),))) == []
    assert FOUND in list(unskipped([FOUND], (Skip("CKV_K8S_11", "songs wait", "Job/*"),)))


def test_a_skip_without_a_reason_is_told() -> None:
    assert lines(unskipped([FOUND], (Skip("CKV_K8S_11", "", "*"),))) == [
        "checkov-skips.yaml: CKV_K8S_11: has no reason; expected one that a reader can judge"
    ]


def test_a_skip_that_nothing_needs_is_told() -> None:
    skipped = (Skip("CKV_K8S_11", "songs wait", "*"), Skip("CKV_K8S_43", "by tag", "Job/*"))
    assert lines(unskipped([FOUND], skipped)) == [
        "checkov-skips.yaml: CKV_K8S_43: nothing of Job/* fails it any more; expected no such skip"
    ]


def test_skips_are_read_with_their_reasons(tmp_path: Path) -> None:
    (tmp_path / "checkov-skips.yaml").write_text(
        "- {check: CKV_1, reason: ' why '}\n- {check: CKV_2, objects: Job/*}\n"
    )
    assert skips(tmp_path) == (Skip("CKV_1", "why", "*"), Skip("CKV_2", "", "Job/*"))


def test_a_missing_checkov_is_named_with_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(CheckovError, match=r"checkov is not installed .* make setup-dev"):
        reported([], tmp_path / "checkov")


def test_checkov_itself_sees_a_root_container_in_the_render_that_has_it(mesh: Mesh) -> None:
    good = tuple(copy.deepcopy(mesh.objects))
    mesh.container("lyrics")["securityContext"]["runAsUser"] = 0
    bad = Render("overlays/local", tuple(mesh.objects))
    findings = reported([Render("overlays/staging", good), bad])
    assert {(finding.where, finding.object) for finding in findings if finding.path == ROOT} == {
        ("overlays/local", "Deployment/lyrics")
    }
