"""The gateway's settings, read from `GATEWAY_...`."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from services.common.address import checksum_address
from services.common.errors import InvalidField
from services.common.settings import Port, ServiceSettings
from services.common.tls import TlsFiles

SHORTEST_URL_KEY = 32

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class GatewaySettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="GATEWAY_", hide_input_in_errors=True)

    database_url: SecretStr
    """postgresql://...; the role must own the schema `gateway`. May hold a password."""
    objects_url: str
    """file:///folder, or what obstore knows: s3://bucket/prefix, ..."""
    lyrics_target: str
    """Where the lyrics service is: host:port, or dns:///name:port for every pod behind a name."""
    music_target: str
    """Where the music pods are, likewise."""
    signer_target: str
    """Where the signer is, likewise."""

    grpc_port: Port = 50050
    """Port that gRPC listens on; 0 takes any free one."""
    max_request_bytes: Annotated[int, Field(ge=1024, le=64 << 20)] = 256 << 10
    """Longest message that gRPC takes in; 20,000 characters of lyrics fit."""
    grpc_tls: Literal["mutual", "off"] = "mutual"
    """Of the own gRPC port, given a certificate. "off": plaintext, behind an ingress that ends TLS."""
    http_host: str = "127.0.0.1"
    """Address that HTTP listens on."""
    http_port: Port = 8080
    """Port that HTTP listens on; 0 takes any free one."""
    http_head_s: Seconds = 10.0
    """How long a client may take to send a request's head."""
    http_body_s: Seconds = 30.0
    """How long it may then take to send the body."""
    http_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """Connections that HTTP holds at once; more are closed."""
    public_url: str = ""
    """Under which clients reach the HTTP face; shown, never needed to serve."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated origins of web pages that may call."""
    auth: Literal["development", "accounts"] = "development"
    """Who is let in. "accounts": those with credentials; "development": all others too, as one account."""
    site_url: str = ""
    """https://host of the page that wallets sign in to (EIP-4361); none: public_url."""
    session_s: Annotated[float, Field(ge=60, le=30 * 86_400)] = 12 * 3600.0
    """Seconds that a session lasts."""
    chain_rpc_url: SecretStr | None = None
    """Node of the chain that songs are minted on, to ask wallets that are contracts. May hold an API key."""
    chain_id: Annotated[int, Field(ge=1, le=2**53)] = 31337
    """Chain that songs are minted on."""

    tiers_file: Path | None = None
    """What accounts of each tier may do (TOML); none: services/gateway/tiers.toml, which explains itself."""
    resolve_every_s: Seconds = 5.0
    """How often music pods are looked for behind a name."""
    sweep_every_s: Seconds = 60.0
    """How often objects that nothing names any more are taken away."""
    sweep_grace_s: Seconds = 3600.0
    """How long an object may be stored and named by nothing: longer than storing a song can take."""
    url_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Comma-separated secrets of at least 32 characters. The first signs URLs of audio, all are believed."""
    url_s: Seconds = 3600.0
    """Seconds that a signed URL lasts."""
    webhook_key: SecretStr | None = None
    """Of at least 32 characters; the secrets of webhooks are made of it, and change with it."""
    webhooks_anywhere: bool = False
    """Lets webhooks lead to http and into one's own network; for development only."""
    webhook_pause_s: Seconds = 60.0
    """After the first failure of a webhook's delivery; later pauses are up to 600 times as long."""
    listener_patience_s: Seconds = 60.0
    """A listener who takes nothing of what there is for this long is dropped."""

    workers: Annotated[int, Field(ge=0, le=256)] = 4
    """Songs in the making at once in this process; the music pods have slots of their own."""
    ahead: Annotated[int, Field(ge=1, le=256)] = 1
    """Songs begun here although no pod has a slot yet, so that words are written while others sound."""
    lease_s: Seconds = 30.0
    """A worker or engine that is silent for this long has lost its song."""
    reap_every_s: Seconds = 5.0
    """How often leases that ran out are looked for."""
    max_failures: Annotated[int, Field(ge=1, le=100)] = 5
    """In all, per song; a busy pod and a drain do not count."""
    backoff_s: Seconds = 1.0
    """After the first failure; doubles, up to a minute."""
    render_timeout_s: Seconds = 3600.0
    """The longest that one attempt may take."""
    poll_s: Seconds = 1.0
    """How often to look when nobody tells."""
    listen: bool = True
    """Whether the database shall tell of news (LISTEN); a transaction pooler cannot."""
    migrate: bool = True
    """Whether a start brings the schema up to date; else `python -m services.gateway.migrate` does it."""
    database_connections: Annotated[int, Field(ge=2, le=1000)] = 16
    """Connections for those who ask; the workers have their own, four more than workers."""

    contract_abi_file: Path = Path("build/contracts/SongNFT.json")
    """What `node contracts/compile.mjs` wrote."""
    contract: str = ""
    """SongNFT whose mints are followed, by chain_rpc_url; none: songs never show MINTED."""
    chain_start_block: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Where following begins, the first time: the block that the contract was deployed in."""
    chain_confirmations: Annotated[int, Field(ge=0, le=10_000)] = 12
    """Blocks on top of a mint's own until the song is MINTED; until then it is PENDING."""
    chain_poll_s: Seconds = 4.0
    """How often the chain is asked for news."""
    kubo_url: SecretStr | None = None
    """http(s)://[user:password@]host:port of a Kubo node's RPC that is given every file that is saved."""
    pinning_url: str = ""
    """https://... of a service that speaks the IPFS Pinning Service API, asked to pin all that is saved."""
    pinning_token: SecretStr | None = None
    """Its access token."""
    ipfs_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated multiaddrs, /p2p/ at the end, of nodes that it can fetch from, as kubo_url's."""
    pin_poll_s: Seconds = 5.0
    """How often places that pin are asked what became of it; after failures less and less often."""

    @field_validator("cors_origins", "url_keys", "ipfs_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(p.strip() for p in value.split(",") if p.strip()) if isinstance(value, str) else value

    @field_validator("url_keys")
    @classmethod
    def _long_enough(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < SHORTEST_URL_KEY for key in keys):
            raise ValueError(f"every key has at least {SHORTEST_URL_KEY} characters")
        return keys

    @field_validator("contract")
    @classmethod
    def _with_checksum(cls, value: str) -> str:
        try:
            return checksum_address(value, "contract") if value else ""
        except InvalidField as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _watchable(self) -> Self:
        if self.contract and self.chain_rpc_url is None:
            raise ValueError("contract needs chain_rpc_url: where its mints are read")
        if self.contract and self.chain_id >= 2**32:
            raise ValueError("contract needs a chain_id below 4294967296")
        return self

    @model_validator(mode="after")
    def _pinning_whole(self) -> Self:
        if bool(self.pinning_url) != (self.pinning_token is not None):
            raise ValueError("pinning_url and pinning_token go together")
        return self

    @model_validator(mode="after")
    def _development_only(self) -> Self:
        if self.environment == "production" and self.auth == "development":
            raise ValueError("auth=development lets everyone in and is not for production")
        return self

    @model_validator(mode="after")
    def _urls_signed(self) -> Self:
        if self.environment == "production" and not self.url_keys:
            raise ValueError("production needs url_keys: each replica believes what another has signed")
        return self

    @model_validator(mode="after")
    def _webhooks_safe(self) -> Self:
        key = self.webhook_key
        if key is not None and len(key.get_secret_value()) < SHORTEST_URL_KEY:
            raise ValueError(f"webhook_key has at least {SHORTEST_URL_KEY} characters")
        if self.environment == "production" and key is None:
            raise ValueError("production needs webhook_key: replicas sign alike, and after a restart too")
        if self.environment == "production" and self.webhooks_anywhere:
            raise ValueError("webhooks_anywhere lets accounts call into your network; not for production")
        return self

    @model_validator(mode="after")
    def _callers_have_names(self) -> Self:
        if self.allowed_callers and self.grpc_tls == "off":
            raise ValueError("allowed_callers are names on certificates; it needs grpc_tls=mutual")
        return self

    @model_validator(mode="after")
    def _site_known(self) -> Self:
        if self.auth == "accounts" and not (self.site_url or self.public_url):
            raise ValueError("auth=accounts needs site_url or public_url: what wallets sign in to")
        return self

    @property
    def served_tls(self) -> TlsFiles | None:
        """None behind an ingress: those who come that way have accounts, not certificates."""
        return self.tls if self.grpc_tls == "mutual" else None

    @property
    def site(self) -> str:
        """scheme://host[:port] that wallets sign in to."""
        parts = urlsplit(self.site_url or self.public_url or f"http://{self.http_host}:{self.http_port}")
        return f"{parts.scheme}://{parts.netloc}"
