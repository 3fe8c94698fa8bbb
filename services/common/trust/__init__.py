"""Whose word counts: the bundle of attestation keys, and the verification of envelopes against it.

Knows no policy about minting; that is the signer's.
"""

from services.common.trust.bundle import TrustBundle, TrustedKey
from services.common.trust.chain import chain_complaint
from services.common.trust.store import TrustStore
from services.common.trust.verification import AttestationRefused, open_envelope, verify

__all__ = [
    "AttestationRefused",
    "TrustBundle",
    "TrustStore",
    "TrustedKey",
    "chain_complaint",
    "open_envelope",
    "verify",
]
