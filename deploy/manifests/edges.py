"""Whether who may reach whom is who should: the edges of the policies, compared with `edges.yaml`.

The list says too what may stand behind the name of a peer outside the namespace. How edges are derived is
`reach`.
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from deploy.manifests.finding import Finding
from deploy.manifests.objects import Object, Pod, Render, at, listed, shown
from deploy.manifests.reach import (
    NAMESPACE_NAME,
    Edge,
    edges_of,
    half_edges,
    is_shut,
    names_of,
    peers_outside,
)

EDGES = "edges.yaml"
ROLE = "app.kubernetes.io/name"
EVERY = "every pod"
POLICY = "NetworkPolicy"
# Where nothing may be open that is not listed.
SHUT = ("overlays/staging", "overlays/production")
# Of RFC 1918, RFC 6598 and link-local, where metadata services are.
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")


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
                POLICY,
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
        yield Finding(render.name, POLICY, "", f"the edge {edge} is missing{why}", expected[edge])
    for edge in sorted(derived - expected.keys()):
        yield Finding(render.name, POLICY, "", f"the edge {edge} is too much", f"only what {EDGES} lists")
    # Shut for now, and open with the next policy on the other side.
    for edge in sorted(half.keys() - derived - expected.keys()):
        told = f"half of the edge {edge} is too much ({half[edge]})"
        yield Finding(render.name, POLICY, "", told, f"only what {EDGES} lists")


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
    try:
        return ipaddress.ip_network(at(peer, "ipBlock", "cidr") or "").prefixlen >= 8
    except ValueError:
        return False


def _pods(peer: Object) -> bool:
    return _cluster(peer) and bool(at(peer, "podSelector", "matchLabels"))


FORMS: dict[str, tuple[Callable[[Object], bool], str]] = {
    "pods": (_pods, f"a namespaceSelector with {NAMESPACE_NAME} and a podSelector"),
    "cluster": (_cluster, f"a namespaceSelector with {NAMESPACE_NAME}"),
    "internet": (_internet, f"the ipBlock 0.0.0.0/0 without {', '.join(PRIVATE)}"),
    "network": (_network, "an ipBlock of /8 or narrower"),
}


def _forms(render: Render, outside: Mapping[str, str]) -> Iterator[Finding]:
    for policy in render.of("NetworkPolicy"):
        for direction, side in (("ingress", "from"), ("egress", "to")):
            for number, rule in enumerate(listed(policy, "spec", direction)):
                for index, peer in enumerate(peers_outside(rule, side, render)):
                    for name in names_of(policy):
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
