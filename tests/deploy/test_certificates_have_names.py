"""Names of certificates are held against who asks for them: callers, targets and the ingress' listeners."""

from tests.deploy.conftest import Mesh

PUBLIC = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "acesteps", "namespace": "acesteps"},
    "spec": {
        "gatewayClassName": "envoy",
        "listeners": [
            {
                "name": name,
                "protocol": "HTTPS",
                "port": 443,
                "hostname": f"{name}.example.com",
                "tls": {"certificateRefs": [{"name": "public-tls"}]},
            }
            for name in ("songs", "grpc")
        ],
    },
}


def tls(mesh: Mesh, service: str) -> None:
    for name in ("CERT", "KEY", "CA"):
        mesh.set(service, f"{service.upper()}_TLS_{name}_FILE", f"/run/tls/{name}")


def usages(mesh: Mesh, name: str, *given: str) -> None:
    mesh(f"Certificate/{name}")["spec"]["usages"] = list(given)


def test_a_caller_whose_certificate_is_for_servers_only_is_told(mesh: Mesh) -> None:
    usages(mesh, "gateway", "server auth", "client auth")
    assert mesh.told() == ""
    usages(mesh, "gateway", "server auth")
    assert "lets spiffe://acesteps/gateway call, and no client's Certificate has that name" in mesh.told()


def test_a_target_whose_certificate_is_for_clients_only_is_told(mesh: Mesh) -> None:
    tls(mesh, "gateway")
    assert "has the name music" not in mesh.told()
    usages(mesh, "music", "client auth")
    assert "no server's Certificate has the name music: the handshake fails" in mesh.told()


def test_an_operator_that_no_certificate_names_is_told(mesh: Mesh) -> None:
    tls(mesh, "signer")
    mesh.set("signer", "SIGNER_OPERATORS", "spiffe://acesteps/opertor")
    assert "SIGNER_OPERATORS lets spiffe://acesteps/opertor call, and no client's" in mesh.told()


def test_a_certificate_that_two_listeners_share_is_told_at_both(mesh: Mesh) -> None:
    mesh.add(PUBLIC)
    spec = {
        "secretName": "public-tls",
        "dnsNames": ["songs.example.com", "grpc.example.com"],
        "issuerRef": {"name": "mesh", "kind": "Issuer"},
    }
    certificate = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "public"}}
    mesh.add({**certificate, "spec": spec})
    told = mesh.told()
    for index, name in enumerate(("songs", "grpc")):
        assert (
            f"Gateway/acesteps: spec.listeners[{index}].tls.certificateRefs: the certificate is for "
            f"songs.example.com, grpc.example.com; expected one for {name}.example.com alone" in told
        )
    spec["dnsNames"] = ["songs.example.com"]
    assert "spec.listeners[0]" not in mesh.told()
    assert "spec.listeners[1]" in mesh.told()
