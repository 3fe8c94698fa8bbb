"""Whether a pod is given the time that it takes to leave: preStop, then the drain of its settings.

Knows seconds. The longest that a music pod works is what the gateway lets one attempt take.
"""

import re
from collections.abc import Iterator

from deploy.manifests.environment import Running
from deploy.manifests.finding import Finding
from deploy.manifests.objects import Container, at
from services.gateway.settings import GatewaySettings

# Kubernetes' own, where a pod does not say.
DEFAULT_GRACE_S = 30
_SLEEP = re.compile(r"sleep\D{0,3}(\d+(?:\.\d+)?)")


def check(running: list[Running]) -> Iterator[Finding]:
    for one in running:
        slept = pre_stop_s(one.container)
        if slept is None:
            yield one.container.find(
                "lifecycle.preStop", "takes nobody knows how long", "sleep: {seconds: …}"
            )
            continue
        needed = slept + one.settings.drain_delay_s + one.settings.drain_grace_s
        grace = one.container.pod.spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_S)
        if grace < needed:
            told = (
                f"is {grace}, and leaving takes {needed:g} s: preStop {slept:g}, "
                f"{one.setting('drain_delay_s')} {one.settings.drain_delay_s:g}, "
                f"{one.setting('drain_grace_s')} {one.settings.drain_grace_s:g}"
            )
            path = "spec.terminationGracePeriodSeconds"
            yield one.container.pod.find(path, told, f"at least {needed:g}: else it is killed at work")
    yield from _longest_render(running)


def _longest_render(running: list[Running]) -> Iterator[Finding]:
    longest = max(
        (one.settings.render_timeout_s for one in running if isinstance(one.settings, GatewaySettings)),
        default=0.0,
    )
    for one in running:
        if one.service == "music" and one.settings.drain_grace_s < longest:
            told = (
                f"MUSIC_DRAIN_GRACE_S is {one.settings.drain_grace_s:g}, and one song may take {longest:g} s"
            )
            yield one.container.find(
                "env", told, "as long as GATEWAY_RENDER_TIMEOUT_S, or a shorter one of that"
            )


def pre_stop_s(container: Container) -> float | None:
    """Seconds that preStop sleeps; None where it does something else."""
    hook = at(container.spec, "lifecycle", "preStop")
    if hook is None:
        return 0.0
    if (seconds := at(hook, "sleep", "seconds")) is not None:
        return float(seconds)
    found = _SLEEP.search(" ".join(map(str, at(hook, "exec", "command") or ())))
    return float(found[1]) if found else None
