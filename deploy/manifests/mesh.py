"""Whether the services find and believe one another: targets are Services, names are on certificates.

Knows names; certificates themselves are made by cert-manager, at run time.
"""

from collections.abc import Iterator

from deploy.manifests.environment import Running
from deploy.manifests.finding import Finding
from deploy.manifests.objects import Render, at, listed

TARGETS = {"lyrics_target": "lyrics", "music_target": "music", "signer_target": "signer"}


def check(render: Render, running: list[Running]) -> Iterator[Finding]:
    for one in running:
        for field, service in TARGETS.items():
            if hasattr(one.settings, field):
                yield from _target(render, one, field, service)
    names = {name for certificate in render.of("Certificate") for name in _names(certificate)}
    for one in running:
        for field in ("allowed_callers", "operators"):
            for name in getattr(one.settings, field, ()):
                # An operator's certificate is a person's, and made elsewhere.
                if field == "allowed_callers" and name not in names:
                    told = f"{one.setting(field)} lets {name} call, and no Certificate has that name"
                    yield one.container.find("env", told, ", ".join(sorted(names)) or "a Certificate")


def _target(render: Render, one: Running, field: str, service: str) -> Iterator[Finding]:
    target, name = str(getattr(one.settings, field)), one.setting(field)
    host, _, port = target.split("/")[-1].rpartition(":")
    found = render.by_name.get(("Service", host.split(".")[0]))
    if found is None:
        yield one.container.find("env", f"{name} is {target}, and the render has no such Service", service)
        return
    ports = [str(entry.get("port")) for entry in listed(found, "spec", "ports")]
    if port not in ports:
        yield one.container.find(
            "env", f"{name} is {target}, and the Service has no such port", ", ".join(ports)
        )
    if not target.startswith("dns:///"):
        yield one.container.find("env", f"{name} is {target}: one pod of many", f"dns:///{host}:{port}")
    if at(found, "spec", "clusterIP") != "None":
        told = "one address for all pods: a channel stays with the one that it got"
        yield render.find(found, "spec.clusterIP", told, "None: the gateway balances by itself")
    if one.settings.tls is not None:
        certificates = [c for c in render.of("Certificate") if host in _names(c)]
        if not certificates:
            told = f"{name} is {target}, and no Certificate has the name {host}: the handshake fails"
            yield one.container.find("env", told, f"a Certificate with the dnsName {host}")


def _names(certificate: object) -> list[str]:
    return [str(name) for kind in ("dnsNames", "uris") for name in listed(certificate, "spec", kind)]
