"""Settings of the music service, from the environment: `MUSIC_…`."""

import socket
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import SettingsConfigDict

from services.common.settings import Port, ServiceSettings
from services.music.acestep.options import MAX_STEPS, STEP_PRESETS
from services.music.registry import EngineChoice


def _preset(value: object) -> object:
    return STEP_PRESETS.get(value, value) if isinstance(value, str) else value


class MusicSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="MUSIC_")

    lists_callers: ClassVar[bool] = True

    grpc_port: Port = 50052
    """Port that gRPC listens on; 0 takes any free one."""
    engine: Literal["sketch", "acestep"] = "sketch"
    """What makes the music. "sketch" is procedural and not AI; "acestep" is ACE-Step v1 3.5B."""
    weights: Path | None = None
    """Folder of the weights that acestep needs; `python -m services.music.weights fetch DIR` fills one."""
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS), BeforeValidator(_preset)] = STEP_PRESETS["quality"]
    """Diffusion steps of acestep where a song does not say: 1 to 200, or "quality" (60) or "fast" (27)."""
    slots: Annotated[int, Field(ge=1, le=64)] = 2
    """Songs at once. More than cores makes every song slower and none sooner."""
    pod_id: Annotated[str, Field(min_length=1, max_length=253)] = Field(default_factory=socket.gethostname)
    """Who attests; in Kubernetes the pod's name."""
    attestation_key_file: Path
    """Ed25519 private key in PEM; `python -m services.common.trust new-key` makes one."""
    trust_bundle_file: Path | None = None
    """Whose songs may be edited; read again when it changes, and may come after the start. None: no edits."""
    trust_state_file: Path | None = None
    """Where the highest version of the bundle seen so far is kept; goes with the bundle."""

    trust_least_version: Annotated[int, Field(ge=1)] = 1
    """Lowest version of the bundle to start with: for a process whose state file may be lost."""

    @model_validator(mode="after")
    def _trust_whole(self) -> Self:
        if (self.trust_bundle_file is None) != (self.trust_state_file is None):
            raise ValueError("trust_bundle_file and trust_state_file go together")
        return self

    @model_validator(mode="after")
    def _weights_for_acestep(self) -> Self:
        if self.engine == "acestep" and self.weights is None:
            hint = "python -m services.music.weights fetch DIR"
            raise ValueError(f"the engine acestep needs MUSIC_WEIGHTS; run: {hint}")
        return self

    @property
    def engine_choice(self) -> EngineChoice:
        return EngineChoice(self.engine, self.weights, self.steps)
