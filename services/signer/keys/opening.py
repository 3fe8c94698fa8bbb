"""The keys that the settings name, one per format of permits."""

from pathlib import Path

from services.common.server import StartError
from services.signer.keys.kms import KmsKey
from services.signer.keys.signing import KeyOpenError, KeystoreKey, SigningKey
from services.signer.keystore import KeystoreError
from services.signer.request import PermitFormat
from services.signer.settings import SignerSettings


def open_keys(settings: SignerSettings) -> dict[PermitFormat, SigningKey]:
    """One key per format. A packed permit names no contract, so its key must be good for nothing else.

    Raises:
        StartError: when one cannot be used, or both are one.
    """
    sources = {
        PermitFormat.EIP712: (
            settings.keystore_file,
            settings.keystore_password_file,
            settings.kms_key_id,
        ),
        PermitFormat.PACKED: (
            settings.packed_keystore_file,
            settings.packed_keystore_password_file,
            settings.packed_kms_key_id,
        ),
    }
    try:
        opened = {format_: _open(settings, *source) for format_, source in sources.items()}
    except (KeystoreError, KeyOpenError) as error:
        raise StartError(str(error)) from error
    keys = {format_: key for format_, key in opened.items() if key is not None}
    if len({key.address for key in keys.values()}) != len(keys):
        raise StartError("the packed key is the key of EIP-712 permits; make another one")
    return keys


def _open(
    settings: SignerSettings, keystore: Path | None, password_file: Path | None, kms_key_id: str | None
) -> SigningKey | None:
    if kms_key_id:
        return KmsKey.open(kms_key_id, region=settings.kms_region, endpoint=settings.kms_endpoint)
    if keystore and password_file:
        return KeystoreKey.load(keystore, password_file)
    return None
