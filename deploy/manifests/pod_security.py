"""What every pod has to be: Pod Security "restricted", and what the mesh asks on top.

On top: a high user id, a read-only root, no service-account token. Knows nothing of which service it is.
"""

from collections.abc import Iterator

from deploy.manifests.finding import Finding
from deploy.manifests.objects import Container, Pod, Render, at, joined, listed

# Below are the ids that a node's own users have.
LEAST_ID = 10_000
# Pod Security "restricted" takes these, and no other kind of volume.
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected",
    "secret",
}  # fmt: skip
ENFORCE = "pod-security.kubernetes.io/enforce"


def check(render: Render) -> Iterator[Finding]:
    yield from _namespaces(render)
    for account in render.of("ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield render.find(
                account, "automountServiceAccountToken", "a token is mounted in every pod of it", "false"
            )
    for pod in render.pods:
        yield from _pod(pod)
        for container in pod.containers:
            yield from _container(container)


def _namespaces(render: Render) -> Iterator[Finding]:
    namespaces = list(render.of("Namespace"))
    if not namespaces:
        yield render.find(
            None, "", "no Namespace: nothing enforces Pod Security", f"one with {ENFORCE}: restricted"
        )
    for namespace in namespaces:
        label = at(namespace, "metadata", "labels", ENFORCE)
        if label != "restricted":
            yield render.find(namespace, f"metadata.labels[{ENFORCE}]", f"is {label}", "restricted")


def _pod(pod: Pod) -> Iterator[Finding]:
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield pod.find("spec.automountServiceAccountToken", "a token of the API server is mounted", "false")
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(field):
            yield pod.find(f"spec.{field}", "shares the node's", "nothing of the node's")
    if listed(pod.spec, "securityContext", "sysctls"):
        yield pod.find("spec.securityContext.sysctls", "sets the kernel's parameters", "none")
    for index, volume in enumerate(listed(pod.spec, "volumes")):
        for kind in sorted(set(volume) - {"name"} - VOLUMES):
            yield pod.find(
                f"spec.volumes[{index}].{kind}",
                "Pod Security restricted refuses such a volume",
                "another kind",
            )


def _container(container: Container) -> Iterator[Finding]:
    own, of_pod = at(container.spec, "securityContext") or {}, at(container.pod.spec, "securityContext") or {}

    def effective(field: str) -> object:
        return own[field] if field in own else of_pod.get(field)

    def told(field: str, wrong: object, expected: str) -> Finding:
        return container.find(joined("securityContext", field), f"is {wrong}", expected)

    if effective("runAsNonRoot") is not True:
        yield told("runAsNonRoot", effective("runAsNonRoot"), "true, here or for the pod")
    for field in ("runAsUser", "runAsGroup"):
        value = effective(field)
        if not isinstance(value, int) or value < LEAST_ID:
            yield told(field, value, f"at least {LEAST_ID}, here or for the pod")
    seccomp = at(effective("seccompProfile"), "type")
    if seccomp not in ("RuntimeDefault", "Localhost"):
        yield told("seccompProfile.type", seccomp, "RuntimeDefault, here or for the pod")
    if own.get("allowPrivilegeEscalation") is not False:
        yield told("allowPrivilegeEscalation", own.get("allowPrivilegeEscalation"), "false")
    if own.get("readOnlyRootFilesystem") is not True:
        yield told("readOnlyRootFilesystem", own.get("readOnlyRootFilesystem"), "true")
    if own.get("privileged"):
        yield told("privileged", own["privileged"], "false")
    if "ALL" not in listed(own, "capabilities", "drop"):
        yield told("capabilities.drop", listed(own, "capabilities", "drop"), "ALL")
    if added := listed(own, "capabilities", "add"):
        yield told("capabilities.add", added, "none")
    if own.get("procMount", "Default") != "Default":
        yield told("procMount", own["procMount"], "Default")
    for index, port in enumerate(listed(container.spec, "ports")):
        if port.get("hostPort"):
            yield container.find(f"ports[{index}].hostPort", "takes a port of the node", "none")
