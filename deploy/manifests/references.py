"""Whether every object that another one names is there, with the key that is asked for.

What is there: the render's objects, what an ExternalSecret or a Certificate of it makes, and the
prerequisites, which whoever installs makes before; images of others are among those. Knows names; what the
objects hold it does not judge.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.manifests.code import IMAGES, WEIGHTS, short
from deploy.manifests.finding import Finding
from deploy.manifests.images import name_of
from deploy.manifests.objects import Container, Object, Pod, Render, at, listed
from deploy.manifests.volumes import Keys, There

PREREQUISITES = "prerequisites.yaml"
TLS_KEYS = frozenset({"tls.crt", "tls.key", "ca.crt"})


@dataclass(frozen=True)
class Prerequisite:
    kind: str
    name: str
    keys: Keys


def prerequisites(folder: Path) -> tuple[Prerequisite, ...]:
    """From `prerequisites.yaml` of the manifests' folder; none where there is no such file."""
    path = folder / PREREQUISITES
    entries = yaml.safe_load(path.read_text()) if path.is_file() else []
    return tuple(
        Prerequisite(entry["kind"], entry["name"], frozenset(entry["keys"]) if entry.get("keys") else None)
        for entry in entries or []
    )


class References:
    def __init__(self, given: tuple[Prerequisite, ...]) -> None:
        self._given = {(entry.kind, entry.name): entry for entry in given}
        self._used: set[tuple[str, str]] = set()

    def check(self, render: Render) -> Iterator[Finding]:
        there = self.there(render)
        for reference in _references(render):
            key = (reference.kind, reference.name)
            self._used.add(key)
            if key not in there:
                if not reference.optional:
                    yield reference.told(
                        f"no {reference.kind} named {reference.name}",
                        f"one in the render or in {PREREQUISITES}",
                    )
                continue
            keys = there[key]
            if reference.key is not None and keys is not None and reference.key not in keys:
                told = f"{reference.kind} {reference.name} has no key {reference.key}"
                yield reference.told(told, ", ".join(sorted(keys)))

    def there(self, render: Render) -> There:
        """Every object that is there by kind and name, with its keys."""
        return {key: entry.keys for key, entry in self._given.items()} | _made(render)

    def unused(self) -> Iterator[Finding]:
        """Prerequisites that no render checked so far names."""
        for kind, name in sorted(set(self._given) - self._used):
            yield Finding(
                PREREQUISITES,
                f"{kind}/{name}",
                "",
                "no render names it",
                "no prerequisite that nothing needs",
            )


@dataclass(frozen=True)
class Reference:
    render: Render
    owner: Object
    path: str
    kind: str
    name: str
    key: str | None = None
    optional: bool = False

    def told(self, wrong: str, expected: str) -> Finding:
        return self.render.find(self.owner, self.path, wrong, expected)


def _made(render: Render) -> dict[tuple[str, str], Keys]:
    made: dict[tuple[str, str], Keys] = {}
    for obj in render.objects:
        name = at(obj, "metadata", "name") or ""
        kind = obj.get("kind", "")
        data = {**(at(obj, "data") or {}), **(at(obj, "stringData") or {}), **(at(obj, "binaryData") or {})}
        made[(kind, name)] = frozenset(data) if kind in ("Secret", "ConfigMap") else None
        if kind == "ExternalSecret":
            fixed = {entry.get("secretKey", "") for entry in listed(obj, "spec", "data")}
            fixed |= set(at(obj, "spec", "target", "template", "data") or {})
            keys = None if listed(obj, "spec", "dataFrom") else frozenset(fixed)
            made[("Secret", at(obj, "spec", "target", "name") or name)] = keys
        elif kind == "Certificate":
            made[("Secret", at(obj, "spec", "secretName") or "")] = TLS_KEYS
    return made


def _references(render: Render) -> Iterator[Reference]:
    for pod in render.pods:
        yield from _of_pod(pod)
        for container in pod.containers:
            yield from _of_container(container)
    for obj in render.objects:
        for path, kind, name, key in _of_object(obj):
            if name:
                yield Reference(render, obj, path, kind, name, key)


def _of_pod(pod: Pod) -> Iterator[Reference]:
    def reference(
        path: str, kind: str, name: str, key: str | None = None, optional: bool = False
    ) -> Reference:
        return Reference(pod.render, pod.owner, pod.place(path), kind, name, key, optional)

    if (account := pod.spec.get("serviceAccountName")) and account != "default":
        yield reference("spec.serviceAccountName", "ServiceAccount", account)
    priority = pod.spec.get("priorityClassName")
    if priority and not priority.startswith("system-"):
        yield reference("spec.priorityClassName", "PriorityClass", priority)
    if runtime := pod.spec.get("runtimeClassName"):
        yield reference("spec.runtimeClassName", "RuntimeClass", runtime)
    for index, pull in enumerate(listed(pod.spec, "imagePullSecrets")):
        yield reference(f"spec.imagePullSecrets[{index}]", "Secret", pull.get("name", ""))
    for index, volume in enumerate(listed(pod.spec, "volumes")):
        path = f"spec.volumes[{index}]"
        for source, below in _sources(volume):
            yield from (
                reference(f"{path}{below}", kind, name, key, bool(source.get("optional")))
                for kind, name, key in _of_source(source)
            )
        image = str(at(volume, "image", "reference") or "")
        if image and not WEIGHTS.match(short(image)):
            yield reference(f"{path}.image.reference", "Image", name_of(image))
        if claim := at(volume, "persistentVolumeClaim", "claimName"):
            yield reference(f"{path}.persistentVolumeClaim.claimName", "PersistentVolumeClaim", claim)


