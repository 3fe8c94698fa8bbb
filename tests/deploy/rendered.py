"""Starts the services of a render of the manifests on this machine, with the settings that it gives them.

Each container's environment and command are taken as they are, and only its places are moved: mounted
folders to folders here, ports to free ones, Services to this machine. Probes are asked as a kubelet does.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.ports import LOOPBACK, free_ports

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
START_PATIENCE_S = 60.0

Document = dict[str, Any]


def render(folder: Path) -> list[Document]:
    """What `kubectl kustomize` makes of a folder."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed; Debian 13: package kubectl")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(documents: list[Document], kind: str) -> dict[str, Document]:
    return {d["metadata"]["name"]: d for d in documents if d["kind"] == kind}


@dataclass
class Pod:
    """The first container of a Deployment, as a process."""

    name: str
    container: Document
    environment: dict[str, str]
    # port as the manifest has it → port here
    ports: Mapping[int, int]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        argv = [sys.executable, *self.container["command"][1:]]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, env=self.environment, stderr=log, stdout=log, cwd=ROOT)

    def init(self, init: Document) -> subprocess.CompletedProcess[str]:
        """Runs an init container or a job's container to its end, with this pod's folders."""
        argv = [sys.executable, *init["command"][1:]]
        return subprocess.run(
            argv, env=self.environment, capture_output=True, text=True, cwd=ROOT, timeout=60
        )

    def passes(self, probe: str) -> bool:
        """Whether the probe would find it well now."""
        asked = self.container[probe]
        if "grpc" in asked:
            return self._healthy(self.ports[asked["grpc"]["port"]], asked["grpc"]["service"])
        named = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        where, path = asked["httpGet"]["port"], asked["httpGet"]["path"]
        url = f"http://{LOOPBACK}:{self.ports[named.get(where, where)]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _healthy(self, port: int, service: str) -> bool:
        with grpc.insecure_channel(f"{LOOPBACK}:{port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=2)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def wait_ready(self) -> None:
        until = time.monotonic() + START_PATIENCE_S
        while not (self.passes("startupProbe") and self.passes("readinessProbe")):
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < until, self.log.read_text()[-2000:]
            time.sleep(0.1)

    def stop(self) -> int:
        """SIGTERM, as at the end of a pod; the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Node:
    """Where pods run: this machine. `mounts` are folders for the Secrets and ConfigMaps that volumes name."""

    def __init__(
        self,
        documents: list[Document],
        folder: Path,
        mounts: Mapping[str, Path],
        changes: Mapping[str, str],
    ) -> None:
        """`changes` are environment variables that only this machine can know."""
        self._folder, self._mounts, self._changes = folder, mounts, changes
        self.deployments = of_kind(documents, "Deployment")
        self._values = {
            name.rpartition("-")[0] or name: document["data"]
            for name, document in of_kind(documents, "ConfigMap").items()
        } | {name: document["data"] for name, document in of_kind(documents, "ConfigMap").items()}
        listed = [(name, port) for name in self.deployments for port in self._container_ports(name)]
        self._ports = dict(zip(listed, free_ports(len(listed)), strict=True))

    def pod(self, name: str) -> Pod:
        spec = self.deployments[name]["spec"]["template"]["spec"]
        container = spec["containers"][0]
        places = self._places(name, spec, container)
        environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
        for variable in container["env"]:
            environment[variable["name"]] = self._here(name, self._value(name, variable), places)
        environment |= {key: value for key, value in self._changes.items() if key in environment}
        ports = {port: here for (owner, port), here in self._ports.items() if owner == name}
        return Pod(name, container, environment, ports, self._folder / f"{name}.log")

    def _container_ports(self, name: str) -> list[int]:
        container = self.deployments[name]["spec"]["template"]["spec"]["containers"][0]
        return [port["containerPort"] for port in container["ports"]]

    def _places(self, name: str, spec: Document, container: Document) -> dict[str, Path]:
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        places = {"/app": ROOT}
        for mount in container["volumeMounts"]:
            volume = volumes[mount["name"]]
            named = volume.get("secret", {}).get("secretName") or volume.get("configMap", {}).get("name")
            place = self._mounts[named] if named else self._folder / name / mount["name"]
            place.mkdir(parents=True, exist_ok=True)
            places[mount["mountPath"]] = place
        return places

    def _value(self, name: str, variable: Document) -> str:
        if "value" in variable:
            return str(variable["value"])
        source = variable["valueFrom"]
        if "fieldRef" in source:
            return f"{name}-0"
        reference = source["configMapKeyRef"]
        return str(self._values[reference["name"]][reference["key"]])

    def _here(self, owner: str, value: str, places: Mapping[str, Path]) -> str:
        if value == "0.0.0.0":
            return LOOPBACK
        if value.isdecimal() and (owner, int(value)) in self._ports:
            return str(self._ports[owner, int(value)])
        if value.startswith("dns:///"):
            service, _, port = value.removeprefix("dns:///").partition(":")
            return f"dns:///localhost:{self._ports[service, int(port)]}"
        for place, folder in places.items():
            if value == place or value.startswith(place + "/"):
                return str(folder) + value.removeprefix(place)
        return value


@contextmanager
def running(*pods: Pod) -> Iterator[None]:
    """Starts them all and waits until all are ready; stopped at the end, the last one first."""
    try:
        for pod in pods:
            pod.start()
        for pod in pods:
            pod.wait_ready()
        yield
    finally:
        for pod in reversed(pods):
            pod.stop()
