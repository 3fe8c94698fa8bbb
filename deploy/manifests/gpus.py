"""Whether a pod that asks for a GPU gets onto a node that has one, and gives it back before the next one.

Knows NVIDIA's device plugin: its resource, its taint, the labels of its feature discovery.
"""

from collections.abc import Iterator

from deploy.manifests.finding import Finding
from deploy.manifests.images import GPU
from deploy.manifests.objects import Pod, Render, at, listed

SHARED_MEMORY = "/dev/shm"


def check(render: Render) -> Iterator[Finding]:
    for pod in render.pods:
        if any(GPU in (at(container.spec, "resources", "limits") or {}) for container in pod.containers):
            yield from _pod(pod)


def _pod(pod: Pod) -> Iterator[Finding]:
    if not any(one.get("key") in (GPU, None) for one in listed(pod.spec, "tolerations")):
        yield pod.find("spec.tolerations", "GPU nodes turn the pod away", f"a toleration of {GPU}")
    required = at(pod.spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = listed(required, "nodeSelectorTerms")
    keys = {one.get("key", "") for term in terms for one in listed(term, "matchExpressions")}
    if not any(key.startswith("nvidia.com/") for key in (*keys, *(at(pod.spec, "nodeSelector") or {}))):
        yield pod.find(
            "spec.affinity.nodeAffinity", "does not ask for a node with a GPU", "nvidia.com/gpu.present"
        )
    if pod.owner.get("kind") == "Deployment":
        surge = at(pod.owner, "spec", "strategy", "rollingUpdate", "maxSurge")
        if surge not in (0, "0%"):
            told = f"is {surge}: a new pod waits for a GPU that the old one has"
            yield pod.render.find(pod.owner, "spec.strategy.rollingUpdate.maxSurge", told, "0")
    memory = {
        one.get("name") for one in listed(pod.spec, "volumes") if at(one, "emptyDir", "medium") == "Memory"
    }
    for container in pod.containers:
        if GPU not in (at(container.spec, "resources", "limits") or {}):
            continue
        mounts = {one.get("mountPath"): one.get("name") for one in listed(container.spec, "volumeMounts")}
        if mounts.get(SHARED_MEMORY) not in memory:
            told = f"64 MB at {SHARED_MEMORY} are too few for torch"
            yield container.find("volumeMounts", told, f"an emptyDir in Memory at {SHARED_MEMORY}")
