"""How KEDA and the horizontal pod autoscaler choose a number of pods, from the very manifest they are given.

The arithmetic is that of Kubernetes' pkg/controller/podautoscaler (tolerance, stabilisation windows, rate
policies) and of KEDA's activation and cooldown. Knows no song; what a trigger's value is, others say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor, inf
from pathlib import Path
from typing import Any, Literal

import yaml

MANIFEST = Path(__file__).parents[1] / "deploy/k8s/components/autoscaling/music.yaml"
# Of kube-controller-manager: --horizontal-pod-autoscaler-sync-period and -tolerance.
SYNC_S, TOLERANCE = 15.0, 0.1


@dataclass(frozen=True)
class Trigger:
    name: str
    threshold: float
    activation: float
    metric_type: Literal["AverageValue", "Value"]
    query: str = ""


@dataclass(frozen=True)
class Policy:
    type: Literal["Pods", "Percent"]
    value: int
    period_s: float


@dataclass(frozen=True)
class Rules:
    """Of one direction. `select`: the policy that changes most, or least, or none."""

    window_s: float
    policies: Sequence[Policy]
    select: Literal["Max", "Min", "Disabled"] = "Max"


@dataclass(frozen=True)
class Scaling:
    """A ScaledObject's numbers."""

    least: int
    most: int
    polling_s: float
    cooldown_s: float
    triggers: Sequence[Trigger]
    up: Rules
    down: Rules

    def fixed(self, pods: int) -> "Scaling":
        return replace(self, least=pods, most=pods)


def read(manifest: Path = MANIFEST) -> Scaling:
    """The ScaledObject in the file. What it leaves out is as KEDA and Kubernetes have it."""
    found = [d for d in yaml.safe_load_all(manifest.read_text()) if d["kind"] == "ScaledObject"]
    if len(found) != 1:
        raise ValueError(f"{manifest}: {len(found)} ScaledObjects, expected 1")
    spec = found[0]["spec"]
    behavior = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
    return Scaling(
        least=spec.get("minReplicaCount", 0),
        most=spec.get("maxReplicaCount", 100),
        polling_s=spec.get("pollingInterval", 30),
        cooldown_s=spec.get("cooldownPeriod", 300),
        triggers=[_trigger(one) for one in spec["triggers"]],
        up=_rules(behavior.get("scaleUp", {}), 0.0, [Policy("Pods", 4, 15.0), Policy("Percent", 100, 15.0)]),
        down=_rules(behavior.get("scaleDown", {}), 300.0, [Policy("Percent", 100, 15.0)]),
    )


def _trigger(one: Mapping[str, Any]) -> Trigger:
    told = one["metadata"]
    return Trigger(
        one["name"],
        float(told["threshold"]),
        float(told.get("activationThreshold", 0)),
        one.get("metricType", "AverageValue"),
        told["query"],
    )


def _rules(told: Mapping[str, Any], window_s: float, policies: Sequence[Policy]) -> Rules:
    given = [Policy(p["type"], p["value"], p["periodSeconds"]) for p in told.get("policies", [])]
    return Rules(
        told.get("stabilizationWindowSeconds", window_s), given or policies, told.get("selectPolicy", "Max")
    )


def wanted(trigger: Trigger, value: float, replicas: int, ready: int) -> int:
    """Pods that one metric asks for."""
    if trigger.metric_type == "AverageValue":
        ratio = value / (trigger.threshold * replicas) if replicas else inf
        return replicas if abs(ratio - 1) <= TOLERANCE else ceil(value / trigger.threshold)
    ratio = value / trigger.threshold
    return replicas if abs(ratio - 1) <= TOLERANCE else ceil(ratio * ready)


@dataclass
class Autoscaler:
    """`poll` it every polling_s: between none and one; `sync` every SYNC_S: between one and most."""

    scaling: Scaling
    _active_at: float = -inf
    # (when, pods), and (when, change)
    _asked: list[tuple[float, int]] = field(default_factory=list)
    _changes: list[tuple[float, int]] = field(default_factory=list)

    def poll(self, now_s: float, replicas: int, values: Mapping[str, float]) -> int:
        scaling = self.scaling
        if any(values[t.name] > t.activation for t in scaling.triggers):
            self._active_at = now_s
            return replicas or max(1, scaling.least)
        if replicas and not scaling.least and now_s - self._active_at > scaling.cooldown_s:
            return 0
        return replicas

    def sync(self, now_s: float, replicas: int, ready: int, values: Mapping[str, float]) -> int:
        if not replicas:
            return 0
        scaling = self.scaling
        asked = max(wanted(t, values[t.name], replicas, ready) for t in scaling.triggers)
        chosen = self._limited(now_s, replicas, self._stabilised(now_s, replicas, asked))
        chosen = min(max(chosen, scaling.least, 1), scaling.most)
        if chosen != replicas:
            self._changes.append((now_s, chosen - replicas))
        return chosen

    def _stabilised(self, now_s: float, replicas: int, asked: int) -> int:
        """No more than was asked for all through the window of scaling up, no less than at any time in the
        window of scaling down."""
        up_s, down_s = self.scaling.up.window_s, self.scaling.down.window_s
        self._asked = [a for a in self._asked if now_s - a[0] <= max(up_s, down_s)] + [(now_s, asked)]
        low = min(pods for when, pods in self._asked if when > now_s - up_s or when == now_s)
        high = max(pods for when, pods in self._asked if when > now_s - down_s or when == now_s)
        return min(max(replicas, low), high)

    def _limited(self, now_s: float, replicas: int, chosen: int) -> int:
        if chosen == replicas:
            return replicas
        up = chosen > replicas
        rules = self.scaling.up if up else self.scaling.down
        if rules.select == "Disabled":
            return replicas
        longest_s = max(p.period_s for p in (*self.scaling.up.policies, *self.scaling.down.policies))
        self._changes = [c for c in self._changes if now_s - c[0] < longest_s]
        limits = [self._limit(p, now_s, replicas, 1 if up else -1) for p in rules.policies]
        farthest = (max if up == (rules.select == "Max") else min)(limits)
        return min(chosen, max(farthest, replicas)) if up else max(chosen, min(farthest, replicas))

    def _limit(self, policy: Policy, now_s: float, replicas: int, sign: int) -> int:
        """How far one policy lets go, from the number that there was when its period began."""
        began = replicas - sum(change for when, change in self._changes if now_s - when < policy.period_s)
        if policy.type == "Pods":
            return began + sign * policy.value
        share = began * (1 + sign * policy.value / 100)
        return ceil(share) if sign > 0 else floor(share)
