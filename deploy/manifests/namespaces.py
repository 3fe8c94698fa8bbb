"""Whether every object lands in the mesh's namespace, where its peers look for it and policies hold.

Knows which kinds belong to the cluster as a whole.
"""

from collections.abc import Iterator

from deploy.manifests.finding import Finding
from deploy.manifests.objects import Render, at

CLUSTER_WIDE = {
    "ClusterIssuer", "ClusterRole", "ClusterRoleBinding", "ClusterSecretStore", "CustomResourceDefinition",
    "GatewayClass", "Namespace", "PersistentVolume", "PriorityClass", "RuntimeClass", "StorageClass",
}  # fmt: skip


def check(render: Render) -> Iterator[Finding]:
    names = sorted(str(at(namespace, "metadata", "name")) for namespace in render.of("Namespace"))
    for obj in render.objects:
        found = at(obj, "metadata", "namespace")
        if obj.get("kind") not in CLUSTER_WIDE and names and found not in names:
            told = f"is {found}" if found else "is missing: it lands where kubectl happens to be"
            yield render.find(obj, "metadata.namespace", told, " or ".join(names))
