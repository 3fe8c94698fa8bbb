"""The settings that a container would start with: its variables, resolved and given to the typed class.

Knows how Kubernetes puts an environment together. Secrets are stood in for, so their values are not judged.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any, ClassVar

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, PydanticBaseSettingsSource

from deploy.manifests import code
from deploy.manifests.finding import Finding
from deploy.manifests.objects import Container, Pod, Render, at, listed
from deploy.manifests.volumes import There, files_of, mount_of, volume_of
from services.common.settings import SECRETS_DIR, ServiceSettings

_EXPANDED = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass(frozen=True)
class Variable:
    name: str
    value: str
    path: str


@dataclass(frozen=True)
class Running:
    """A container that serves, with its settings."""

    container: Container
    service: str
    settings: ServiceSettings
    variables: tuple[Variable, ...]

    def setting(self, field: str) -> str:
        """The name of a field's variable."""
        return f"{self.settings.model_config.get('env_prefix', '')}{field}".upper()


def read(render: Render, there: There) -> tuple[list[Running], list[Finding]]:
    """Every container of ours that serves; `there`: the objects that are or will be there."""
    running: list[Running] = []
    findings: list[Finding] = []
    for pod in render.pods:
        findings += _links(pod)
    for container in render.containers:
        image = code.image_of(str(container.spec.get("image", "")))
        if image is None:
            continue
        if image.built is None:
            findings.append(container.find("image", f"{image.dockerfile.name} has no stage {image.stage}"))
            continue
        variables = tuple(_variables(container, there))
        findings += _unknown(container, image.service, variables)
        words = code.process(container, image.built)
        if complaint := _complaint(words, image.service):
            findings.append(container.find("args", *complaint))
        if code.programs(words)[-1:] != [f"services.{image.service}"]:
            findings += _unread(container, code.programs(words)[-1:], image.service, variables)
            continue
        values = dict(image.built.environment) | {variable.name: variable.value for variable in variables}
        built = _built(code.SETTINGS[image.service], values)
        if isinstance(built, ServiceSettings):
            running.append(Running(container, image.service, built, variables))
        else:
            findings += (container.find("env", complaint) for complaint in built)
    return running, findings


def _links(pod: Pod) -> Iterator[Finding]:
    ours = [code.image_of(str(container.spec.get("image", ""))) for container in pod.containers]
    if any(ours) and pod.spec.get("enableServiceLinks") is not False:
        told = "variables of Services, such as MUSIC_PORT, are taken for settings and stop the start"
        yield pod.find("spec.enableServiceLinks", told, "false")


def _complaint(words: list[str], service: str) -> tuple[str, str] | None:
    """What is wrong with the words that a container starts with, and what they should be."""
    found = code.programs(words)
    told = f"it runs `{' '.join(words)}`"
    if words[:1] != ["python"] or len(found) != 1:
        return told, f"python -m services.{service}, or a module below it, once"
    if not code.is_program(found[0]):
        return f"{told}, and there is no such program", f"services.{service} or one below it"
    if found[0].split(".")[1] not in (service, "common"):
        return f"{told}, which the image does not hold", f"a module of services.{service}"
    return None


def _unread(
    container: Container, modules: list[str], service: str, variables: tuple[Variable, ...]
) -> Iterator[Finding]:
    """A command that reads settings and is given none of them."""
    for module in modules:
        read = code.settings_in(module) & code.known(service)
        if read and not read & {variable.name for variable in variables}:
            yield container.find("env", f"{module} is given none of its settings", ", ".join(sorted(read)))


def _unknown(container: Container, service: str, variables: tuple[Variable, ...]) -> Iterator[Finding]:
    used = {name for text in _texts(container) for name in _EXPANDED.findall(text)}
    for variable in variables:
        name = variable.name
        if (
            name in code.known(service)
            or name in code.OTEL
            or name in used
            or code.OTHER_VARIABLES.match(name)
        ):
            continue
        near = _nearest(name, code.known(service))
        yield container.find(variable.path, f"{name} is no setting of {service}", near and f"{near}, perhaps")


def _nearest(name: str, names: frozenset[str]) -> str:
    return next(iter(difflib.get_close_matches(name, sorted(names), n=1)), "")


