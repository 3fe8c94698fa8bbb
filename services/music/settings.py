"""Settings of the music service, from the environment: `MUSIC_…`."""

import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.settings import Port, ServiceSettings


class MusicSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="MUSIC_")

    grpc_port: Port = 50052
    """Port that gRPC listens on; 0 takes any free one."""
    engine: Literal["sketch"] = "sketch"
    """What makes the music. "sketch" is procedural and not AI."""
    slots: Annotated[int, Field(ge=1, le=64)] = 2
    """Songs at once. More than cores makes every song slower and none sooner."""
    pod_id: Annotated[str, Field(min_length=1, max_length=253)] = Field(default_factory=socket.gethostname)
    """Who attests; in Kubernetes the pod's name."""
    attestation_key_file: Path
    """Ed25519 private key in PEM; `python -m services.common.trust new-key` makes one."""
