"""Envelopes: what counts, what does not and in which order, and that independent checkers agree."""

import base64
import json
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from services.common.provenance import (
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    AttestationKey,
    SongStatement,
    attest,
    pre_authentication_encoding,
    strict_json,
    version_digest,
)
from services.common.trust import AttestationRefused, TrustBundle, TrustedKey, TrustStore, verify
from services.common.trust.__main__ import main as trust_cli

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = AttestationKey.new()

STATEMENT = SongStatement(
    song_id="0b0f4f0e-0000-4000-8000-000000000001",
    audio_sha256=b"\x01" * 32,
    audio_cid="bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu",
    pcm_sha256=b"\x02" * 32,
    state_sha256=b"\x03" * 32,
    task="text2music",
    source_audio_sha256=None,
    engine="sketch",
    engine_version="1",
    weights_digest=version_digest("1"),
    request_digest="ab" * 32,
    creator_address="0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    media_type="audio/mpeg",
    audio_bytes=1_200_000,
    duration_s=30.0,
    seed=7,
    started_at=NOW - timedelta(seconds=3),
    finished_at=NOW - timedelta(seconds=1),
    pod_id="music-0",
)


def trusted(key: AttestationKey = KEY, **changes: Any) -> TrustedKey:
    fields: dict[str, Any] = {
        "key_id": key.key_id,
        "public_key": base64.b64encode(key.public_key).decode(),
        "not_before": NOW - timedelta(days=1),
        "not_after": NOW + timedelta(days=1),
        "engines": ("sketch",),
        "weights_digests": (version_digest("1"),),
        "tasks": ("text2music",),
    }
    return TrustedKey(**fields | changes)


def bundle(**changes: Any) -> TrustBundle:
    return TrustBundle(version=1, keys=(trusted(**changes),))


def signed(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
    signature = KEY.sign(pre_authentication_encoding(payload_type, payload))
    return {
        "payloadType": payload_type,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": KEY.key_id, "sig": base64.b64encode(signature).decode()}],
    }


def altered(**predicate: Any) -> bytes:
    fields = json.loads(STATEMENT.to_json())
    fields["predicate"].update(predicate)
    return json.dumps(signed(json.dumps(fields).encode())).encode()


def test_an_attested_statement_comes_back_whole() -> None:
    assert verify(attest(STATEMENT, KEY), bundle(), NOW) == STATEMENT


def test_independent_libraries_verify_the_same_envelope() -> None:
    envelope = Envelope.from_dict(json.loads(attest(STATEMENT, KEY)))
    key = SSlibKey(KEY.key_id, "ed25519", "ed25519", {"public": KEY.public_key.hex()})
    assert set(envelope.verify([key], threshold=1)) == {KEY.key_id}
    statement = Statement.copy_from_pb(_statement_pb(envelope.payload))
    statement.validate()
    assert statement.pb.predicate_type == PREDICATE_TYPE
    assert statement.pb.subject[0].digest["sha256"] == STATEMENT.audio_sha256.hex()


def _statement_pb(payload: bytes) -> Any:
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2

    return json_format.Parse(payload, statement_pb2.Statement())


def refusal(envelope: bytes, trust: TrustBundle, now: datetime = NOW) -> str:
    with pytest.raises(AttestationRefused) as caught:
        verify(envelope, trust, now)
    return caught.value.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"engines": ("acestep",)}, "ENGINE_NOT_ALLOWED"),
        ({"tasks": ("repaint",)}, "TASK_NOT_ALLOWED"),
        ({"weights_digests": ("0" * 64,)}, "WEIGHTS_NOT_ALLOWED"),
        ({"not_after": NOW - timedelta(seconds=2)}, "KEY_EXPIRED"),
        ({"not_before": NOW}, "KEY_EXPIRED"),
        ({"revoked_at": NOW}, "KEY_REVOKED"),
    ],
)
def test_a_key_counts_only_in_its_window_and_for_its_scope(changes: dict[str, Any], reason: str) -> None:
    assert refusal(attest(STATEMENT, KEY), bundle(**changes)) == reason


def test_a_revoked_key_cannot_backdate() -> None:
    early = replace(STATEMENT, started_at=NOW - timedelta(hours=9), finished_at=NOW - timedelta(hours=8))
    assert refusal(attest(early, KEY), bundle(revoked_at=NOW - timedelta(hours=1))) == "KEY_REVOKED"


def test_an_adapter_counts_only_when_the_key_may_attest_it() -> None:
    adapted = attest(replace(STATEMENT, adapter_digests=("aa" * 32,)), KEY)
    assert refusal(adapted, bundle()) == "ADAPTER_NOT_ALLOWED"
    assert verify(adapted, bundle(adapter_digests=("aa" * 32,)), NOW).adapter_digests == ("aa" * 32,)


def test_an_unknown_key_is_refused_before_its_payload_is_read() -> None:
    stranger = AttestationKey.new()
    envelope = json.loads(attest(STATEMENT, stranger))
    envelope["payload"] = base64.b64encode(b"not even json").decode()
    assert refusal(json.dumps(envelope).encode(), bundle()) == "KEY_UNKNOWN"


