"""What an object names is there, what selects finds something, and evictions are possible."""

from pathlib import Path
from typing import Any

import pytest

from deploy.manifests.checking import Checks
from deploy.manifests.finding import lines
from deploy.manifests.objects import Render
from deploy.manifests.references import PREREQUISITES
from deploy.manifests.targets import idle_policies
from tests.deploy.conftest import FOLDER, SCHEMAS, Mesh


def test_a_secret_that_nobody_makes_is_told(mesh: Mesh) -> None:
    mesh.container("gateway")["env"][0]["valueFrom"]["secretKeyRef"]["name"] = "gatway"
    assert mesh.told() == (
        "overlays/staging: Deployment/gateway: "
        "spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef: no Secret named gatway; "
        "expected one in the render or in prerequisites.yaml"
    )


def test_a_key_that_a_secret_lacks_is_told(mesh: Mesh) -> None:
    mesh.container("gateway")["env"][0]["valueFrom"]["secretKeyRef"]["key"] = "dsn"
    assert "Secret gateway has no key dsn; expected url" in mesh.told()


def test_a_secret_that_may_be_missing_is_not_told(mesh: Mesh) -> None:
    mesh.container("gateway")["envFrom"] = [{"secretRef": {"name": "objects", "optional": True}}]
    assert mesh.told() == ""


def test_an_external_secret_makes_a_secret_with_its_keys(mesh: Mesh) -> None:
    mesh.pod("music")["volumes"][0]["secret"]["secretName"] = "from-vault"
    remote = {"secretKey": "attestation.pem", "remoteRef": {"key": "music"}}
    secret: dict[str, Any] = {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "from-vault", "namespace": "acesteps"},
        "spec": {"secretStoreRef": {"name": "vault"}, "data": [remote]},
    }
    mesh.add(secret)
    assert "spec.secretStoreRef: no SecretStore named vault" in mesh.told()
    assert "Deployment/music" not in mesh.told()
    remote["secretKey"] = "key.pem"
    assert "MUSIC_ATTESTATION_KEY_FILE is /run/secrets/attestation/attestation.pem" in mesh.told()
    assert "has no file attestation.pem; expected key.pem" in mesh.told()


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("serviceAccountName", "ServiceAccount named nobody"),
        ("priorityClassName", "PriorityClass named nobody"),
        ("runtimeClassName", "RuntimeClass named nobody"),
    ],
)
def test_what_a_pod_names_is_there(mesh: Mesh, place: str, expected: str) -> None:
    mesh.pod("music")[place] = "nobody"
    assert f"Deployment/music: spec.template.spec.{place}: no {expected}" in mesh.told()


def test_a_claim_that_is_not_there_is_told(mesh: Mesh) -> None:
    mesh.pod("gateway")["volumes"][0]["persistentVolumeClaim"]["claimName"] = "object"
    assert "no PersistentVolumeClaim named object" in mesh.told()


def test_an_image_of_nobody_is_told(mesh: Mesh) -> None:
    mesh.container("lyrics")["image"] = "acestep/lyrics-builtin:1.0.0"
    assert "containers[0].image: no Image named acestep/lyrics-builtin" in mesh.told()


def test_a_scaler_of_nothing_is_told(mesh: Mesh) -> None:
    mesh("ScaledObject/music")["spec"]["scaleTargetRef"]["name"] = "musik"
    assert "ScaledObject/music: spec.scaleTargetRef: no Deployment named musik" in mesh.told()


def test_two_scalers_of_one_deployment_are_told(mesh: Mesh) -> None:
    mesh("ScaledObject/music")["spec"]["scaleTargetRef"]["name"] = "gateway"
    assert "HorizontalPodAutoscaler/gateway scales Deployment/gateway too" in mesh.told()


def test_replicas_beside_a_scaler_are_told(mesh: Mesh) -> None:
    mesh("Deployment/music")["spec"]["replicas"] = 3
    assert "Deployment/music: spec.replicas: is set, and ScaledObject/music sets it too" in mesh.told()


