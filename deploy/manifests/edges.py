"""Who may talk to whom by the NetworkPolicies of a render, compared with the list of who should.

An edge within the namespace is there when the source is let out and the target lets in. A peer outside it has
the name that its policy's annotation gives; the list, `edges.yaml`, says what may stand behind that name.
Knows policies as the API defines them; not what a CNI adds, and pods behind an ipBlock are not looked for.
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from deploy.manifests.finding import Finding
from deploy.manifests.objects import Object, Pod, Render, at, listed, selects, shown

EDGES = "edges.yaml"
NAMESPACE_NAME = "kubernetes.io/metadata.name"
ROLE = "app.kubernetes.io/name"
# On a policy: the names of its peers outside the namespace, comma-separated.
ANNOTATION = "acesteps.dev/peer"
ANYONE = "anyone"
EVERY = "every pod"
# Where nothing may be open that is not listed.
SHUT = ("overlays/staging", "overlays/production")
# Of RFC 1918, RFC 6598 and link-local, where metadata services are.
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")


@dataclass(frozen=True, order=True)
class Edge:
    source: str
    target: str
    port: str
    """Name or number of the target's port; `/UDP` where it is not TCP, `any` where all are open."""

    def __str__(self) -> str:
        return f"{self.source} → {self.target}:{self.port}"


@dataclass(frozen=True)
class Wanted:
    edge: Edge
    what: str
    """What it is for, in the words of the architecture."""
    when: str
    """Empty: always. `kind NAME`: where the render has one. `setting NAME`: where the source sets it."""


@dataclass(frozen=True)
class EdgeList:
    outside: Mapping[str, str]
    """Peers outside the namespace, and what stands for them in a policy: a key of `FORMS`."""
    by_hand: tuple[str, ...]
    """Roles of pods that people start; no render has them."""
    edges: tuple[Wanted, ...]


def edge_list(folder: Path) -> EdgeList:
    """From `edges.yaml` of the manifests' folder."""
    content = yaml.safe_load((folder / EDGES).read_text())
    edges = tuple(
        Wanted(Edge(source, entry["to"], str(port)), entry["for"], entry.get("when", ""))
        for entry in content["edges"]
        for source in ([entry["from"]] if isinstance(entry["from"], str) else entry["from"])
        for port in entry["ports"]
    )
    return EdgeList(content["outside"], tuple(content.get("by_hand", ())), edges)


def check(render: Render, wanted: EdgeList) -> Iterator[Finding]:
    """Nothing where pods are not shut off by default, except that some overlays have to do that."""
    if not is_shut(render):
        if render.name in SHUT:
            yield Finding(
                render.name,
                "NetworkPolicy",
                "",
                "no policy denies by default",
                "one for every pod, both ways",
            )
        return
    render = with_by_hand(render, wanted.by_hand)
    yield from _forms(render, wanted.outside)
    roles = {pod.role for pod in render.pods}
    derived = edges_of(render)
    expected: dict[Edge, str] = {}
    for one in wanted.edges:
        sources = roles if one.edge.source == EVERY else {one.edge.source}
        for source in sources:
            edge = replace(one.edge, source=source)
            if _applies(render, edge, one.when, roles | wanted.outside.keys()):
                expected[edge] = one.what
    half = half_edges(render)
    for edge in sorted(expected.keys() - derived):
        why = f" ({half[edge]})" if edge in half else ""
        yield Finding(render.name, "NetworkPolicy", "", f"the edge {edge} is missing{why}", expected[edge])
    for edge in sorted(derived - expected.keys()):
        yield Finding(
            render.name, "NetworkPolicy", "", f"the edge {edge} is too much", f"only what {EDGES} lists"
        )


def is_shut(render: Render) -> bool:
    return any(
        not at(policy, "spec", "podSelector") and {"Ingress", "Egress"} <= set(_directions(policy))
        for policy in render.of("NetworkPolicy")
    )


def with_by_hand(render: Render, roles: Iterable[str]) -> Render:
    """The render, and in it the pods that people start."""
    pods = (
        {"kind": "Pod", "metadata": {"name": role, "labels": {ROLE: role}}, "spec": {"containers": []}}
        for role in roles
    )
    return Render(render.name, (*render.objects, *pods))


