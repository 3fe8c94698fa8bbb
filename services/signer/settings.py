"""The signer's settings, read from `SIGNER_...`."""

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.common.address import checksum_address
from services.common.errors import InvalidField
from services.common.settings import Names, Port, ServiceSettings


class SignerSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SIGNER_", hide_input_in_errors=True)

    lists_callers: ClassVar[bool] = True

    grpc_port: Port = 50053
    """Port that gRPC listens on; 0 takes any free one."""
    operators: Names = ()
    """Certificate SANs that may list permits, pause and resume, comma-separated; with TLS, nobody else."""
    database_url: SecretStr
    """postgresql://... of the role `acesteps_signer`; straight to PostgreSQL, no pooler between."""
    owner_database_url: SecretStr | None = None
    """The same of the schema's owner, to migrate at the start; else `python -m services.signer.migrate`."""
    keystore_file: Path | None = None
    """Key of EIP-712 permits: an encrypted keystore, version 3 (`python -m services.signer.keys --help`)."""
    keystore_password_file: Path | None = None
    """File with the password of that keystore."""
    kms_key_id: str | None = None
    """Key of EIP-712 permits in AWS KMS instead: id, ARN or alias of an ECC_SECG_P256K1 key."""
    packed_keystore_file: Path | None = None
    """Key of packed permits, another one than that of EIP-712; without one the format is off."""
    packed_keystore_password_file: Path | None = None
    """File with the password of that keystore; goes with it."""
    packed_kms_key_id: str | None = None
    """Key of packed permits in AWS KMS instead."""
    kms_region: str | None = None
    """AWS region of the keys; without it, what AWS's own settings say."""
    kms_endpoint: str | None = None
    """URL of KMS, where it is not the region's own: a VPC endpoint, or a stand-in."""
    chain_id: Annotated[int, Field(ge=1, le=2**63 - 37)]  # EIP-2294
    """Chain of the one contract that permits are for."""
    contract: str
    """Its address, lower case or EIP-55."""
    trust_bundle_file: Path
    """Whose attestations count (`python -m services.common.trust --help`); read again when it changes."""
    trust_state_file: Path
    """Where the highest version of the bundle seen so far is kept; in a folder that outlives the process."""
    trust_least_version: Annotated[int, Field(ge=1)] = 1
    """Lowest version of the bundle to start with: for a process whose state file may be lost."""
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
    def _keys_whole(self) -> Self:
        if (self.packed_keystore_file is None) != (self.packed_keystore_password_file is None):
            raise ValueError("packed_keystore_file and packed_keystore_password_file go together")
        if (self.keystore_file is None) != (self.keystore_password_file is None):
            raise ValueError("keystore_file and keystore_password_file go together")
        if (self.keystore_file is None) == (self.kms_key_id is None):
            raise ValueError("either keystore_file or kms_key_id names the key of EIP-712 permits")
        if self.packed_keystore_file is not None and self.packed_kms_key_id is not None:
            raise ValueError(
                "either packed_keystore_file or packed_kms_key_id names the packed key, not both"
            )
        if (
            self.kms_key_id is None
            and self.packed_kms_key_id is None
            and (self.kms_region or self.kms_endpoint)
        ):
            raise ValueError("kms_region and kms_endpoint go with kms_key_id or packed_kms_key_id")
        plaintext = self.kms_endpoint is not None and not self.kms_endpoint.startswith("https://")
        if self.environment == "production" and plaintext:
            raise ValueError("production needs a kms_endpoint with https://")
        return self

    @model_validator(mode="after")
    def _operators_apart(self) -> Self:
        if self.operators and self.tls is None:
            raise ValueError("operators are names on certificates; it needs tls_cert_file")
        if both := sorted(set(self.operators) & set(self.allowed_callers)):
            raise ValueError(f"{both[0]} is in operators and in allowed_callers; who asks may not pause")
        return self
