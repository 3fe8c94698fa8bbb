"""One envelope against one bundle, in the order that gives an attacker the least to work with.

Size, payload type, key known, signature, and only then the payload is parsed; then time, then policy.
"""

import base64
import binascii
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature

from services.common.provenance import (
    PAYLOAD_TYPE,
    SongStatement,
    pre_authentication_encoding,
    strict_json,
    verify_signature,
)
from services.common.trust.bundle import TrustBundle, TrustedKey

MAX_ENVELOPE_BYTES = 64 * 1024
# Clocks of two machines of one cluster may differ by this much.
CLOCK_SKEW = timedelta(seconds=5)


class AttestationRefused(Exception):
    """Why an envelope does not count. `reason` is stable; the message is for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def verify(envelope: bytes, bundle: TrustBundle, now: datetime) -> SongStatement:
    """The statement inside an envelope that counts.

    Raises:
        AttestationRefused: ATTESTATION_INVALID, KEY_UNKNOWN, KEY_REVOKED, KEY_EXPIRED, ENGINE_NOT_ALLOWED,
            TASK_NOT_ALLOWED, WEIGHTS_NOT_ALLOWED or ADAPTER_NOT_ALLOWED.
    """
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise _invalid(f"the envelope has {len(envelope)} bytes, more than {MAX_ENVELOPE_BYTES}")
    payload, key_id, signature = open_envelope(envelope)
    key = bundle.by_id().get(key_id)
    if key is None:
        raise AttestationRefused("KEY_UNKNOWN", "the envelope is signed with a key that is not in the bundle")
    try:
        verify_signature(key.public_key_bytes, signature, pre_authentication_encoding(PAYLOAD_TYPE, payload))
    except InvalidSignature as error:
        raise _invalid("the signature does not fit the payload") from error
    try:
        statement = SongStatement.from_json(payload)
    except ValueError as error:
        raise _invalid(f"the statement is malformed: {error}") from error
    _check_time(statement, key, now)
    _check_scope(statement, key)
    return statement


def open_envelope(envelope: bytes) -> tuple[bytes, str, bytes]:
    """(payload, key id, signature) of a DSSE envelope with exactly one signature, none of it proven.

    Raises:
        AttestationRefused: ATTESTATION_INVALID.
    """
    try:
        fields = strict_json(envelope)
        if set(fields) != {"payloadType", "payload", "signatures"}:
            raise ValueError("fields other than payloadType, payload and signatures")
        if fields["payloadType"] != PAYLOAD_TYPE:
            raise ValueError(f"payload type is not {PAYLOAD_TYPE}")
        (entry,) = fields["signatures"]
        if set(entry) != {"keyid", "sig"} or not isinstance(entry["keyid"], str):
            raise ValueError("a signature has fields other than keyid and sig")
        payload = base64.b64decode(fields["payload"], validate=True)
        return payload, entry["keyid"], base64.b64decode(entry["sig"], validate=True)
    except (ValueError, TypeError, binascii.Error) as error:
        raise _invalid(f"the envelope is malformed: {error}") from error


def _check_time(statement: SongStatement, key: TrustedKey, now: datetime) -> None:
    if key.revoked(now):
        raise AttestationRefused("KEY_REVOKED", f"the key was revoked at {key.revoked_at}")
    if statement.finished_at > now + CLOCK_SKEW:
        raise _invalid("the song was finished in the future")
    if statement.started_at > statement.finished_at:
        raise _invalid("the song was finished before it was started")
    if not key.not_before <= statement.finished_at < key.not_after:
        raise AttestationRefused("KEY_EXPIRED", "the song was finished outside the key's validity")


def _check_scope(statement: SongStatement, key: TrustedKey) -> None:
    if statement.engine not in key.engines:
        raise AttestationRefused("ENGINE_NOT_ALLOWED", f"the key may not attest engine {statement.engine!r}")
    if statement.task not in key.tasks:
        raise AttestationRefused("TASK_NOT_ALLOWED", f"the key may not attest task {statement.task!r}")
    if statement.weights_digest not in key.weights_digests:
        raise AttestationRefused("WEIGHTS_NOT_ALLOWED", "the key may not attest these weights")
    if not set(statement.adapter_digests) <= set(key.adapter_digests):
        raise AttestationRefused("ADAPTER_NOT_ALLOWED", "the key may not attest one of the adapters")


def _invalid(message: str) -> AttestationRefused:
    return AttestationRefused("ATTESTATION_INVALID", message)