def test_a_certificate_of_an_unknown_issuer_is_told(mesh: Mesh) -> None:
    mesh("Certificate/music")["spec"]["issuerRef"]["name"] = "mash"
    assert "Certificate/music: spec.issuerRef: no Issuer named mash" in mesh.told()


def test_a_service_that_selects_nothing_is_told(mesh: Mesh) -> None:
    mesh("Service/lyrics")["spec"]["selector"] = {"app.kubernetes.io/name": "lyric"}
    assert "Service/lyrics: spec.selector: selects no pod of the render" in mesh.told()


def test_a_service_without_a_selector_is_told(mesh: Mesh) -> None:
    del mesh("Service/gateway")["spec"]["selector"]
    assert "Service/gateway: spec.selector: is missing: nobody is behind the Service" in mesh.told()


def test_a_service_to_a_port_that_pods_lack_is_told(mesh: Mesh) -> None:
    mesh("Service/lyrics")["spec"]["ports"][0]["targetPort"] = "grcp"
    assert (
        "spec.ports[0].targetPort: Deployment/lyrics has no port grcp; expected grpc 50051, health 8081"
        in mesh.told()
    )


def test_a_monitor_of_a_port_that_no_pod_has_is_told(mesh: Mesh) -> None:
    mesh("PodMonitor/mesh")["spec"]["podMetricsEndpoints"][0]["port"] = "metric"
    assert (
        "PodMonitor/mesh: spec.podMetricsEndpoints[0].port: no pod that it selects has a port metric"
        in mesh.told()
    )


def test_a_pod_with_metrics_that_nobody_reads_is_told(mesh: Mesh) -> None:
    mesh("PodMonitor/mesh")["spec"]["selector"] = {"matchLabels": {"app.kubernetes.io/name": "music"}}
    assert "Deployment/gateway: spec.template.metadata.labels: no PodMonitor selects it" in mesh.told()


def test_a_deployment_that_does_not_select_its_own_pods_is_told(mesh: Mesh) -> None:
    mesh("Deployment/lyrics")["spec"]["selector"]["matchLabels"] = {"app.kubernetes.io/name": "lyric"}
    assert "Deployment/lyrics: spec.selector: does not select the pods of its own template" in mesh.told()


def test_a_spread_over_other_pods_is_told(mesh: Mesh) -> None:
    spread = mesh.pod("gateway")["topologySpreadConstraints"][0]
    spread["labelSelector"]["matchLabels"] = {"app": "gateway"}
    assert "topologySpreadConstraints[0].labelSelector: does not select the pod itself" in mesh.told()


def test_a_route_to_a_port_that_the_service_lacks_is_told(mesh: Mesh) -> None:
    mesh("HTTPRoute/gateway")["spec"]["rules"][0]["backendRefs"][0]["port"] = 8000
    assert (
        "spec.rules[0].backendRefs[0].port: Service gateway has no port 8000; expected 8080, 50050"
        in mesh.told()
    )


def test_a_route_that_leads_nowhere_is_told(mesh: Mesh) -> None:
    del mesh("HTTPRoute/gateway")["spec"]["rules"][0]["backendRefs"]
    assert "HTTPRoute/gateway: spec.rules[0].backendRefs: leads nowhere" in mesh.told()


def test_a_route_that_no_gateway_has_is_told(mesh: Mesh) -> None:
    del mesh("HTTPRoute/gateway")["spec"]["parentRefs"]
    assert "HTTPRoute/gateway: spec.parentRefs: no Gateway has it" in mesh.told()


def test_a_route_to_a_listener_that_is_not_there_is_told(mesh: Mesh) -> None:
    mesh("HTTPRoute/gateway")["spec"]["parentRefs"][0]["sectionName"] = "https"
    assert (
        "spec.parentRefs[0].sectionName: Gateway public has no listener https; expected http" in mesh.told()
    )


