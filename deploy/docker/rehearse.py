"""`python -m deploy.docker.rehearse`: builds the images without a registry and runs compose.yaml's mesh.

For a machine with root, podman and debootstrap, but no way to the official base images. Says of each image
whether it builds, what is in it and how large it is; then starts everything in containers, makes and saves a
song through the gateway's REST, and stops. docs/images.md says what that leaves unchecked.
"""

import argparse
import json
import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.docker import compose_file, stand_ins
from deploy.docker.containers import ContainerError, Podman, run_words
from deploy.docker.images import FOLDER, IMAGES, ROOT, Image, build_command
from deploy.local.ports import free_ports

TAG = "rehearsal"
PROJECT = "rehearsal"
PROGRAMS = ("podman", "debootstrap", "buildah", "runc", "node", "npm")
HEALTHY_S = 120.0
SONG_S = 120.0
# The first account of development chains, as everybody knows it.
CREATOR = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
# Nothing of the kind belongs into an image.
UNWANTED = """
for program in cc gcc make git node; do command -v $program || true; done
find /app -name '*.pem' ! -name cacert.pem ! -name roots.pem
find /app -name .env
test ! -e /root/.cache || echo /root/.cache
"""


class Rehearsal:
    def __init__(self, folder: Path, visible: list[Path], wheels: Path | None) -> None:
        self._folder = folder
        self._podman = Podman(folder)
        self._wheels = wheels
        pip = folder / "pip.conf"
        lines = [f"find-links = {wheels.resolve()}"] if wheels else []
        lines += [f"cert = {os.environ['PIP_CERT']}"] if "PIP_CERT" in os.environ else []
        pip.write_text("\n".join(["[global]", *lines]) + "\n")
        seen = [*visible, *([wheels] if wheels else [])]
        lent = [f"{path.resolve()}:{path.resolve()}:ro" for path in seen]
        lent.append(f"{pip.resolve()}:/etc/pip.conf:ro")
        volumes = (word for mount in lent for word in ("--volume", mount))
        self._options: tuple[str, ...] = ("--isolation", "chroot", "--layers", *volumes)

    def build(self, image: Image) -> None:
        arguments = {"PYTHON_IMAGE": stand_ins.PYTHON, "NODE_IMAGE": stand_ins.NODE}
        began = time.monotonic()
        self._podman.run(*build_command("podman", image, TAG, arguments, self._options)[1:], cwd=ROOT)
        seconds = time.monotonic() - began
        name = f"acesteps/{image.name}:{TAG}"
        config = self._podman.inspect(name)["Config"]
        if config["User"] != "10001:10001" or config["Entrypoint"] != [
            "python",
            "-m",
            f"services.{image.service}",
        ]:
            raise ContainerError(f"{name} runs as {config['User']}: {config['Entrypoint']}")
        unwanted = self._podman.shell(name, UNWANTED)
        if unwanted.strip():
            raise ContainerError(f"{name} holds {unwanted.split()}")
        sbom = json.loads(self._podman.shell(name, "cat /app/sbom.json"))
        packages = {part["name"].lower() for part in sbom["components"]}
        if ("torch" in packages) != image.has_torch:
            raise ContainerError(f"{name}: torch is in the wrong images")
        own = int(self._podman.shell(name, "du -sm /app").split()[0])
        print(
            f"{image.name:15} {own:5} MB in /app, {len(packages)} packages, {seconds:.0f} s",
            flush=True,
        )

    def ensure_bases(self) -> None:
        stand_ins.ensure(self._podman, self._folder / "bases")

    def play(self, variables: Mapping[str, str], weights: Mapping[str, Path]) -> None:
        """Starts what compose.yaml says, has a song made and saved, stops. Raises ContainerError."""
        (port,) = free_ports(1)
        values = {**variables, "VERSION": TAG, "POSTGRES_IMAGE": stand_ins.POSTGRES}
        described = compose_file.load(
            {**values, "HTTP_ADDRESS": f"127.0.0.1:{port}"}, FOLDER / "compose.yaml"
        )
        services = described["services"]
        for name, folder in weights.items():
            _give_model(services, name, folder)
        self.clear(described)
        for network, options in described["networks"].items():
            internal = ["--internal"] if options and options.get("internal") else []
            self._podman.run("network", "create", *internal, f"{PROJECT}-{network}")
        try:
            for name, service in compose_file.in_order(services):
                self._start(name, service)
            self._make_song(f"http://127.0.0.1:{port}")
            again = self._podman.run("start", "--attach", f"{PROJECT}-secrets").stdout
            if again.strip():
                raise ContainerError(f"secrets were made a second time: {again}")
            for name in ("gateway", "signer", "music", "lyrics", "postgres"):
                self._stop(name)
        finally:
            self.clear(described)

    def clear(self, described: Mapping[str, Any]) -> None:
        for name in described["services"]:
            self._podman.run("rm", "--force", "--time", "5", "--ignore", f"{PROJECT}-{name}")
        for volume in described["volumes"]:
            self._podman.run("volume", "rm", "--force", f"{PROJECT}-{volume}", check=False)
        for network in described["networks"]:
            self._podman.run("network", "rm", "--force", f"{PROJECT}-{network}", check=False)

    def _start(self, name: str, service: Mapping[str, Any]) -> None:
        words = run_words(PROJECT, name, service, FOLDER)
        began = time.monotonic()
        if "restart" not in service:
            done = self._podman.run("run", *words)
            said = " | ".join(done.stdout.splitlines())
            print(f"{name}: done in {time.monotonic() - began:.1f} s: {said}", flush=True)
            return
        self._podman.run("run", "--detach", *words)
        test = service["healthcheck"]["test"]
        self._podman.wait_healthy(f"{PROJECT}-{name}", test, HEALTHY_S)
        print(f"{name}: healthy after {time.monotonic() - began:.1f} s", flush=True)

    def _stop(self, name: str) -> None:
        began = time.monotonic()
        self._podman.run("stop", "--time", "60", f"{PROJECT}-{name}")
        code = self._podman.run(
            "inspect", "--format", "{{.State.ExitCode}}", f"{PROJECT}-{name}"
        ).stdout.strip()
        if code != "0":
            raise ContainerError(f"{name} ended with {code}")
        print(f"{name}: ended by itself within {time.monotonic() - began:.1f} s", flush=True)

    def _make_song(self, url: str) -> None:
        asked = {"prompt": "calm piano at night, 70 BPM", "duration_s": 10, "instrumental": True}
        song = _call(f"{url}/v1/songs", {**asked, "creator_address": CREATOR})["song"]
        until = time.monotonic() + SONG_S
        while song["state"] not in ("SONG_STATE_SUCCEEDED", "SONG_STATE_FAILED") and time.monotonic() < until:
            time.sleep(0.5)
            song = _call(f"{url}/v1/songs/{song['id']}")["song"]
        if song["state"] != "SONG_STATE_SUCCEEDED":
            raise ContainerError(f"the song is {song['state']}: {song.get('failure')}")
        _call(f"{url}/v1/songs/{song['id']}:save", {})
        mint = _call(f"{url}/v1/songs/{song['id']}/mint")
        to = f"{mint['contract']} on chain {mint['chain_id']}"
        print(
            f"song {song['id']} by {song['engine']}: made, saved, {len(mint['calldata']) // 2} bytes to {to}"
        )


