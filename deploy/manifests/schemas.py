"""Whether each object is what the Kubernetes API takes, unknown fields refused.

Its own kinds by the schemas of kubernetes-validate (strict), on the oldest and the newest supported version.
Custom resources by JSON Schemas from a folder, `kind-group-version.json`. What a server's admission adds
(defaults, CEL rules, quotas) is not known here.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
from kubernetes_validate import utils
from referencing import Registry, Resource

from deploy.manifests.finding import Finding
from deploy.manifests.objects import Object, Render, at

# 1.31: a PodDisruptionBudget's unhealthyPodEvictionPolicy is stable, and pods may mount images as volumes.
OLDEST = "1.31"
# The newest that kubernetes-validate knows; a test holds the two together.
NEWEST = "1.37"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class Schemas:
    """`folder` holds the schemas of custom resources."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._custom: dict[str, jsonschema.protocols.Validator | None] = {}
        # Most objects are the same in most renders.
        self._seen: dict[str, list[tuple[str, str]]] = {}

    def check(self, render: Render) -> Iterator[Finding]:
        for obj in render.objects:
            text = json.dumps(obj, sort_keys=True)
            if text not in self._seen:
                self._seen[text] = list(self._faults(obj))
            for path, wrong in self._seen[text]:
                yield render.find(obj, path, wrong)

    def _faults(self, obj: Object) -> Iterator[tuple[str, str]]:
        api, kind = obj.get("apiVersion"), obj.get("kind")
        if not (
            isinstance(api, str) and isinstance(kind, str) and isinstance(at(obj, "metadata", "name"), str)
        ):
            yield "", "has no apiVersion, kind or metadata.name"
            return
        group, _, version = api.rpartition("/")
        if group and (custom := self._of_folder(f"{kind}-{group}-{version}.json".lower())):
            yield from _errors(custom, obj, "")
            yield from _errors(_definition(_META), obj["metadata"], f" in {NEWEST}", "metadata")
        # kubernetes-validate drops a group's domain: another one's would pass for Kubernetes' own.
        elif "." in group and not group.endswith(".k8s.io"):
            yield "apiVersion", self._without(api, kind)
        else:
            for supported in (OLDEST, NEWEST):
                own = _own(kind.lower(), f"{group.split('.')[0]}-{version}" if group else version, supported)
                if own is None:
                    yield "apiVersion", f"Kubernetes {supported} has no {kind} of {api}"
                else:
                    yield from _errors(own, obj, f" in Kubernetes {supported}")

    def _without(self, api: str, kind: str) -> str:
        wanted = f"{kind}-{api.replace('/', '-')}.json".lower()
        return f"no schema for {kind} of {api}: {self.folder} has no {wanted}"

    def _of_folder(self, name: str) -> jsonschema.protocols.Validator | None:
        if name not in self._custom:
            path = self.folder / name
            found = (
                jsonschema.Draft202012Validator(closed(json.loads(path.read_text())))
                if path.is_file()
                else None
            )
            self._custom[name] = found
        return self._custom[name]


def closed(schema: Any) -> Any:
    """The schema with unknown fields refused, where it lists fields and does not itself say what of others.

    As an API server prunes: by the structural part, and not inside allOf, anyOf, oneOf and not, which only
    narrow it. Fields that nothing but they name are known too (`unevaluatedProperties` sees them).
    """
    if not isinstance(schema, Mapping):
        return schema
    result = dict(schema)
    for key in ("properties", "patternProperties", "definitions", "$defs"):
        if isinstance(schema.get(key), Mapping):
            result[key] = {name: closed(inner) for name, inner in schema[key].items()}
    for key in ("items", "additionalProperties"):
        if key in schema:
            result[key] = closed(schema[key])
    open_ = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource")
    if "properties" in schema and "additionalProperties" not in schema and not open_:
        result["unevaluatedProperties"] = False
    return result


def _errors(
    validator: jsonschema.protocols.Validator, value: Any, where: str, below: str = ""
) -> Iterator[tuple[str, str]]:
    for error in validator.iter_errors(value):
        deepest = _told(error)
        # Counted from the top: what lies below anyOf is counted from its parent.
        path = _dotted([below, *deepest.absolute_path] if below else list(deepest.absolute_path))
        yield path, f"{_short(deepest.message)}{where}"


def _told(error: jsonschema.ValidationError) -> jsonschema.ValidationError:
    return jsonschema.exceptions.best_match([error]) or error


def _short(message: str) -> str:
    message = " ".join(message.split()).replace("Unevaluated properties are not allowed", "unknown field")
    message = message.replace("Additional properties are not allowed", "unknown field")
    return message if len(message) <= 300 else f"{message[:297]}…"


def _dotted(path: list[Any]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


@lru_cache(maxsize=256)
def _own(kind: str, api: str, version: str) -> jsonschema.protocols.Validator | None:
    try:
        schema = utils.schema_contents(f"{_strict(version)}/{kind}-{api}.json", version)
    except FileNotFoundError:
        return None
    return jsonschema.Draft202012Validator(schema, registry=_registry(version))


@lru_cache(maxsize=4)
def _definition(name: str) -> jsonschema.protocols.Validator:
    schema = {"$ref": f"/api/_definitions.json#/$defs/{name}", "$id": "https://kubernetes.io/metadata"}
    return jsonschema.Draft202012Validator(schema, registry=_registry(NEWEST))


@lru_cache(maxsize=2)
def _registry(version: str) -> Any:
    return Resource.from_contents(_definitions(version)) @ Registry()


def _definitions(version: str) -> Any:
    return utils.schema_contents(f"{_strict(version)}/_definitions.json", version)


def _strict(version: str) -> str:
    return f"kubernetes-json-schema/v{version}.0-local-strict"