def _texts(container: Container) -> Iterator[str]:
    yield from container.words
    for variable in listed(container.spec, "env"):
        yield str(variable.get("value", ""))


def _variables(container: Container, there: There) -> Iterator[Variable]:
    render = container.pod.render
    values: dict[str, Variable] = {}
    for index, entry in enumerate(listed(container.spec, "envFrom")):
        path, prefix = f"envFrom[{index}]", entry.get("prefix", "")
        source = render.by_name.get(("ConfigMap", at(entry, "configMapRef", "name") or ""))
        for key, value in (at(source, "data") or {}).items():
            values[f"{prefix}{key}"] = Variable(f"{prefix}{key}", str(value), path)
        for key in there.get(("Secret", at(entry, "secretRef", "name") or "")) or ():
            values[f"{prefix}{key}"] = Variable(f"{prefix}{key}", stand_in(f"{prefix}{key}"), path)
    for index, entry in enumerate(listed(container.spec, "env")):
        name, path = str(entry.get("name", "")), f"env[{index}]"
        value = _value(render, name, entry)
        expanded = _EXPANDED.sub(lambda m: values[m[1]].value if m[1] in values else m[0], value)
        values[name] = Variable(name, expanded, path)
    if folder := values.get(SECRETS_DIR):
        for secret in _files(container, folder.value, there):
            values.setdefault(secret.name, secret)
    yield from values.values()


def _files(container: Container, folder: str, there: There) -> Iterator[Variable]:
    """Settings that are files of a mounted secret, named as their variables in lower case."""
    found = mount_of(container, PurePosixPath(folder))
    if found is None:
        return
    index, mount = found
    for name in files_of(volume_of(container, mount), there) or ():
        yield Variable(name.upper(), stand_in(name.upper()), f"volumeMounts[{index}]")


def _value(render: Render, name: str, entry: Mapping[str, Any]) -> str:
    if "value" in entry:
        return str(entry["value"])
    if reference := at(entry, "valueFrom", "configMapKeyRef"):
        config = render.by_name.get(("ConfigMap", reference.get("name", "")))
        if config is not None and reference.get("key") in (at(config, "data") or {}):
            return str(config["data"][reference["key"]])
    if at(entry, "valueFrom", "fieldRef"):
        return "pod-0"
    return stand_in(name) if "valueFrom" in entry else ""


def stand_in(name: str) -> str:
    """A value that a secret of that name could have."""
    for ending, value in (
        ("DATABASE_URL", "postgresql://role:password@postgresql:5432/acesteps"),
        ("OBJECTS_URL", "s3://bucket/prefix"),
        ("URL", "https://somewhere.example"),
        ("CONTRACT", "0x5fbdb2315678afecb367f032d93f642f64180aa3"),
        ("CHAIN_ID", "1"),
    ):
        if name.endswith(ending):
            return value
    return "stands-in-for-a-secret-of-at-least-32-characters"


def _built(cls: type[ServiceSettings], values: Mapping[str, str]) -> ServiceSettings | list[str]:
    """The settings of these variables and no others, or what is wrong with them."""
    isolated = _isolated(cls)
    # An empty variable is as good as none, as `env_ignore_empty` has it.
    isolated.given = {name.lower(): value for name, value in values.items() if value}
    try:
        built: ServiceSettings = isolated()
        return built
    except ValidationError as error:
        prefix = cls.model_config.get("env_prefix", "")
        told = error.errors(include_url=False, include_input=False)
        return [f"{_setting(prefix, one['loc'])}: {one['msg']}" for one in told]


@cache
def _isolated(cls: type[ServiceSettings]) -> Any:
    """The class, reading what it is `given` in place of this process's environment."""

    class Isolated(cls):  # type: ignore[valid-type, misc]  # a base that is known at run time only
        given: ClassVar[dict[str, str]] = {}

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: Any, env_settings: EnvSettingsSource, **_: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            env_settings.env_vars = cls.given
            return (env_settings,)

    return Isolated


def _setting(prefix: str, location: tuple[int | str, ...]) -> str:
    return f"{prefix}{location[0]}".upper() if location else prefix.rstrip("_")
