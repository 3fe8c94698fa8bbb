"""Fields and kinds that no API server would take are told; the good mesh is not."""

import json
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest

from deploy.manifests.finding import lines
from deploy.manifests.objects import Render
from deploy.manifests.schemas import NEWEST, Schemas, closed
from tests.deploy.conftest import SCHEMAS, Mesh


def test_nothing_is_told_of_a_good_mesh(mesh: Mesh) -> None:
    assert mesh.told() == ""


def test_a_misspelt_field_of_a_deployment_is_told_for_both_versions(mesh: Mesh) -> None:
    mesh("Deployment/lyrics")["spec"]["replica"] = 2
    told = mesh.told()
    for version in ("1.31", "1.37"):
        assert (
            "overlays/staging: Deployment/lyrics: spec: unknown field ('replica' was unexpected) "
            f"in Kubernetes {version}" in told
        )


def test_a_misspelt_field_of_a_pod_monitor_is_told(mesh: Mesh) -> None:
    mesh("PodMonitor/mesh")["spec"]["podMetricsEndpoints"][0]["intervall"] = "15s"
    assert (
        "PodMonitor/mesh: spec.podMetricsEndpoints[0]: unknown field ('intervall' was unexpected)"
        in mesh.told()
    )


def test_a_misspelt_label_field_of_a_custom_resource_is_told(mesh: Mesh) -> None:
    mesh("PodMonitor/mesh")["metadata"]["lables"] = {"a": "b"}
    assert "PodMonitor/mesh: metadata: unknown field ('lables' was unexpected)" in mesh.told()


def test_a_number_where_a_string_belongs_is_told(mesh: Mesh) -> None:
    mesh("ConfigMap/values")["data"]["CHAIN_ID"] = 31337
    assert "ConfigMap/values: data.CHAIN_ID: 31337 is not of type" in mesh.told()


def test_a_kind_without_a_schema_is_told(mesh: Mesh) -> None:
    mesh.add(
        {"apiVersion": "example.com/v1", "kind": "Mixer", "metadata": {"name": "m", "namespace": "acesteps"}}
    )
    assert "Mixer/m: apiVersion: no schema for Mixer of example.com/v1" in mesh.told()
    assert "has no mixer-example.com-v1.json" in mesh.told()


def test_a_field_of_a_wrong_kind_does_not_end_the_checks_in_a_traceback(mesh: Mesh) -> None:
    mesh.container("lyrics")["env"] = ["LYRICS_SLOTS=2"]
    told = mesh.told()
    assert "containers[0].env[0]: 'LYRICS_SLOTS=2' is not of type 'object'" in told
    assert "could not be checked further; expected fields that fit their schemas first" in told


def test_another_groups_kind_does_not_pass_for_kubernetes_own(mesh: Mesh) -> None:
    mesh("Deployment/lyrics")["apiVersion"] = "apps.example.com/v1"
    assert "no schema for Deployment of apps.example.com/v1" in mesh.told()


def test_a_version_that_the_oldest_kubernetes_lacks_is_told(mesh: Mesh) -> None:
    mesh("HorizontalPodAutoscaler/gateway")["apiVersion"] = "autoscaling/v2beta2"
    assert "Kubernetes 1.31 has no HorizontalPodAutoscaler of autoscaling/v2beta2" in mesh.told()


def test_the_newest_version_is_the_newest_that_there_are_schemas_of() -> None:
    assert kubernetes_validate.latest_version() == f"{NEWEST}.0"


def test_schemas_are_read_from_the_folder_that_is_given(tmp_path: Path) -> None:
    properties = {name: {} for name in ("apiVersion", "kind", "metadata", "spec")}
    properties["spec"] = {"type": "object", "properties": {"tracks": {"type": "integer"}}}
    schema = {"type": "object", "properties": properties}
    (tmp_path / "mixer-example.com-v1.json").write_text(json.dumps(schema))
    mixer = {
        "apiVersion": "example.com/v1",
        "kind": "Mixer",
        "metadata": {"name": "m"},
        "spec": {"trakcs": 2},
    }
    told = lines(Schemas(tmp_path).check(Render("base", (mixer,))))
    assert told == ["base: Mixer/m: spec: unknown field ('trakcs' was unexpected)"]


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_every_schema_refuses_an_unknown_field_at_its_top(path: Path) -> None:
    validator = jsonschema.Draft202012Validator(closed(json.loads(path.read_text())))
    assert any("'speck'" in error.message for error in validator.iter_errors({"speck": {}}))


def test_fields_below_one_of_are_known_and_others_are_not() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {}},
        "oneOf": [
            {"properties": {"url": {}}, "required": ["url"]},
            {"properties": {"file": {}}, "required": ["file"]},
        ],
    }
    validator = jsonschema.Draft202012Validator(closed(schema))
    assert validator.is_valid({"name": "a", "url": "b"})
    assert not validator.is_valid({"name": "a", "url": "b", "urn": "c"})


def test_a_schema_that_keeps_unknown_fields_is_left_open() -> None:
    schema = {
        "properties": {"config": {"x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {}}}}
    }
    validator = jsonschema.Draft202012Validator(closed(schema))
    assert validator.is_valid({"config": {"b": 1}})
    assert not validator.is_valid({"confg": {}})
