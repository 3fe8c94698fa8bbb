"""Settings of the lyrics service, from the environment: `LYRICS_…`."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.settings import Port, ServiceSettings


class LyricsSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="LYRICS_")

    grpc_port: Port = 50051
    """Port that gRPC listens on; 0 takes any free one."""
    engine: Literal["builtin"] = "builtin"
    """Who writes: "builtin" is the lyricist without a model."""
    slots: Annotated[int, Field(ge=1, le=1024)] = 32
    """Songs that are written or wait for it at once; one more is answered POD_BUSY."""
