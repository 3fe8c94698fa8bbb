"""Every overlay, the base, and each component alone on the base, as `kubectl kustomize` renders them.

Knows kubectl and the layout of deploy/k8s; nothing of what the objects mean.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from deploy.manifests.finding import Finding
from deploy.manifests.objects import Render

# The first kubectl whose kustomize knows `kind: Component` and generators as the manifests use them.
OLDEST_KUBECTL = (1, 22)
TIMEOUT_S = 60.0
KUSTOMIZATION = "kustomization.yaml"


class RenderError(Exception):
    """Nothing can be rendered; one line that says what to do."""


def render_all(folder: Path, kubectl: str = "kubectl") -> tuple[list[Render], list[Finding]]:
    """The renders, and a finding for each that does not render. Raises RenderError without a fit kubectl."""
    program = _fit(kubectl)
    folder = folder.resolve()
    if not (folder / "base" / KUSTOMIZATION).is_file():
        raise RenderError(f"{folder} has no base/{KUSTOMIZATION}")
    with tempfile.TemporaryDirectory() as scratch:
        roots = {f"overlays/{path.name}": path for path in _below(folder / "overlays")}
        roots["base"] = folder / "base"
        for component in _whole(_below(folder / "components")):
            name = f"base + components/{component.name}"
            roots[name] = _alone(Path(scratch).resolve() / component.name, folder / "base", component)
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            results = list(threads.map(lambda item: _render(program, *item), roots.items()))
    renders = [result for result in results if isinstance(result, Render)]
    return renders, [result for result in results if isinstance(result, Finding)]


def _below(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"*/{KUSTOMIZATION}"))


def _whole(components: list[Path]) -> list[Path]:
    """Those that no other includes: a part of others need not stand alone, and is rendered with them."""
    parts = {
        (component / other).resolve()
        for component in components
        for other in (yaml.safe_load((component / KUSTOMIZATION).read_text()) or {}).get("components", ())
    }
    return [component for component in components if component not in parts]


def _alone(folder: Path, base: Path, component: Path) -> Path:
    """A kustomization of the base with one component; paths in it have to be relative."""
    folder.mkdir()
    below = yaml.safe_load((base / KUSTOMIZATION).read_text()) or {}
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(base, folder)],
        "components": [os.path.relpath(component, folder)],
        # What a base says of its namespace does not reach what a component brings.
        **({"namespace": below["namespace"]} if "namespace" in below else {}),
    }
    (folder / KUSTOMIZATION).write_text(yaml.safe_dump(content))
    return folder


def _render(kubectl: str, name: str, root: Path) -> Render | Finding:
    try:
        done = _run([kubectl, "kustomize", str(root)])
    except subprocess.TimeoutExpired:
        return Finding(name, "", "", f"kubectl kustomize took longer than {TIMEOUT_S:g} s")
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"kubectl ended with {done.returncode}"
        return Finding(name, "", "", f"does not render: {reason}")
    try:
        objects = [obj for obj in yaml.load_all(done.stdout, Loader) if obj]
    except yaml.YAMLError as error:
        return Finding(name, "", "", f"is not YAML: {' '.join(str(error).split())}")
    if not all(isinstance(obj, Mapping) for obj in objects):
        return Finding(name, "", "", "holds something that is no object")
    return Render(name, tuple(objects))


def _fit(kubectl: str) -> str:
    program = shutil.which(kubectl)
    if program is None:
        raise RenderError(
            f"{kubectl} is not installed; Debian 13 has it in the package kubectl, "
            "https://kubernetes.io/docs/tasks/tools/ tells of others"
        )
    done = _run([program, "version", "--client", "-o", "json"])
    try:
        client: dict[str, Any] = json.loads(done.stdout)["clientVersion"]
        version = int(client["major"]), int(client["minor"].rstrip("+"))
    except (ValueError, KeyError, TypeError) as error:
        raise RenderError(f"{program} does not say its version: {' '.join(done.stderr.split())}") from error
    if version < OLDEST_KUBECTL:
        raise RenderError(
            f"{program} is {version[0]}.{version[1]}, whose kustomize cannot render these manifests; "
            f"kubectl {OLDEST_KUBECTL[0]}.{OLDEST_KUBECTL[1]} or newer is needed (Debian 12 has 1.20)"
        )
    return program


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


class Loader(yaml.CSafeLoader):
    """Safe, and like Kubernetes' own: dates, 12:30 and numbers beyond 64 bits (addresses) are strings."""

    def integer(self, node: yaml.ScalarNode) -> int | str:
        text = str(self.construct_scalar(node))
        try:
            value = int(text.replace("_", ""), 8 if _OLD_OCTAL.match(text) else 0)
        except ValueError:
            return text
        return value if -(2**63) <= value < 2**64 else text


_OLD_OCTAL = re.compile(r"^[-+]?0[0-7_]+$")
Loader.add_constructor("tag:yaml.org,2002:int", Loader.integer)
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
