"""Whether what selects pods, or names a port, finds them; and whether what is to be evicted can be.

Knows selectors, ports and disruption budgets; which peers may talk is `edges`.
"""

import math
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from deploy.manifests.edges import with_by_hand
from deploy.manifests.finding import Finding
from deploy.manifests.objects import Object, Pod, Render, at, listed, selects, title
from deploy.manifests.references import backends

METRICS = "metrics"
SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")


def check(render: Render, by_hand: Collection[str] = ()) -> Iterator[Finding]:
    """`by_hand`: roles of pods that people start, which policies may select too."""
    yield from _workloads(render)
    for service in render.of("Service"):
        yield from _service(render, service)
    for monitor in render.of("PodMonitor"):
        yield from _monitor(render, monitor)
    yield from _unwatched(render)
    for route in render.of("HTTPRoute", "GRPCRoute"):
        yield from _route(render, route)
    for policy in render.of("NetworkPolicy"):
        yield from _policy(with_by_hand(render, by_hand), policy)
    yield from _budgets(render)
    yield from _scalers(render)


def idle_policies(renders: Iterable[Render], by_hand: Collection[str]) -> Iterator[Finding]:
    """Policies that select nothing in any render: some are there for what a component may add."""
    idle: dict[str, Finding] = {}
    busy: set[str] = set()
    for render in renders:
        for policy in render.of("NetworkPolicy"):
            if selected(with_by_hand(render, by_hand), at(policy, "spec", "podSelector")):
                busy.add(title(policy))
            else:
                told = render.find(policy, "spec.podSelector", "selects no pod, here and in every render")
                idle.setdefault(title(policy), told)
    yield from (finding for name, finding in idle.items() if name not in busy)


def _unwatched(render: Render) -> Iterator[Finding]:
    """Pods with metrics that no PodMonitor selects, where there are PodMonitors."""
    monitors = [at(monitor, "spec", "selector") for monitor in render.of("PodMonitor")]
    for pod in render.pods if monitors else ():
        if has_port(pod, METRICS) and not any(selects(selector, pod.labels) for selector in monitors):
            yield pod.find(
                "metadata.labels", "no PodMonitor selects it", "one: else its metrics are not read"
            )


def selected(render: Render, selector: Any) -> list[Pod]:
    return [pod for pod in render.pods if selects(selector, pod.labels)]


def _workloads(render: Render) -> Iterator[Finding]:
    for pod in render.pods:
        selector = at(pod.owner, "spec", "selector")
        if selector is not None and not selects(selector, pod.labels):
            yield render.find(pod.owner, "spec.selector", "does not select the pods of its own template")
        for index, spread in enumerate(listed(pod.spec, "topologySpreadConstraints")):
            if not selects(spread.get("labelSelector"), pod.labels):
                path = f"spec.topologySpreadConstraints[{index}].labelSelector"
                yield pod.find(path, "does not select the pod itself: nothing is spread")
        own = [volume.get("name") for volume in listed(pod.spec, "volumes")]
        claimed = [
            at(claim, "metadata", "name") for claim in listed(pod.owner, "spec", "volumeClaimTemplates")
        ]
        volumes = {*own, *claimed}
        mounted = {
            mount.get("name")
            for container in pod.containers
            for mount in listed(container.spec, "volumeMounts")
        }
        for container in pod.containers:
            for index, mount in enumerate(listed(container.spec, "volumeMounts")):
                if mount.get("name") not in volumes:
                    yield container.find(
                        f"volumeMounts[{index}].name", f"the pod has no volume {mount.get('name')}",
                        ", ".join(sorted(map(str, volumes))),
                    )  # fmt: skip
        for name in sorted(str(name) for name in volumes - mounted):
            yield pod.find("spec.volumes", f"no container mounts {name}", "no volume that nothing mounts")