def _cluster(peer: Object) -> bool:
    return bool(at(peer, "namespaceSelector", "matchLabels", NAMESPACE_NAME))


def _internet(peer: Object) -> bool:
    """Everywhere but at home: a webhook must not be led into the cluster."""
    shut = listed(peer, "ipBlock", "except")
    return at(peer, "ipBlock", "cidr") == "0.0.0.0/0" and set(PRIVATE) <= set(shut)


def _network(peer: Object) -> bool:
    cidr = at(peer, "ipBlock", "cidr")
    return cidr is not None and ipaddress.ip_network(cidr).prefixlen >= 8


FORMS: dict[str, tuple[Callable[[Object], bool], str]] = {
    "cluster": (_cluster, f"a namespaceSelector with {NAMESPACE_NAME}"),
    "internet": (_internet, f"the ipBlock 0.0.0.0/0 without {', '.join(PRIVATE)}"),
    "network": (_network, "an ipBlock of /8 or narrower"),
}


def _forms(render: Render, outside: Mapping[str, str]) -> Iterator[Finding]:
    for policy in render.of("NetworkPolicy"):
        for direction, side in (("ingress", "from"), ("egress", "to")):
            for number, rule in enumerate(listed(policy, "spec", direction)):
                for index, peer in enumerate(_outside(rule, side, render)):
                    for name in _names(policy):
                        fits, expected = FORMS[outside[name]] if name in outside else (bool, "")
                        if peer is not None and not fits(peer):
                            path = f"spec.{direction}[{number}].{side}[{index}]"
                            yield render.find(policy, path, f"{shown(peer)} is called {name}", expected)


def _applies(render: Render, edge: Edge, when: str, known: Set[str]) -> bool:
    if edge.source not in known or edge.target not in known:
        return False
    kind, _, name = when.partition(" ")
    match kind:
        case "":
            return True
        case "kind":
            return any(render.of(name))
        case "setting":
            return any(_sets(pod, name) for pod in render.pods if pod.role == edge.source)
    raise ValueError(f"{EDGES}: when: {when} is neither `kind NAME` nor `setting NAME`")


def _sets(pod: Pod, name: str) -> bool:
    for container in pod.containers:
        if any(variable.get("name") == name for variable in listed(container.spec, "env")):
            return True
        for entry in listed(container.spec, "envFrom"):
            config = pod.render.by_name.get(("ConfigMap", at(entry, "configMapRef", "name") or ""))
            if name in (at(config, "data") or {}):
                return True
    return False


def edges_of(render: Render) -> set[Edge]:
    """Every edge that the policies leave open; a peer without a name is told as it stands in the policy."""
    edges: set[Edge] = set()
    for pod in render.pods:
        edges |= {Edge(ANYONE, pod.role, "any")} if not _policies(render, pod, "Ingress") else set()
        edges |= {Edge(pod.role, ANYONE, "any")} if not _policies(render, pod, "Egress") else set()
        for policy in _policies(render, pod, "Ingress"):
            for rule in listed(policy, "spec", "ingress"):
                for name in _told(policy, rule, "from", render):
                    edges |= {Edge(name, pod.role, port) for port in _named(rule, pod)}
        for policy in _policies(render, pod, "Egress"):
            for rule in listed(policy, "spec", "egress"):
                for name in _told(policy, rule, "to", render):
                    edges |= {Edge(pod.role, name, port) for port in _named(rule, None)}
        for other in render.pods:
            out, in_ = _ports(render, pod, other, "Egress"), _ports(render, other, pod, "Ingress")
            edges |= {Edge(pod.role, other.role, port) for port in _both(out, in_)}
    return edges


def _told(policy: Object, rule: Object, side: str, render: Render) -> set[str]:
    """The names of a rule's peers outside the namespace."""
    told: set[str] = set()
    for peer in _outside(rule, side, render):
        told |= {ANYONE} if peer is None else set(_names(policy)) or {shown(peer)}
    return told


def _names(policy: Object) -> list[str]:
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


def _outside(rule: Object, side: str, render: Render) -> Iterator[Object | None]:
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
