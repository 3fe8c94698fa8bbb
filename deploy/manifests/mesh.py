"""Whether the services find and believe one another: targets are Services, names are on certificates.

Knows names; certificates themselves are made by cert-manager, at run time.
"""

from collections.abc import Iterator

from deploy.manifests.environment import Running
from deploy.manifests.finding import Finding
from deploy.manifests.objects import Object, Render, at, listed

TARGETS = {"lyrics_target": "lyrics", "music_target": "music", "signer_target": "signer"}


def check(render: Render, running: list[Running]) -> Iterator[Finding]:
    for one in running:
        for field, service in TARGETS.items():
            if hasattr(one.settings, field):
                yield from _target(render, one, field, service)
    names = {name for certificate in _good_for(render, "client auth") for name in _names(certificate)}
    for one in running:
        for field in ("allowed_callers", "operators"):
            for name in getattr(one.settings, field, ()):
                if name not in names:
                    told = f"{one.setting(field)} lets {name} call, and no client's Certificate has that name"
                    yield one.container.find("env", told, ", ".join(sorted(names)) or "a Certificate")
    yield from _listeners(render)


def _listeners(render: Render) -> Iterator[Finding]:
    """One certificate for two lets a client use one connection for both: some controllers end HTTP/2 then."""
    made = {at(certificate, "spec", "secretName"): certificate for certificate in render.of("Certificate")}
    for gateway in render.of("Gateway"):
        for index, listener in enumerate(listed(gateway, "spec", "listeners")):
            for reference in listed(listener, "tls", "certificateRefs"):
                names = _names(made.get(reference.get("name"), {}))
                if names and names != [listener.get("hostname")]:
                    path = f"spec.listeners[{index}].tls.certificateRefs"
                    told = f"the certificate is for {', '.join(names)}"
                    yield render.find(gateway, path, told, f"one for {listener.get('hostname')} alone")


def _good_for(render: Render, usage: str) -> list[Object]:
    """Certificates that may be so used; without a word of it, any may."""
    usages = ((c, listed(c, "spec", "usages")) for c in render.of("Certificate"))
    return [certificate for certificate, given in usages if not given or usage in given]


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
        certificates = [c for c in _good_for(render, "server auth") if host in _names(c)]
        if not certificates:
            told = f"{name} is {target}, and no server's Certificate has the name {host}: the handshake fails"
            yield one.container.find("env", told, f"a Certificate with the dnsName {host}")


def _names(certificate: object) -> list[str]:
    return [str(name) for kind in ("dnsNames", "uris") for name in listed(certificate, "spec", kind)]
