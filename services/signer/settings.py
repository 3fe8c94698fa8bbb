"""The signer's settings, read from `SIGNER_...`."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.common.address import checksum_address
from services.common.errors import InvalidField
from services.common.settings import Port, ServiceSettings


class SignerSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SIGNER_", hide_input_in_errors=True)

    grpc_port: Port = 50053
    """Port that gRPC listens on; 0 takes any free one."""
    database_url: SecretStr
    """postgresql://... of the role `acesteps_signer`; straight to PostgreSQL, no pooler between."""
    owner_database_url: SecretStr | None = None
    """The same of the schema's owner, to migrate at the start (else: `python -m services.signer.migrate`)."""
    keystore_file: Path
    """Key of EIP-712 permits: an encrypted keystore, version 3 (`python -m services.signer.keys --help`)."""
    keystore_password_file: Path
    """File with the password of that keystore."""
    packed_keystore_file: Path | None = None
    """Key of packed permits, another one than that of EIP-712; without it the format is off."""
    packed_keystore_password_file: Path | None = None
    """File with the password of that keystore; goes with it."""
    chain_id: Annotated[int, Field(ge=1, le=2**63 - 37)]  # EIP-2294
    """Chain of the one contract that permits are for."""
    contract: str
    """Its address, lower case or EIP-55."""
    trust_bundle_file: Path
    """Whose attestations count (`python -m services.common.trust --help`); read again when it changes."""
    trust_state_file: Path
    """Where the highest version of the bundle seen so far is kept; in a folder that outlives the process."""
    permit_lifetime_s: Annotated[int, Field(ge=1, le=86_400)] = 3600
    """Seconds from an EIP-712 permit's signature to its deadline."""
    creator_daily_quota: Annotated[int, Field(ge=0, le=1_000_000_000)] = 100
    """New permits that one creator gets within 24 hours; 0: any number."""
    daily_quota: Annotated[int, Field(ge=0, le=1_000_000_000)] = 10_000
    """New permits that all creators together get within 24 hours; 0: any number."""

    @field_validator("contract")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            return checksum_address(value, "contract")
        except InvalidField as error:
            raise ValueError(f"{error.message}; expected {error.limit}") from None

    @model_validator(mode="after")
    def _packed_whole(self) -> Self:
        if (self.packed_keystore_file is None) != (self.packed_keystore_password_file is None):
            raise ValueError("packed_keystore_file and packed_keystore_password_file go together")
        return self
