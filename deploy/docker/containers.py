"""Podman in a storage of its own, and a compose service as the container that it would be.

Knows podman's words. Runs without systemd, which podman needs to keep up health checks: who waits, asks.
"""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{0}/graph"
runroot = "{0}/run"
"""
# Limits that a container may always set; runc runs on machines where crun refuses cgroups of both versions.
_CONTAINERS = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
events_logger = "file"
[network]
network_backend = "netavark"
"""
HEALTH_PAUSE_S = 1.0


class ContainerError(RuntimeError):
    """What podman said."""


class Podman:
    """Everything it makes lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        storage, containers = folder / "storage.conf", folder / "containers.conf"
        storage.write_text(_STORAGE.format(folder.resolve()))
        containers.write_text(_CONTAINERS)
        own = {
            "CONTAINERS_STORAGE_CONF": str(storage.resolve()),
            "CONTAINERS_CONF": str(containers.resolve()),
        }
        self.environment = {**os.environ, **own}

    def run(
        self, *words: str, check: bool = True, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ("podman", *words), env=self.environment, cwd=cwd, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            said = (done.stderr.strip() or done.stdout.strip())[-2000:]
            raise ContainerError(f"podman {' '.join(words[:3])} …: {said}")
        return done

    def has(self, image: str) -> bool:
        return self.run("image", "exists", image, check=False).returncode == 0

    def inspect(self, image: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.run("image", "inspect", image).stdout)
        return found[0]

    def shell(self, image: str, script: str) -> str:
        """What a script prints in a container of this image, as its own user, with a read-only root."""
        words = ("--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--entrypoint", "sh")
        return self.run("run", *words, image, "-ec", script).stdout

    def wait_healthy(self, name: str, test: Sequence[str], patience_s: float) -> None:
        """Asks what the health check asks until it says yes. Raises ContainerError."""
        until = time.monotonic() + patience_s
        while self.run("exec", name, *test[1:], check=False).returncode:
            state = self.run("inspect", "--format", "{{.State.Running}}", name).stdout.strip()
            if state != "true" or time.monotonic() > until:
                raise ContainerError(f"{name} is not healthy: {self.run('logs', name).stderr[-2000:]}")
            time.sleep(HEALTH_PAUSE_S)


def run_words(project: str, name: str, service: Mapping[str, Any], folder: Path) -> list[str]:
    """The words after `podman run` that make the container of one service; relative paths are `folder`'s."""
    words = ["--name", f"{project}-{name}"]
    if mode := service.get("network_mode"):
        words += ["--network", mode]
    for network in service.get("networks", ()):
        words += ["--network", f"{project}-{network}:alias={name}"]
    words += ["--read-only"] if service.get("read_only") else []
    for flag, key in (("--tmpfs", "tmpfs"), ("--cap-drop", "cap_drop"), ("--cap-add", "cap_add")):
        words += [word for value in service.get(key, ()) for word in (flag, value)]
    for option in service.get("security_opt", ()):
        words += ["--security-opt", option.removesuffix(":true")]
    for flag, key in (("--user", "user"), ("--shm-size", "shm_size"), ("--stop-signal", "stop_signal")):
        words += [flag, service[key]] if key in service else []
    for variable, value in service.get("environment", {}).items():
        words += ["--env", f"{variable}={value}"]
    for port in service.get("ports", ()):
        words += ["--publish", port]
    for volume in service.get("volumes", ()):
        source, rest = volume.split(":", 1)
        is_path = source.startswith((".", "/"))
        source = str((folder / source).resolve()) if is_path else f"{project}-{source}"
        words += ["--volume", f"{source}:{rest}"]
    if entrypoint := service.get("entrypoint"):
        words += ["--entrypoint", json.dumps(entrypoint)]
    command = [word.replace("$$", "$") for word in service.get("command", ())]
    return [*words, service["image"], *command]
