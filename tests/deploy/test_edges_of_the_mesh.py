"""The edges that policies leave open are those that are listed; each difference is told by its name."""

from pathlib import Path
from typing import Any

import pytest

from deploy.manifests import edges, reach
from deploy.manifests.objects import Render
from tests.deploy.conftest import Mesh

LIST = Path(__file__).parents[2] / "deploy" / "k8s" / "edges.yaml"


def test_a_missing_egress_edge_is_told(mesh: Mesh) -> None:
    del mesh("NetworkPolicy/gateway-to-services")["spec"]["egress"][1]
    assert mesh.told() == (
        "overlays/staging: NetworkPolicy: the edge gateway → music:grpc is missing (gateway is not let out); "
        "expected songs"
    )


def test_a_missing_ingress_edge_is_told(mesh: Mesh) -> None:
    terms = mesh("NetworkPolicy/from-gateway")["spec"]["podSelector"]["matchExpressions"]
    terms[0]["values"] = ["lyrics"]
    assert "the edge gateway → music:grpc is missing (music does not let it in)" in mesh.told()


def test_an_edge_through_another_port_is_told(mesh: Mesh) -> None:
    mesh("NetworkPolicy/gateway-to-services")["spec"]["egress"][0]["ports"][0]["port"] = 50052
    assert "the edge gateway → lyrics:grpc is missing (gateway is not let out)" in mesh.told()


def test_an_extra_ingress_edge_is_told(mesh: Mesh) -> None:
    everyone = {"from": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": 50053}]}
    mesh("NetworkPolicy/signer")["spec"]["ingress"].append(everyone)
    assert (
        "half of the edge gateway → signer:grpc is too much (gateway is not let out); expected only what"
        in mesh.told()
    )
    mesh("NetworkPolicy/gateway-to-services")["spec"]["egress"].append(
        {
            "to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "signer"}}}],
            "ports": [{"port": 50053}],
        }
    )
    assert "the edge gateway → signer:grpc is too much; expected only what edges.yaml lists" in mesh.told()


def test_an_egress_to_more_pods_than_let_in_is_told(mesh: Mesh) -> None:
    mesh("NetworkPolicy/gateway-to-services")["spec"]["egress"][1]["to"] = [{"podSelector": {}}]
    assert "half of the edge gateway → signer:grpc is too much (signer does not let it in)" in mesh.told()


def test_an_ingress_from_another_namespace_is_told(mesh: Mesh) -> None:
    other = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}
    mesh("NetworkPolicy/signer")["spec"]["ingress"][0]["from"].append(other)
    assert (
        "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}} → signer:grpc is too much"
        in mesh.told()
    )


def test_an_egress_to_everyone_is_told(mesh: Mesh) -> None:
    mesh("NetworkPolicy/webhooks")["spec"]["egress"].append({})
    assert "the edge gateway → anyone:any is too much" in mesh.told()


def test_a_peer_that_is_not_what_its_name_says_is_told(mesh: Mesh) -> None:
    del mesh("NetworkPolicy/webhooks")["spec"]["egress"][0]["to"][0]["ipBlock"]["except"]
    told = mesh.told()
    assert (
        "NetworkPolicy/webhooks: spec.egress[0].to[0]: {ipBlock: {cidr: 0.0.0.0/0}} is called webhooks"
        in told
    )
    assert "expected the ipBlock 0.0.0.0/0 without 10.0.0.0/8" in told


def test_a_renamed_peer_is_told_as_missing_and_as_too_much(mesh: Mesh) -> None:
    mesh("NetworkPolicy/webhooks")["metadata"]["annotations"]["acesteps.dev/peer"] = "webhooks, pining"
    assert "the edge gateway → pinning:443 is missing" in mesh.told()
    assert "the edge gateway → pining:443 is too much" in mesh.told()


def test_pods_that_nothing_shuts_off_are_told(mesh: Mesh) -> None:
    mesh("NetworkPolicy/default-deny")["spec"]["podSelector"] = {
        "matchLabels": {"app.kubernetes.io/name": "music"}
    }
    assert "overlays/staging: NetworkPolicy: no policy denies by default" in mesh.told()
    assert "no policy denies by default" not in mesh.told("overlays/local")


def test_a_pod_without_an_egress_policy_reaches_anyone() -> None:
    pod: dict[str, Any] = {"kind": "Pod", "metadata": {"name": "a", "labels": {edges.ROLE: "a"}}, "spec": {}}
    policy = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "in"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    assert reach.edges_of(Render("base", (pod, policy))) == {reach.Edge("a", "anyone", "any")}


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("clients", "gateway"), ("gateway", "postgresql"), ("gateway", "objects"), ("gateway", "lyrics"),
        ("gateway", "music"), ("gateway", "signer"), ("gateway", "chain RPC"), ("gateway", "pinning"),
        ("gateway", "webhooks"), ("signer", "postgresql"), ("signer", "KMS"), ("every pod", "dns"),
        ("every pod", "otlp"), ("prometheus", "gateway"), ("prometheus", "lyrics"), ("prometheus", "music"),
        ("prometheus", "signer"), ("weights", "model host"), ("operator", "signer"),
        ("gateway-migrate", "postgresql"), ("signer-migrate", "postgresql"),
    ],
)  # fmt: skip
def test_the_list_has_the_designs_edges_and_no_other(source: str, target: str) -> None:
    found = {(one.edge.source, one.edge.target) for one in edges.edge_list(LIST.parent).edges}
    assert (source, target) in found
    assert len(found) == 21
