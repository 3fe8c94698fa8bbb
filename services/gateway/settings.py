"""The gateway's settings, read from `GATEWAY_...`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from services.common.settings import Port, ServiceSettings

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class GatewaySettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="GATEWAY_", hide_input_in_errors=True)

    # postgresql://...; the role must own the schema `gateway`. May hold a password.
    database_url: SecretStr
    # file:///folder, or what obstore knows: s3://bucket/prefix, ...
    objects_url: str
    lyrics_target: str
    music_target: str
    signer_target: str

    grpc_port: Port = 50050
    http_host: str = "127.0.0.1"
    http_port: Port = 8080
    # Under which clients reach the HTTP face; shown, never needed to serve.
    public_url: str = ""
    # Comma-separated origins of web pages that may call.
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    # Who is let in. "development": everyone, as one local account.
    auth: Literal["development"] = "development"

    # Songs in the making at once in this process; the music pods have slots of their own.
    workers: Annotated[int, Field(ge=0, le=256)] = 4
    # A worker or engine that is silent for this long has lost its song.
    lease_s: Seconds = 30.0
    # How often leases that ran out are looked for.
    reap_every_s: Seconds = 5.0
    # In all, per song; a busy pod and a drain do not count.
    max_failures: Annotated[int, Field(ge=1, le=100)] = 5
    # After the first failure; doubles, up to a minute.
    backoff_s: Seconds = 1.0
    # The longest that one attempt may take.
    render_timeout_s: Seconds = 3600.0
    # How often to look when nobody tells; and whether anybody shall (LISTEN; no transaction pooler has it).
    poll_s: Seconds = 1.0
    listen: bool = True
    database_connections: Annotated[int, Field(ge=2, le=1000)] = 16

    # What `node contracts/compile.mjs` wrote.
    contract_abi_file: Path = Path("build/contracts/SongNFT.json")

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return tuple(p.strip() for p in value.split(",") if p.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _development_only(self) -> Self:
        if self.environment == "production" and self.auth == "development":
            raise ValueError("auth=development lets everyone in and is not for production")
        return self