def _service(render: Render, service: Object) -> Iterator[Finding]:
    selector = at(service, "spec", "selector")
    if not selector:
        if at(service, "spec", "type") != "ExternalName":
            yield render.find(service, "spec.selector", "is missing: nobody is behind the Service")
        return
    pods = selected(render, {"matchLabels": selector})
    if not pods:
        yield render.find(service, "spec.selector", "selects no pod of the render")
    for index, port in enumerate(listed(service, "spec", "ports")):
        target = port.get("targetPort", port.get("port"))
        for pod in pods:
            if not has_port(pod, target):
                path = f"spec.ports[{index}].targetPort"
                yield render.find(service, path, f"{title(pod.owner)} has no port {target}", ports_of(pod))


def _monitor(render: Render, monitor: Object) -> Iterator[Finding]:
    pods = selected(render, at(monitor, "spec", "selector"))
    if not pods:
        yield render.find(monitor, "spec.selector", "selects no pod of the render")
    if not listed(monitor, "spec", "podMetricsEndpoints"):
        yield render.find(monitor, "spec.podMetricsEndpoints", "reads nothing")
    for index, endpoint in enumerate(listed(monitor, "spec", "podMetricsEndpoints")):
        # A pod without it, such as a job's, is passed over.
        port = endpoint.get("port", endpoint.get("portNumber"))
        if pods and not any(has_port(pod, port) for pod in pods):
            path = f"spec.podMetricsEndpoints[{index}].port"
            yield render.find(monitor, path, f"no pod that it selects has a port {port}", ports_of(*pods))


def _route(render: Render, route: Object) -> Iterator[Finding]:
    if not listed(route, "spec", "parentRefs"):
        yield render.find(route, "spec.parentRefs", "no Gateway has it")
    for number, rule in enumerate(listed(route, "spec", "rules") or [{}]):
        if not listed(rule, "backendRefs") and not listed(rule, "filters"):
            yield render.find(route, f"spec.rules[{number}].backendRefs", "leads nowhere")
    for path, backend in backends(route):
        service = render.by_name.get(("Service", backend.get("name", "")))
        ports = [port.get("port") for port in listed(service, "spec", "ports")]
        if service is not None and backend.get("port") not in ports:
            told = f"Service {backend.get('name')} has no port {backend.get('port')}"
            yield render.find(route, f"{path}.port", told, ", ".join(map(str, ports)))
    for index, parent in enumerate(listed(route, "spec", "parentRefs")):
        gateway = render.by_name.get(("Gateway", parent.get("name", "")))
        names = [listener.get("name") for listener in listed(gateway, "spec", "listeners")]
        if gateway is not None and parent.get("sectionName", names[0] if names else None) not in names:
            told = f"Gateway {parent.get('name')} has no listener {parent.get('sectionName')}"
            yield render.find(
                route, f"spec.parentRefs[{index}].sectionName", told, ", ".join(map(str, names))
            )


def _policy(render: Render, policy: Object) -> Iterator[Finding]:
    pods = selected(render, at(policy, "spec", "podSelector"))
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(listed(policy, "spec", direction)):
            path = f"spec.{direction}[{number}]"
            peers: list[Pod] = []
            for index, peer in enumerate(listed(rule, side)):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    found = selected(render, peer["podSelector"])
                    peers += found
                    if not found:
                        yield render.find(
                            policy, f"{path}.{side}[{index}].podSelector", "selects no pod of the render"
                        )
            reached = pods if direction == "ingress" else peers
            for index, port in enumerate(listed(rule, "ports")):
                wanted = port.get("port")
                if reached and wanted is not None and not any(has_port(pod, wanted) for pod in reached):
                    told = f"no pod that it lets reach has a port {wanted}"
                    yield render.find(policy, f"{path}.ports[{index}].port", told, ports_of(*reached))


