"""Whether a container's ports and probes are those that its settings open.

Knows the names of ports: grpc, http, health, metrics. Which peers reach them is `edges`.
"""

from collections.abc import Iterator

from deploy.manifests import code
from deploy.manifests.environment import Running
from deploy.manifests.finding import Finding
from deploy.manifests.objects import Object, at, listed

# port name -> (setting of the port, setting of the address that it listens on)
PORTS = {
    "grpc": ("grpc_port", "grpc_host"),
    "http": ("http_port", "http_host"),
    "health": ("health_port", "grpc_host"),
    "metrics": ("metrics_port", "metrics_host"),
}
EVERYWHERE = ("0.0.0.0", "::", "[::]")
HANDLERS = {"exec", "grpc", "httpGet", "tcpSocket"}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
# What a probe asks for; a start is over when either is told.
NAMES = {
    "startupProbe": {"liveness", "readiness"},
    "livenessProbe": {"liveness"},
    "readinessProbe": {"readiness"},
}
# They load gigabytes before they are ready.
LOADING = ("acestep", "llama")


def check(running: list[Running]) -> Iterator[Finding]:
    for one in running:
        yield from _ports(one)
        for probe in PROBES:
            yield from _probe(one, probe)


def _opened(one: Running) -> dict[str, int]:
    """Port names, and the numbers that the settings give them."""
    numbers = {name: getattr(one.settings, port, None) for name, (port, _) in PORTS.items()}
    return {name: number for name, number in numbers.items() if number}


def _ports(one: Running) -> Iterator[Finding]:
    opened, declared = _opened(one), one.container.ports
    expected = ", ".join(f"{name} {number}" for name, number in opened.items())
    for index, port in enumerate(listed(one.container.spec, "ports")):
        name, number = port.get("name"), port.get("containerPort")
        if name not in opened:
            yield one.container.find(
                f"ports[{index}]", f"{one.service} opens no port {name} {number}", expected
            )
        elif opened[name] != number:
            told = f"is {number}, and {one.setting(PORTS[name][0])} is {opened[name]}"
            yield one.container.find(f"ports[{index}].containerPort", told, str(opened[name]))
    for name, number in opened.items():
        if name not in declared:
            yield one.container.find("ports", f"port {name} {number} is not declared", expected)
        host = getattr(one.settings, PORTS[name][1])
        if host not in EVERYWHERE:
            told = f"{one.setting(PORTS[name][1])} is {host}: nothing outside the container reaches {name}"
            yield one.container.find("env", told, EVERYWHERE[0])


def _probe(one: Running, kind: str) -> Iterator[Finding]:
    probe = at(one.container.spec, kind)
    if probe is None:
        if kind != "startupProbe" or getattr(one.settings, "engine", "") in LOADING:
            yield one.container.find(kind, "is missing", "one: else nobody knows how the container is")
        return
    if not probe.keys() & HANDLERS:
        yield one.container.find(kind, "asks nothing", "grpc or httpGet")
    if "grpc" in probe:
        yield from _grpc_probe(one, kind, probe["grpc"])
    elif "httpGet" in probe:
        yield from _http_probe(one, kind, probe["httpGet"])
    elif "tcpSocket" in probe:
        yield one.container.find(
            f"{kind}.tcpSocket", "an open port says nothing of the service", "grpc or httpGet"
        )


def _grpc_probe(one: Running, kind: str, probe: Object) -> Iterator[Finding]:
    port, name = probe.get("port"), probe.get("service", "")
    if port != one.settings.health_port:
        told = f"is {port}, and {one.setting('health_port')} is {one.settings.health_port}"
        yield one.container.find(f"{kind}.grpc.port", told, "the port that serves health in plaintext")
    if name not in code.health_names() or name not in NAMES[kind]:
        told = f"is {name!r}"
        yield one.container.find(f"{kind}.grpc.service", told, " or ".join(sorted(NAMES[kind])))


def _http_probe(one: Running, kind: str, probe: Object) -> Iterator[Finding]:
    opened, port = _opened(one), probe.get("port")
    if port not in ("http", opened.get("http")) or "http" not in opened:
        expected = (
            f"http, {opened['http']}" if "http" in opened else f"{one.service} speaks no HTTP; a grpc probe"
        )
        yield one.container.find(f"{kind}.httpGet.port", f"is {port}", expected)
    elif probe.get("path", "/") not in code.routes():
        told = f"the gateway has no GET {probe.get('path', '/')}"
        yield one.container.find(f"{kind}.httpGet.path", told, "/healthz or /readyz")
    if probe.get("scheme", "HTTP") != "HTTP":
        yield one.container.find(
            f"{kind}.httpGet.scheme", f"is {probe['scheme']}", "HTTP: TLS ends before the pod"
        )
