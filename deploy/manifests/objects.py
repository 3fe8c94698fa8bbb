"""Rendered objects, and the pods and containers in them.

Knows where Kubernetes keeps things; judges nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deploy.manifests.finding import Finding

Object = Mapping[str, Any]

# Where each kind keeps its pod template.
TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}
CONTAINERS = ("initContainers", "containers")


def title(obj: Object) -> str:
    return f"{obj.get('kind', '?')}/{at(obj, 'metadata', 'name') or '?'}"


def at(value: Any, *keys: str) -> Any:
    """What lies below, or None where something on the way is missing."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def listed(value: Any, *keys: str) -> list[Any]:
    """The list below; empty where there is none."""
    found = at(value, *keys)
    return found if isinstance(found, list) else []


@dataclass(frozen=True, eq=False)
class Render:
    name: str
    objects: tuple[Object, ...]

    @cached_property
    def by_name(self) -> dict[tuple[str, str], Object]:
        return {(obj.get("kind", ""), at(obj, "metadata", "name") or ""): obj for obj in self.objects}

    @cached_property
    def pods(self) -> tuple["Pod", ...]:
        return tuple(
            Pod(self, obj, ".".join(TEMPLATES[obj["kind"]]), at(obj, *TEMPLATES[obj["kind"]]) or {})
            for obj in self.objects
            if obj.get("kind") in TEMPLATES
        )

    @cached_property
    def containers(self) -> tuple["Container", ...]:
        return tuple(container for pod in self.pods for container in pod.containers)

    def of(self, *kinds: str) -> Iterator[Object]:
        return (obj for obj in self.objects if obj.get("kind") in kinds)

    def find(self, obj: Object | None, path: str, wrong: str, expected: str = "") -> Finding:
        return Finding(self.name, title(obj) if obj is not None else "", path, wrong, expected)


@dataclass(frozen=True, eq=False)
class Pod:
    """A pod template, or a pod."""

    render: Render
    owner: Object
    path: str
    template: Object

    @property
    def spec(self) -> Object:
        return at(self.template, "spec") or {}

    @property
    def labels(self) -> Mapping[str, str]:
        return at(self.template, "metadata", "labels") or {}

    @property
    def role(self) -> str:
        """What it is in the mesh: its `app.kubernetes.io/name`, else its owner's name."""
        return self.labels.get("app.kubernetes.io/name") or str(at(self.owner, "metadata", "name"))

    @cached_property
    def containers(self) -> tuple["Container", ...]:
        return tuple(
            Container(self, f"{group}[{index}]", spec)
            for group in CONTAINERS
            for index, spec in enumerate(listed(self.spec, group))
            if isinstance(spec, Mapping)
        )

    def place(self, path: str) -> str:
        """From the owner on; `path` begins below the template: `spec.volumes[0]`."""
        return joined(self.path, path)

    def find(self, path: str, wrong: str, expected: str = "") -> Finding:
        return self.render.find(self.owner, self.place(path), wrong, expected)


@dataclass(frozen=True, eq=False)
class Container:
    pod: Pod
    path: str
    spec: Object

    @property
    def name(self) -> str:
        return str(self.spec.get("name", "?"))

    @property
    def is_init(self) -> bool:
        """Runs before the others and ends; a sidecar, which goes on, is none."""
        return self.path.startswith("init") and self.spec.get("restartPolicy") != "Always"

    @property
    def ports(self) -> dict[str, int]:
        return {
            str(port.get("name") or port.get("containerPort")): port.get("containerPort", 0)
            for port in listed(self.spec, "ports")
        }

    @property
    def words(self) -> list[str]:
        return [str(word) for word in (*listed(self.spec, "command"), *listed(self.spec, "args"))]

    def place(self, path: str) -> str:
        """From the pod's owner on; `path` begins below the container: `env[0]`."""
        return self.pod.place(joined("spec", self.path, path))

    def find(self, path: str, wrong: str, expected: str = "") -> Finding:
        return self.pod.render.find(self.pod.owner, self.place(path), wrong, expected)


def joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def selects(selector: Any, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels; the empty one takes all, None takes none."""
    if selector is None:
        return False
    wanted = at(selector, "matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(term, labels) for term in listed(selector, "matchExpressions"))


def _holds(term: Object, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(term.get("key", "")), term.get("values") or []
    match term.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def shown(value: Any) -> str:
    """A selector or a peer as one short text."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(inner)}" for key, inner in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(shown(inner) for inner in value) + "]"
    return str(value)