def _sources(volume: Object) -> Iterator[tuple[Object, str]]:
    """The secret and configMap sources of a volume, each with its kind."""
    for kind in ("secret", "configMap"):
        if kind in volume:
            yield {**volume[kind], "kind": kind}, f".{kind}"
        for index, source in enumerate(listed(volume, "projected", "sources")):
            if kind in source:
                yield {**source[kind], "kind": kind}, f".projected.sources[{index}].{kind}"


def _of_source(source: Object) -> Iterator[tuple[str, str, str | None]]:
    kind = "Secret" if source["kind"] == "secret" else "ConfigMap"
    name = source.get("secretName") or source.get("name") or ""
    for key in [item.get("key") for item in listed(source, "items")] or [None]:
        yield kind, name, key


def _of_container(container: Container) -> Iterator[Reference]:
    def reference(path: str, kind: str, source: Any, key: str | None) -> Reference:
        name, optional = at(source, "name") or "", bool(at(source, "optional"))
        pod, place = container.pod, container.place(path)
        return Reference(pod.render, pod.owner, place, kind, name, key, optional)

    image = str(container.spec.get("image", ""))
    if short(image) not in IMAGES:
        yield reference("image", "Image", {"name": name_of(image)}, None)
    for index, variable in enumerate(listed(container.spec, "env")):
        for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            if source := at(variable, "valueFrom", field):
                yield reference(f"env[{index}].valueFrom.{field}", kind, source, source.get("key"))
    for index, entry in enumerate(listed(container.spec, "envFrom")):
        for field, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
            if source := at(entry, field):
                yield reference(f"envFrom[{index}].{field}", kind, source, None)


def _of_object(obj: Object) -> Iterator[tuple[str, str, str | None, str | None]]:
    """path, kind, name, key that this object names."""
    kind, spec = obj.get("kind"), at(obj, "spec") or {}
    if kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        target = at(spec, "scaleTargetRef") or {}
        yield "spec.scaleTargetRef", target.get("kind", "Deployment"), target.get("name"), None
        for index, trigger in enumerate(listed(spec, "triggers")):
            reference = at(trigger, "authenticationRef") or {}
            kind_ = reference.get("kind", "TriggerAuthentication")
            yield f"spec.triggers[{index}].authenticationRef", kind_, reference.get("name"), None
    elif kind == "TriggerAuthentication":
        for index, source in enumerate(listed(spec, "secretTargetRef")):
            yield f"spec.secretTargetRef[{index}]", "Secret", source.get("name"), source.get("key")
    elif kind == "Certificate":
        issuer = at(spec, "issuerRef") or {}
        yield "spec.issuerRef", issuer.get("kind", "Issuer"), issuer.get("name"), None
    elif kind in ("Issuer", "ClusterIssuer"):
        yield "spec.ca.secretName", "Secret", at(spec, "ca", "secretName"), "tls.key"
    elif kind == "ExternalSecret":
        store = at(spec, "secretStoreRef") or {}
        yield "spec.secretStoreRef", store.get("kind", "SecretStore"), store.get("name"), None
    elif kind == "PersistentVolumeClaim":
        yield "spec.storageClassName", "StorageClass", spec.get("storageClassName"), None
    elif kind == "Gateway":
        yield "spec.gatewayClassName", "GatewayClass", spec.get("gatewayClassName"), None
        for index, listener in enumerate(listed(spec, "listeners")):
            for reference in listed(listener, "tls", "certificateRefs"):
                path = f"spec.listeners[{index}].tls.certificateRefs"
                yield path, reference.get("kind", "Secret"), reference.get("name"), None
    elif kind in ("HTTPRoute", "GRPCRoute"):
        for index, parent in enumerate(listed(spec, "parentRefs")):
            yield f"spec.parentRefs[{index}]", parent.get("kind", "Gateway"), parent.get("name"), None
        for path, backend in backends(obj):
            yield path, backend.get("kind", "Service"), backend.get("name"), None


def backends(route: Object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A route's backends, each with its path."""
    for number, rule in enumerate(listed(route, "spec", "rules")):
        for index, backend in enumerate(listed(rule, "backendRefs")):
            yield f"spec.rules[{number}].backendRefs[{index}]", backend
