"""The order of checks on an envelope: each is made only when those before it have passed.

Every case breaks one check and all that come later; the refusal names the first.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.common.provenance import PAYLOAD_TYPE, AttestationKey, SongStatement
from services.common.trust import AttestationRefused, TrustBundle, verification, verify
from tests.common.test_provenance import KEY, NOW, STATEMENT, signed, trusted

FUTURE = replace(STATEMENT, finished_at=NOW + timedelta(days=3), engine="upload")
LATE = replace(STATEMENT, finished_at=NOW - timedelta(minutes=1), started_at=NOW - timedelta(hours=1))

_NOT_JSON = b'{"_type": not json'
_BAD_SIGNATURE = base64.b64encode(b"\0" * 64).decode()


def envelope(payload: bytes, **changes: Any) -> bytes:
    return json.dumps(signed(payload) | changes).encode()


def by(key_id: str, signature: str = _BAD_SIGNATURE) -> list[dict[str, str]]:
    return [{"keyid": key_id, "sig": signature}]


STRANGER = AttestationKey.new().key_id

# name of the check → (what breaks it and all later ones, reason, words)
IN_ORDER: Mapping[str, tuple[bytes, str, str]] = {
    "size": (
        envelope(_NOT_JSON + b" " * 70_000, payloadType="text/plain", signatures=by(STRANGER)),
        "ATTESTATION_INVALID",
        "more than 65536",
    ),
    "payload_type": (
        envelope(_NOT_JSON, payloadType="text/plain", signatures=by(STRANGER)),
        "ATTESTATION_INVALID",
        "payload type",
    ),
    "key_known": (envelope(_NOT_JSON, signatures=by(STRANGER)), "KEY_UNKNOWN", "not in the bundle"),
    "signature": (envelope(_NOT_JSON, signatures=by(KEY.key_id)), "ATTESTATION_INVALID", "signature"),
    "parse": (envelope(_NOT_JSON), "ATTESTATION_INVALID", "malformed"),
    "unknown_field": (
        envelope(FUTURE.to_json().replace(b'"seed"', b'"more":1,"seed"')),
        "ATTESTATION_INVALID",
        "unknown field 'more'",
    ),
    "future": (envelope(FUTURE.to_json()), "ATTESTATION_INVALID", "in the future"),
    "window": (envelope(replace(LATE, engine="upload").to_json()), "KEY_EXPIRED", "outside"),
    "policy": (
        envelope(replace(STATEMENT, engine="upload").to_json()),
        "ENGINE_NOT_ALLOWED",
        "engine 'upload'",
    ),
}


@pytest.mark.parametrize(("data", "reason", "words"), IN_ORDER.values(), ids=IN_ORDER.keys())
def test_the_first_check_that_fails_is_the_one_that_refuses(data: bytes, reason: str, words: str) -> None:
    since = NOW - timedelta(seconds=30)  # after `LATE`, before `STATEMENT`
    bundle = TrustBundle(version=1, keys=(trusted(not_before=since),))
    with pytest.raises(AttestationRefused, match=words) as refused:
        verify(data, bundle, NOW)
    assert refused.value.reason == reason


def test_no_payload_is_parsed_before_its_signature_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(payload: bytes) -> SongStatement:
        raise AssertionError("parsed")

    monkeypatch.setattr(verification.SongStatement, "from_json", parse)
    bundle = TrustBundle(version=1, keys=(trusted(),))
    for name in ("size", "payload_type", "key_known", "signature"):
        with pytest.raises(AttestationRefused):
            verify(IN_ORDER[name][0], bundle, NOW)
    with pytest.raises(AssertionError, match="parsed"):
        verify(envelope(STATEMENT.to_json()), bundle, NOW)


def test_what_is_signed_is_the_raw_payload_with_its_type() -> None:
    other_type = json.loads(envelope(STATEMENT.to_json()))
    signature_of_text = signed(STATEMENT.to_json(), "text/plain")["signatures"]
    data = json.dumps(other_type | {"payloadType": PAYLOAD_TYPE, "signatures": signature_of_text}).encode()
    with pytest.raises(AttestationRefused, match="signature does not fit"):
        verify(data, TrustBundle(version=1, keys=(trusted(),)), NOW)