def test_a_volume_that_nothing_mounts_is_told(mesh: Mesh) -> None:
    mesh.pod("lyrics")["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    assert "Deployment/lyrics: spec.template.spec.volumes: no container mounts tmp" in mesh.told()


def test_a_mount_of_a_volume_that_is_not_there_is_told(mesh: Mesh) -> None:
    mesh.container("lyrics")["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
    assert "containers[0].volumeMounts[0].name: the pod has no volume tmp" in mesh.told()


@pytest.mark.parametrize(
    "spec", [{"minAvailable": 2}, {"minAvailable": "100%"}, {"minAvailable": "51%"}, {"maxUnavailable": 0}]
)
def test_a_budget_that_blocks_every_eviction_is_told(mesh: Mesh, spec: dict[str, Any]) -> None:
    budget = mesh("PodDisruptionBudget/gateway")["spec"]
    del budget["minAvailable"]
    budget.update(spec)
    [line] = mesh.told().splitlines()
    assert "with 2 of Deployment/gateway no pod can be evicted: a node never drains" in line


@pytest.mark.parametrize("spec", [{"minAvailable": "50%"}, {"maxUnavailable": "1%"}, {"maxUnavailable": 1}])
def test_a_budget_that_lets_one_go_is_not_told(mesh: Mesh, spec: dict[str, Any]) -> None:
    budget = mesh("PodDisruptionBudget/gateway")["spec"]
    del budget["minAvailable"]
    budget.update(spec)
    assert mesh.told() == ""


def test_several_pods_without_a_budget_or_a_spread_are_told(mesh: Mesh) -> None:
    mesh("Deployment/lyrics")["spec"]["replicas"] = 2
    told = mesh.told()
    assert "Deployment/lyrics: no PodDisruptionBudget: a drain may take all of its pods" in told
    assert "spec.topologySpreadConstraints: is missing: all of its pods may be on one node" in told


def test_a_budget_that_keeps_nothing_is_told(mesh: Mesh) -> None:
    del mesh("PodDisruptionBudget/gateway")["spec"]["minAvailable"]
    assert "PodDisruptionBudget/gateway: spec: keeps nothing" in mesh.told()


def test_a_budget_that_broken_pods_hold_up_is_told(mesh: Mesh) -> None:
    mesh("PodDisruptionBudget/gateway")["spec"]["unhealthyPodEvictionPolicy"] = "IfHealthyBudget"
    assert "spec.unhealthyPodEvictionPolicy: is IfHealthyBudget: pods that never got ready" in mesh.told()


def test_a_pod_in_two_budgets_is_told(mesh: Mesh) -> None:
    budget = mesh("PodDisruptionBudget/gateway")
    mesh.add({**budget, "metadata": {"name": "again", "namespace": "acesteps"}})
    assert "Deployment/gateway is in PodDisruptionBudget/gateway too" in mesh.told()


def test_a_prerequisite_that_nothing_needs_is_told(mesh: Mesh, tmp_path: Path) -> None:
    for name in (PREREQUISITES, "edges.yaml"):
        (tmp_path / name).write_text((FOLDER / name).read_text())
    with (tmp_path / PREREQUISITES).open("a") as file:
        file.write("- {kind: Secret, name: forgotten}\n")
    told = lines(Checks(tmp_path, SCHEMAS).all([Render("base", tuple(mesh.objects))]))
    assert told == [
        "prerequisites.yaml: Secret/forgotten: no render names it; "
        "expected no prerequisite that nothing needs"
    ]


def test_a_policy_that_selects_nothing_in_any_render_is_told(mesh: Mesh) -> None:
    renders = [Render("base", tuple(mesh.objects))]
    assert lines(idle_policies(renders, ["operator"])) == []
    assert lines(idle_policies(renders, [])) == [
        "base: NetworkPolicy/operator: spec.podSelector: selects no pod, here and in every render"
    ]