def _call(url: str, body: Mapping[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _give_model(services: dict[str, Any], name: str, folder: Path) -> None:
    """As gpu.yaml does, without the GPU: the image with torch, its engine and its weights."""
    image, engine = {"music": ("music-acestep", "acestep"), "lyrics": ("lyrics-llama", "llama")}[name]
    services[name]["image"] = f"acesteps/{image}:{TAG}"
    services[name]["environment"] |= {f"{name.upper()}_ENGINE": engine, f"{name.upper()}_WEIGHTS": "/weights"}
    services[name]["volumes"] += [f"{folder.resolve()}:/weights:ro"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.docker.rehearse", description=__doc__)
    names = [image.name for image in IMAGES]
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"of {', '.join(names)}; none: all")
    parser.add_argument("--folder", type=Path, default=Path("var/rehearsal"), help="default: %(default)s")
    parser.add_argument(
        "--see", type=Path, action="append", default=[], help="lent to the builds; repeatable"
    )
    parser.add_argument(
        "--wheels", type=Path, help="folder with torch's wheel for CPUs; else images with torch wait"
    )
    parser.add_argument("--no-build", action="store_true", help="play with what an earlier run built")
    parser.add_argument("--no-play", action="store_true", help="build only")
    parser.add_argument("--music-weights", type=Path, help="play with acestep, on the CPU, and these weights")
    parser.add_argument("--lyrics-weights", type=Path, help="play with llama, likewise")
    options = parser.parse_args(argv)
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        print(
            f"rehearse: needs root, and of Debian's packages: {', '.join(missing) or 'nothing'}",
            file=sys.stderr,
        )
        return 2
    rehearsal = Rehearsal(options.folder, options.see, options.wheels)
    given = {"music": options.music_weights, "lyrics": options.lyrics_weights}
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        rehearsal.ensure_bases()
        for image in IMAGES:
            if options.no_build or (options.images and image.name not in options.images):
                continue
            if image.has_torch and not _has_torch(options.wheels):
                print(f"{image.name}: not built; --wheels names no folder with torch for CPUs")
                continue
            rehearsal.build(image)
        if not options.no_play:
            rehearsal.play({}, {name: folder for name, folder in given.items() if folder})
    except (ContainerError, RuntimeError, OSError) as error:
        print(f"rehearse: {error}", file=sys.stderr)
        return 1
    return 0


def _has_torch(wheels: Path | None) -> bool:
    # From an index it would be gigabytes with CUDA's libraries.
    return wheels is not None and any(wheels.glob("torch-*+cpu-*.whl"))


if __name__ == "__main__":
    sys.exit(main())
