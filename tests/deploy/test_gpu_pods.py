"""A pod that wants a GPU gets onto a node that has one, and gives it back before the next pod wants it."""

import pytest

from tests.deploy.conftest import Mesh


@pytest.fixture
def gpu(mesh: Mesh) -> Mesh:
    """The mesh, with its music on a GPU."""
    pod, container = mesh.pod("music"), mesh.container("music")
    for kind in ("requests", "limits"):
        container["resources"][kind]["nvidia.com/gpu"] = "1"
    pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    pod["nodeSelector"] = {"nvidia.com/gpu.present": "true"}
    pod["volumes"].append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}})
    container["volumeMounts"].append({"name": "shm", "mountPath": "/dev/shm"})
    mesh("Deployment/music")["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    return mesh


def test_nothing_is_told_of_a_good_gpu_pod(gpu: Mesh) -> None:
    assert gpu.told() == ""


def test_a_pod_that_gpu_nodes_turn_away_is_told(gpu: Mesh) -> None:
    del gpu.pod("music")["tolerations"]
    assert "Deployment/music: spec.template.spec.tolerations: GPU nodes turn the pod away" in gpu.told()


def test_a_pod_that_may_land_on_any_node_is_told(gpu: Mesh) -> None:
    del gpu.pod("music")["nodeSelector"]
    assert "spec.affinity.nodeAffinity: does not ask for a node with a GPU" in gpu.told()


def test_a_roll_out_that_needs_one_gpu_more_is_told(gpu: Mesh) -> None:
    del gpu("Deployment/music")["spec"]["strategy"]
    assert "spec.strategy.rollingUpdate.maxSurge: is None: a new pod waits for a GPU" in gpu.told()


def test_too_little_shared_memory_is_told(gpu: Mesh) -> None:
    gpu.pod("music")["volumes"][-1]["emptyDir"] = {"sizeLimit": "1Gi"}
    assert "containers[0].volumeMounts: 64 MB at /dev/shm are too few for torch" in gpu.told()
