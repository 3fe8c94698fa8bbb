"""A pod that asks for more than it needs is told, and so are images that move and missing limits."""

from typing import Any

import pytest

from tests.deploy.conftest import Mesh

CONTAINER = "overlays/staging: Deployment/music: spec.template.spec.containers[0]"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("runAsUser", 0, "runAsUser: is 0; expected at least 10000, here or for the pod"),
        ("runAsUser", 1000, "runAsUser: is 1000; expected at least 10000, here or for the pod"),
        ("runAsGroup", 0, "runAsGroup: is 0; expected at least 10000, here or for the pod"),
        ("runAsNonRoot", False, "runAsNonRoot: is False; expected true, here or for the pod"),
        ("readOnlyRootFilesystem", False, "readOnlyRootFilesystem: is False; expected true"),
        ("allowPrivilegeEscalation", True, "allowPrivilegeEscalation: is True; expected false"),
        ("privileged", True, "privileged: is True; expected false"),
        (
            "seccompProfile",
            {"type": "Unconfined"},
            "seccompProfile.type: is Unconfined; expected RuntimeDefault",
        ),
        ("capabilities", {}, "capabilities.drop: is []; expected ALL"),
        (
            "capabilities",
            {"drop": ["ALL"], "add": ["NET_ADMIN"]},
            "capabilities.add: is ['NET_ADMIN']; expected none",
        ),
    ],
)
def test_a_container_with_more_rights_is_told(mesh: Mesh, field: str, value: Any, expected: str) -> None:
    mesh.container("music")["securityContext"][field] = value
    [line] = mesh.told().splitlines()
    assert line.startswith(f"{CONTAINER}.securityContext.{expected}")


def test_a_root_container_beside_a_good_one_is_told(mesh: Mesh) -> None:
    mesh.pod("gateway")["initContainers"][0]["securityContext"] = {"runAsUser": 0, "runAsNonRoot": False}
    told = mesh.told()
    assert "spec.template.spec.initContainers[0].securityContext.runAsUser: is 0" in told
    assert "spec.template.spec.initContainers[0].securityContext.capabilities.drop: is []" in told


def test_a_pod_that_mounts_a_token_is_told(mesh: Mesh) -> None:
    del mesh.pod("music")["automountServiceAccountToken"]
    assert "spec.automountServiceAccountToken: a token of the API server is mounted" in mesh.told()


def test_a_service_account_that_mounts_tokens_is_told(mesh: Mesh) -> None:
    mesh("ServiceAccount/mesh")["automountServiceAccountToken"] = True
    assert (
        "ServiceAccount/mesh: automountServiceAccountToken: a token is mounted in every pod of it"
        in mesh.told()
    )


def test_a_pod_on_the_nodes_network_is_told(mesh: Mesh) -> None:
    mesh.pod("music")["hostNetwork"] = True
    assert "Deployment/music: spec.template.spec.hostNetwork: shares the node's" in mesh.told()


def test_a_folder_of_the_node_is_told(mesh: Mesh) -> None:
    mesh.pod("music")["volumes"][3] = {"name": "state", "hostPath": {"path": "/var"}}
    assert (
        "spec.template.spec.volumes[3].hostPath: Pod Security restricted refuses such a volume" in mesh.told()
    )


def test_a_namespace_that_does_not_enforce_is_told(mesh: Mesh) -> None:
    mesh("Namespace/acesteps")["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "baseline"}
    assert (
        "Namespace/acesteps: metadata.labels[pod-security.kubernetes.io/enforce]: is baseline" in mesh.told()
    )


def test_an_object_in_another_namespace_is_told(mesh: Mesh) -> None:
    del mesh("NetworkPolicy/default-deny")["metadata"]["namespace"]
    assert "NetworkPolicy/default-deny: metadata.namespace: is missing" in mesh.told()


@pytest.mark.parametrize(
    "image", ["acesteps/lyrics-builtin", "acesteps/lyrics-builtin:latest", "acesteps/lyrics-builtin:1"]
)
def test_an_image_that_floats_is_told(mesh: Mesh, image: str) -> None:
    mesh.container("lyrics")["image"] = image
    assert f"Deployment/lyrics: spec.template.spec.containers[0].image: {image} floats" in mesh.told()


def test_production_takes_images_by_digest_only(mesh: Mesh) -> None:
    mesh.container("lyrics")["image"] = f"registry.example.com:5000/acesteps/lyrics-builtin@sha256:{'0' * 64}"
    told = mesh.told("overlays/production")
    assert "containers[0].image: acesteps/music-sketch:1.0.0 is not named by a digest" in told
    assert "Deployment/lyrics: spec.template.spec.containers[0].image" not in told


def test_a_container_without_a_memory_limit_is_told(mesh: Mesh) -> None:
    del mesh.container("lyrics")["resources"]["limits"]
    assert "containers[0].resources.limits.memory: is missing" in mesh.told()


def test_a_memory_limit_that_is_not_what_is_requested_is_told(mesh: Mesh) -> None:
    mesh.container("lyrics")["resources"]["limits"]["memory"] = "64Mi"
    assert "containers[0].resources.requests.memory: is 128Mi, and the limit is 64Mi" in mesh.told()


def test_scratch_space_without_a_limit_is_told(mesh: Mesh) -> None:
    mesh.pod("music")["volumes"][3]["emptyDir"] = {}
    assert "spec.template.spec.volumes[3].emptyDir.sizeLimit: is missing" in mesh.told()


def test_a_gpu_that_is_requested_otherwise_than_limited_is_told(mesh: Mesh) -> None:
    mesh.container("music")["resources"]["requests"]["nvidia.com/gpu"] = "1"
    assert (
        "containers[0].resources.limits[nvidia.com/gpu]: is None; expected as in requests, 1" in mesh.told()
    )