def test_a_song_from_the_future_is_refused() -> None:
    assert refusal(attest(STATEMENT, KEY), bundle(), NOW - timedelta(minutes=1)) == "ATTESTATION_INVALID"


SIGNED = signed(STATEMENT.to_json())


def _flip(text: str) -> str:
    return ("B" if text[20] == "A" else "A").join((text[:20], text[21:]))


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"[]",
        b"{}",
        b'{"a":1,"a":1}',
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps(signed(STATEMENT.to_json(), "text/plain")).encode(),
        json.dumps(SIGNED | {"extra": 1}).encode(),
        json.dumps(SIGNED | {"signatures": []}).encode(),
        json.dumps(SIGNED | {"payload": _flip(SIGNED["payload"])}).encode(),
        json.dumps(signed(b" " * 70_000)).encode(),
        altered(extra=1),
        altered(seed=True),
        altered(seed="7"),
        altered(pcm_sha256="00"),
        altered(pcm_sha256="AB" * 32),
        altered(finished_at="2026-11-22T12:00:00"),
        altered(adapter_digests=[1]),
        json.dumps(signed(STATEMENT.to_json().replace(b'"seed":7', b'"seed":7,"seed":8'))).encode(),
    ],
)  # fmt: skip
def test_a_malformed_or_altered_envelope_is_invalid(envelope: bytes) -> None:
    assert refusal(envelope, bundle()) == "ATTESTATION_INVALID"


def test_a_bundle_is_reloaded_but_never_rolled_back(tmp_path: Path) -> None:
    path, state = tmp_path / "bundle.json", tmp_path / "seen.json"
    TrustBundle(version=3, keys=()).save(path)
    store = TrustStore(path, state)
    TrustBundle(version=4, keys=(trusted(),)).save(path)
    assert store.bundle().version == 4
    TrustBundle(version=3, keys=()).save(path)
    assert store.bundle().version == 4
    path.write_text("{")
    assert store.bundle().version == 4
    TrustBundle(version=3, keys=()).save(path)
    with pytest.raises(ValueError, match="older than 4"):
        TrustStore(path, state)


def test_keys_and_bundles_are_made_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key_file, path = tmp_path / "pod.pem", tmp_path / "bundle.json"
    assert trust_cli(["new-key", "--out", str(key_file)]) == 0
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert trust_cli(["new-key", "--out", str(key_file)]) == 1  # never overwritten
    add = ["bundle", "--bundle", str(path), "--key", str(key_file), "--engine", "sketch"]
    assert trust_cli([*add, "--task", "text2music", "--weights-digest", version_digest("1")]) == 0
    key = AttestationKey.load(key_file)
    now = datetime.now(UTC)
    statement = replace(STATEMENT, started_at=now, finished_at=now)
    assert verify(attest(statement, key), TrustBundle.parse(path.read_bytes()), now) == statement
    assert trust_cli(["revoke", "--bundle", str(path), "--key-id", key.key_id]) == 0
    assert (
        refusal(attest(statement, key), TrustBundle.parse(path.read_bytes()), datetime.now(UTC))
        == "KEY_REVOKED"
    )
    assert trust_cli(["revoke", "--bundle", str(path), "--key-id", "0" * 64]) == 1
    assert "no key" in capsys.readouterr().err


def test_a_private_key_does_not_show_in_its_repr() -> None:
    assert "private" not in repr(KEY).lower()


def test_an_encrypted_key_is_a_value_error_like_any_other_wrong_file(tmp_path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (tmp_path / "key.pem").write_bytes(pem)
    with pytest.raises(ValueError, match="no unencrypted Ed25519 key"):
        AttestationKey.load(tmp_path / "key.pem")


@pytest.mark.parametrize("depth", [65, 1000, 100_000])
@pytest.mark.parametrize(
    ("before", "after"), [("[", "]"), ('{"a":', "}"), ('["]]]]",', "]"), ('["\\\\",', "1]")]
)
def test_deep_nesting_is_refused_whatever_the_recursion_limit(before: str, after: str, depth: int) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        with pytest.raises(ValueError, match="nested too deep"):
            strict_json(f'{{"x":{before * depth}1{after * depth}}}'.encode())
        with pytest.raises(ValueError, match="nested too deep"):
            strict_json(f'{{"x":{before * depth}'.encode())
    finally:
        sys.setrecursionlimit(limit)


def test_brackets_in_strings_are_no_nesting_and_no_input_is_scanned_twice() -> None:
    assert strict_json(b'{"x":"' + b"[" * 1000 + b'","y":' + b"[" * 63 + b"]" * 63 + b"}")["y"]
    begun = time.perf_counter()
    for hostile in (
        b'{"x":' + b'"\\"' * 80_000,
        b'"\\"' * 80_000 + b"[" * 9,
        b"[]" * 120_000,
        b'"' * 250_000,
    ):
        with pytest.raises(ValueError, match=r"delimiter|double quotes|Extra data|nested"):
            strict_json(hostile + b"[" * 65 + b"\\")
    assert time.perf_counter() - begun < 2.0
