"""Who may reach whom by the NetworkPolicies of a render.

An edge within the namespace is there when the source is let out and the target lets in. A peer outside it has
the name that its policy's annotation gives. Knows policies as the API defines them; not what a CNI adds, and
pods behind an ipBlock are not looked for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.manifests.objects import Object, Pod, Render, at, listed, selects, shown

NAMESPACE_NAME = "kubernetes.io/metadata.name"
# On a policy: the names of its peers outside the namespace, comma-separated.
ANNOTATION = "acesteps.dev/peer"
ANYONE = "anyone"


@dataclass(frozen=True, order=True)
class Edge:
    source: str
    target: str
    port: str
    """Name or number of the target's port; `/UDP` where it is not TCP, `any` where all are open."""

    def __str__(self) -> str:
        return f"{self.source} → {self.target}:{self.port}"


def is_shut(render: Render) -> bool:
    """Whether a policy denies every pod both ways, where no other one allows."""
    return any(
        not at(policy, "spec", "podSelector") and {"Ingress", "Egress"} <= set(_directions(policy))
        for policy in render.of("NetworkPolicy")
    )


def edges_of(render: Render) -> set[Edge]:
    """Every edge that the policies leave open; a peer without a name is told as it stands in the policy."""
    edges: set[Edge] = set()
    for pod in render.pods:
        edges |= {Edge(ANYONE, pod.role, "any")} if not _policies(render, pod, "Ingress") else set()
        edges |= {Edge(pod.role, ANYONE, "any")} if not _policies(render, pod, "Egress") else set()
        for policy in _policies(render, pod, "Ingress"):
            for rule in listed(policy, "spec", "ingress"):
                for name in _called(policy, rule, "from", render):
                    edges |= {Edge(name, pod.role, port) for port in _named(rule, pod)}
        for policy in _policies(render, pod, "Egress"):
            for rule in listed(policy, "spec", "egress"):
                for name in _called(policy, rule, "to", render):
                    edges |= {Edge(pod.role, name, port) for port in _named(rule, None)}
        for other in render.pods:
            out, in_ = _ports(render, pod, other, "Egress"), _ports(render, other, pod, "Ingress")
            edges |= {Edge(pod.role, other.role, port) for port in _both(out, in_)}
    return edges


def _called(policy: Object, rule: Object, side: str, render: Render) -> set[str]:
    """The names of a rule's peers outside the namespace."""
    told: set[str] = set()
    for peer in peers_outside(rule, side, render):
        told |= {ANYONE} if peer is None else set(names_of(policy)) or {shown(peer)}
    return told


def names_of(policy: Object) -> list[str]:
    annotation = at(policy, "metadata", "annotations", ANNOTATION) or ""
    return [name.strip() for name in annotation.split(",") if name.strip()]


def half_edges(render: Render) -> dict[Edge, str]:
    """Edges that one side lets through and the other does not, and which."""
    half: dict[Edge, str] = {}
    for pod in render.pods:
        for other in render.pods:
            out, in_ = _ports(render, pod, other, "Egress"), _ports(render, other, pod, "Ingress")
            for port in out - _both(out, in_):
                half[Edge(pod.role, other.role, port)] = f"{other.role} does not let it in"
            for port in in_ - _both(out, in_):
                half[Edge(pod.role, other.role, port)] = f"{pod.role} is not let out"
    return half


def _both(out: set[str], in_: set[str]) -> set[str]:
    if "any" in out:
        return set(in_)
    return set(out) if "any" in in_ else out & in_


def _policies(render: Render, pod: Pod, direction: str) -> list[Object]:
    return [
        policy
        for policy in render.of("NetworkPolicy")
        if selects(at(policy, "spec", "podSelector"), pod.labels) and direction in _directions(policy)
    ]


def _directions(policy: Object) -> list[str]:
    """Where a policy does not say: ingress, and egress where it has rules for it."""
    said = listed(policy, "spec", "policyTypes")
    return said or ["Ingress", *(["Egress"] if at(policy, "spec", "egress") else [])]


def _rules(render: Render, pod: Pod, direction: str) -> Iterator[Object]:
    for policy in _policies(render, pod, direction):
        yield from listed(policy, "spec", direction.lower())


def _ports(render: Render, pod: Pod, other: Pod, direction: str) -> set[str]:
    """Ports between `pod`, whose rules these are, and `other`, named as the target's containers name them."""
    if not _policies(render, pod, direction):
        return {"any"}
    target = other if direction == "Egress" else pod
    found: set[str] = set()
    for rule in _rules(render, pod, direction):
        side = "to" if direction == "Egress" else "from"
        if side not in rule or not rule[side] or any(_is(peer, other, render) for peer in rule[side]):
            found |= _named(rule, target)
    return found


def _is(peer: Object, pod: Pod, render: Render) -> bool:
    """Whether a peer is this pod, in the namespace of the policies."""
    if "ipBlock" in peer:
        return False
    if "namespaceSelector" in peer and not selects(peer["namespaceSelector"], _namespace_labels(render)):
        return False
    return selects(peer.get("podSelector", {}), pod.labels)


def _namespace_labels(render: Render) -> Mapping[str, str]:
    for namespace in render.of("Namespace"):
        name = str(at(namespace, "metadata", "name"))
        return {NAMESPACE_NAME: name, **(at(namespace, "metadata", "labels") or {})}
    return {}


def peers_outside(rule: Object, side: str, render: Render) -> Iterator[Object | None]:
    """The peers of a rule that are not pods of the namespace; None for everyone."""
    if not rule.get(side):
        yield None
    for peer in rule.get(side) or ():
        if "ipBlock" in peer or ("namespaceSelector" in peer and not _is_own(peer, render)):
            yield peer


def _is_own(peer: Object, render: Render) -> bool:
    wanted: Any = at(peer["namespaceSelector"], "matchLabels", NAMESPACE_NAME)
    return wanted is not None and wanted == _namespace_labels(render).get(NAMESPACE_NAME)


def _named(rule: Object, target: Pod | None) -> set[str]:
    """The ports of a rule; numbers become the names that the target's containers give them."""
    if not rule.get("ports"):
        return {"any"}
    names = (
        {number: name for container in target.containers for name, number in container.ports.items()}
        if target
        else {}
    )
    found = set()
    for port in rule["ports"]:
        number = port.get("port", "any")
        told = f"{names.get(number, number)}" + (f"-{port['endPort']}" if "endPort" in port else "")
        found.add(told if port.get("protocol", "TCP") == "TCP" else f"{told}/{port['protocol']}")
    return found
