"""What the code knows that manifests have to agree with: settings, programs, images, health names, routes.

Everything is read from the services themselves, so that there is no second list to keep.
"""

import asyncio
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from opentelemetry.sdk import environment_variables as otel

from deploy.manifests.dockerfiles import Stage, stages
from deploy.manifests.images import name_of
from deploy.manifests.objects import Container, listed
from services.common.server import Health
from services.common.settings import ServiceSettings
from services.gateway.faces.http_face import create_app
from services.gateway.settings import GatewaySettings
from services.gateway.use_cases import UseCases
from services.lyrics.settings import LyricsSettings
from services.music.settings import MusicSettings
from services.signer.settings import SignerSettings

ROOT = Path(__file__).parents[2]
DOCKERFILES = ROOT / "deploy" / "docker"

SETTINGS: dict[str, type[ServiceSettings]] = {
    "gateway": GatewaySettings,
    "lyrics": LyricsSettings,
    "music": MusicSettings,
    "signer": SignerSettings,
}

# Read by what the services are made of, not by a settings class.
OTHER_VARIABLES = re.compile(
    r"^(AWS|CUDA|HF|NVIDIA|OMP|PYTORCH)_\w+$|^PYTHON[A-Z]+$|^(ACESTEPS_SECRETS_DIR|HOME|TMPDIR|SSL_CERT_FILE|GRPC_VERBOSITY)$"
    r"|^(HTTPS?|NO)_PROXY$"
)
OTEL = frozenset(name for name in vars(otel) if name.startswith("OTEL_")) | {
    "OTEL_SERVICE_NAME",
    "OTEL_PROPAGATORS",
}


@dataclass(frozen=True)
class Image:
    """An image that deploy/docker builds: the service in it, and the stage of the service's Dockerfile."""

    service: str
    stage: str

    @property
    def dockerfile(self) -> Path:
        return DOCKERFILES / f"{self.service}.Dockerfile"

    @property
    def built(self) -> Stage | None:
        """What the stage runs and sets; None where the Dockerfile has no such stage."""
        if not DOCKERFILES.is_dir():  # a checkout without images: what theirs all do
            return Stage(("python", "-m", f"services.{self.service}"))
        return _stages(self.dockerfile).get(self.stage)


IMAGES = {
    "acesteps/gateway": Image("gateway", "gateway"),
    "acesteps/signer": Image("signer", "signer"),
    "acesteps/lyrics-builtin": Image("lyrics", "builtin"),
    "acesteps/lyrics-llama": Image("lyrics", "llama"),
    "acesteps/music-sketch": Image("music", "sketch"),
    "acesteps/music-acestep": Image("music", "acestep"),
}
# No program in them, only files: deploy/docker/weights.Dockerfile.
WEIGHTS = re.compile(r"^acesteps/weights-[a-z-]+$")


def image_of(image: str) -> Image | None:
    """By the last two parts of its name, wherever it is kept."""
    return IMAGES.get(short(image))


def short(image: str) -> str:
    return "/".join(name_of(image).split("/")[-2:])


def process(container: Container, built: Stage) -> list[str]:
    """The words that the container starts with, as Kubernetes puts them together with the image's."""
    command = [str(word) for word in listed(container.spec, "command")]
    arguments = [str(word) for word in listed(container.spec, "args")]
    if not command:
        command = list(built.entrypoint)
        arguments = arguments or list(built.command)
    return command + arguments


def programs(words: list[str]) -> list[str]:
    """The modules that a command runs."""
    return re.findall(r"(?:^|\s)-m (services[\w.]*)", " ".join(words))


@cache
def _stages(dockerfile: Path) -> dict[str, Stage]:
    return stages(dockerfile.read_text()) if dockerfile.is_file() else {}


def is_program(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    if (path / "__main__.py").is_file():
        return True
    source = path.with_suffix(".py")
    return source.is_file() and "__main__" in source.read_text()


def settings_in(module: str) -> frozenset[str]:
    """The variables that a command's source names; those that a class reads for it are not seen."""
    source = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return (
        frozenset(re.findall(r'"([A-Z]+_[A-Z_]+)"', source.read_text())) if source.is_file() else frozenset()
    )


def known(service: str) -> frozenset[str]:
    prefix = SETTINGS[service].model_config.get("env_prefix", "")
    return frozenset(f"{prefix}{name}".upper() for name in SETTINGS[service].model_fields)


@lru_cache(maxsize=1)
def health_names() -> frozenset[str]:
    """The names under which a service tells probes of itself; "" is the whole of it."""

    async def asked() -> frozenset[str]:
        health = Health()
        await health.start(())
        # grpcio keeps them to itself, and has no call that lists them.
        return frozenset(vars(health.servicer)["_server_status"])

    return asyncio.run(asked())


@lru_cache(maxsize=1)
def routes() -> frozenset[str]:
    """Paths of the gateway's HTTP face that answer GET."""
    app = create_app(cast(UseCases, _Anything()), Health(), cors_origins=())
    return frozenset(
        str(getattr(route, "path", ""))
        for route in app.routes
        if "GET" in (getattr(route, "methods", None) or ())
    )


class _Anything:
    """Use cases that nobody calls: the routes are read, not asked."""

    def __getattr__(self, _: str) -> Any:
        return self

    def __call__(self, *_: object, **__: object) -> Any:
        return self