def _budgets(render: Render) -> Iterator[Finding]:
    held: dict[str, str] = {}
    yield from _unheld(render)
    for budget in render.of("PodDisruptionBudget"):
        spec = at(budget, "spec") or {}
        if spec.get("minAvailable") is None and spec.get("maxUnavailable") is None:
            yield render.find(budget, "spec", "keeps nothing", "minAvailable or maxUnavailable")
        if spec.get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            told = f"is {spec.get('unhealthyPodEvictionPolicy')}: pods that never got ready hold a node"
            yield render.find(budget, "spec.unhealthyPodEvictionPolicy", told, "AlwaysAllow")
        pods = selected(render, spec.get("selector"))
        if not pods:
            yield render.find(budget, "spec.selector", "selects no pod of the render")
        for pod in pods:
            name = title(pod.owner)
            if name in held:
                told = f"{name} is in {held[name]} too: the API server then evicts none of its pods"
                yield render.find(budget, "spec.selector", told, "one budget for a pod")
            held[name] = title(budget)
            replicas = fewest(render, pod.owner)
            if _blocks(spec, replicas):
                path = (
                    "spec.minAvailable"
                    if at(budget, "spec", "minAvailable") is not None
                    else "spec.maxUnavailable"
                )
                told = f"with {replicas} of {name} no pod can be evicted: a node never drains"
                yield render.find(budget, path, told, "a budget that lets one pod go")


def _unheld(render: Render) -> Iterator[Finding]:
    """Deployments of several pods that may all go, or all be, at once."""
    selectors = [at(budget, "spec", "selector") for budget in render.of("PodDisruptionBudget")]
    for pod in render.pods:
        if pod.owner.get("kind") != "Deployment" or fewest(render, pod.owner) < 2:
            continue
        if not any(selects(selector, pod.labels) for selector in selectors):
            yield render.find(
                pod.owner, "", "no PodDisruptionBudget: a drain may take all of its pods", "one"
            )
        if not listed(pod.spec, "topologySpreadConstraints"):
            told = "is missing: all of its pods may be on one node"
            yield pod.find("spec.topologySpreadConstraints", told, "a spread over nodes")


def _blocks(spec: Object, replicas: int) -> bool:
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None:
        return _share(least, replicas) >= replicas
    return most is not None and _share(most, replicas) < 1


def _share(value: Any, replicas: int) -> int:
    """A number, or a percentage of the replicas, rounded up as the disruption controller does."""
    if isinstance(value, str) and value.endswith("%"):
        return math.ceil(int(value[:-1]) * replicas / 100)
    return int(value)


def fewest(render: Render, workload: Object) -> int:
    """The smallest number of pods, at least one, that the workload is meant to have."""
    for scaler in render.of(*SCALERS):
        if _scales(scaler, workload):
            spec = at(scaler, "spec") or {}
            return max(1, int(spec.get("minReplicas", spec.get("minReplicaCount", 0))))
    replicas = at(workload, "spec", "replicas")
    return max(1, replicas if isinstance(replicas, int) else 1)


def _scales(scaler: Object, workload: Object) -> bool:
    target = at(scaler, "spec", "scaleTargetRef") or {}
    return f"{target.get('kind', 'Deployment')}/{target.get('name')}" == title(workload)


def _scalers(render: Render) -> Iterator[Finding]:
    scaled: dict[str, str] = {}
    for scaler in render.of(*SCALERS):
        for workload in render.of("Deployment", "StatefulSet"):
            if not _scales(scaler, workload):
                continue
            name = title(workload)
            if name in scaled:
                yield render.find(
                    scaler, "spec.scaleTargetRef", f"{scaled[name]} scales {name} too", "one scaler"
                )
            scaled[name] = title(scaler)
            if at(workload, "spec", "replicas") is not None:
                told = f"is set, and {title(scaler)} sets it too: each apply undoes the scaling"
                yield render.find(workload, "spec.replicas", told, "none")


def has_port(pod: Pod, port: Any) -> bool:
    return any(
        port in (number, name) for container in pod.containers for name, number in container.ports.items()
    )


def ports_of(*pods: Pod) -> str:
    found = {
        f"{name} {number}"
        for pod in pods
        for container in pod.containers
        for name, number in container.ports.items()
    }
    return ", ".join(sorted(found)) or "a declared port"
