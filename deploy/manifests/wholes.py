"""Whether settings fit what stands beside them: production, the ingress' names, the most pods of scaling.

Knows single numbers and names of a render; whether they suffice for a load is docs/capacity.md's.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from deploy.manifests.environment import Running
from deploy.manifests.finding import Finding
from deploy.manifests.images import PRODUCTION
from deploy.manifests.objects import Object, Render, at, listed, title
from services.gateway.settings import GatewaySettings
from services.music.settings import MusicSettings

# Of KEDA, where a ScaledObject names none.
DEFAULT_MOST = 100


def check(render: Render, running: list[Running]) -> Iterator[Finding]:
    for one in running:
        if render.name == PRODUCTION and one.settings.environment != "production":
            told = f"{one.setting('environment')} is {one.settings.environment}"
            yield one.container.find("env", told, "production: else TLS, keys and accounts may be missing")
        if isinstance(one.settings, GatewaySettings):
            yield from _public(render, one, one.settings)
            yield from _workers(render, one, one.settings, running)


def _public(render: Render, one: Running, settings: GatewaySettings) -> Iterator[Finding]:
    hosts = {str(host) for route in render.of("HTTPRoute") for host in listed(route, "spec", "hostnames")}
    of_somebody = render.name.startswith("overlays/")  # the base is nobody's, and at localhost
    if of_somebody and hosts and (host := urlsplit(settings.public_url).hostname) not in hosts:
        told = f"{one.setting('public_url')} leads to {host}, and no HTTPRoute has that name"
        yield one.container.find("env", told, ", ".join(sorted(hosts)))


def _workers(
    render: Render, one: Running, settings: GatewaySettings, running: list[Running]
) -> Iterator[Finding]:
    """No gateway has more songs in the making, one of which only waits: slots beyond would idle."""
    replicas = _fewest(render, one.container.pod.owner)
    for music in running:
        scaler = _scaler(render, "ScaledObject", music.container.pod.owner)
        if not isinstance(music.settings, MusicSettings) or scaler is None:
            continue
        slots = at(scaler, "spec").get("maxReplicaCount", DEFAULT_MOST) * music.settings.slots
        if replicas * settings.workers < slots + replicas:
            told = (
                f"{replicas} replicas have {replicas * settings.workers} workers for {slots} slots of music"
            )
            yield one.container.find("env", told, f"{one.setting('workers')} of {-(-slots // replicas) + 1}")


def _fewest(render: Render, deployment: Object) -> int:
    scaler = _scaler(render, "HorizontalPodAutoscaler", deployment)
    fewest = at(scaler, "spec", "minReplicas") if scaler else at(deployment, "spec", "replicas")
    return int(fewest or 1)


def _scaler(render: Render, kind: str, deployment: Object) -> Object | None:
    for scaler in render.of(kind):
        target = at(scaler, "spec", "scaleTargetRef") or {}
        if f"{target.get('kind', 'Deployment')}/{target.get('name')}" == title(deployment):
            return scaler
    return None
