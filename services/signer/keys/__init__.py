"""Signing keys behind one interface; `python -m services.signer.keys` makes, shows and rotates them.

Knows secp256k1 digests and addresses; knows no permit, no rule and no ledger. A secret never leaves this
package: not by repr, log, error, pickle or core dump.
"""

from services.signer.keys.kms import KmsKey
from services.signer.keys.memory import forbid_core_dumps
from services.signer.keys.signing import (
    KEY_UNAVAILABLE,
    KeyOpenError,
    KeystoreKey,
    SignatureDefect,
    SigningKey,
    checksummed,
    recover,
    sign_checked,
)

__all__ = [
    "KEY_UNAVAILABLE",
    "KeyOpenError",
    "KeystoreKey",
    "KmsKey",
    "SignatureDefect",
    "SigningKey",
    "checksummed",
    "forbid_core_dumps",
    "recover",
    "sign_checked",
]
