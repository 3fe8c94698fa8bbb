"""Bytes that nobody would write by hand: whatever comes in, the only way out is a statement or a refusal."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.provenance import SongStatement, attest, strict_json
from services.common.trust import AttestationRefused, TrustBundle, verify
from tests.common.test_provenance import KEY, NOW, STATEMENT, altered, signed, trusted

BUNDLE = TrustBundle(version=1, keys=(trusted(),))
ENVELOPE = attest(STATEMENT, KEY)
PAYLOAD = STATEMENT.to_json()

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)  # half surrogates too
    | st.sampled_from([10**400, "0001-01-01T00:00:00+23:59", "\ud800", "9999-12-31T23:59:59.999999-23:59"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Some bytes of `data` replaced, taken away, or put in twice."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(out)))
        until = min(len(out), at + draw(st.integers(0, 12)))
        out[at:until] = draw(st.binary(max_size=12) | st.just(bytes(out[at:until]) * 2))
    return bytes(out)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, below in inner for path in paths(below, (*prefix, key)))]


@st.composite
def changed(draw: st.DrawFn, document: Any) -> bytes:
    """`document` with a value of another kind somewhere in it."""
    copy = json.loads(json.dumps(document))
    *above, last = draw(st.sampled_from(paths(copy)[1:]))
    inside = copy
    for key in above:
        inside = inside[key]
    inside[last] = draw(VALUES)
    return json.dumps(copy).encode()


def statement_or_refusal(envelope: bytes) -> None:
    try:
        assert isinstance(verify(envelope, BUNDLE, NOW), SongStatement)
    except AttestationRefused as refusal:
        str(refusal).encode()  # goes into a status


@settings(max_examples=150, deadline=None)
@given(mutated(ENVELOPE) | changed(json.loads(ENVELOPE)) | st.binary(max_size=60))
def test_a_mutated_envelope_is_refused_and_nothing_else(envelope: bytes) -> None:
    statement_or_refusal(envelope)


@settings(max_examples=200, deadline=None)
@given(mutated(PAYLOAD) | changed(json.loads(PAYLOAD)))
def test_a_mutated_statement_under_a_good_signature_is_refused_and_nothing_else(payload: bytes) -> None:
    statement_or_refusal(json.dumps(signed(payload)).encode())


@settings(max_examples=150, deadline=None)
@given(mutated(BUNDLE.model_dump_json().encode()) | changed(json.loads(BUNDLE.model_dump_json())))
def test_a_mutated_bundle_is_a_bundle_or_a_value_error(data: bytes) -> None:
    try:
        bundle = TrustBundle.parse(data)
    except ValueError as error:
        str(error).encode()
    else:
        for envelope in (ENVELOPE, json.dumps(signed(PAYLOAD)).encode()):
            try:
                verify(envelope, bundle, NOW)
            except AttestationRefused as refusal:
                str(refusal).encode()


@settings(max_examples=150, deadline=None)
@given(
    mutated(b'{"name":"\\u00e9","x":[{"y":1.5}],"z":{"a":null}}')
    | VALUES.map(lambda v: json.dumps(v).encode())
)
def test_strict_json_gives_an_object_that_can_be_written_again_or_a_value_error(data: bytes) -> None:
    try:
        value = strict_json(data)
    except ValueError as error:
        str(error).encode()
    else:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    "change",
    [
        {"duration_s": 10**400},
        {"seed": "\ud800"},
        {"engine": "\ud800"},
        {"started_at": "0001-01-01T00:00:00.000000+23:59"},
        {"finished_at": "9999-12-31T23:59:59.999999-23:59"},
    ],
)
def test_values_that_python_takes_and_json_should_not_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(AttestationRefused, match="malformed"):
        verify(altered(**change), BUNDLE, NOW)


@pytest.mark.parametrize(
    "data", [b'{"x":1e999}', b'{"x":"\\ud800"}', b'{"x":"\\uDC00\\ud800"}', b'{"\\ud83d":1}']
)
def test_numbers_without_end_and_half_surrogates_are_not_json(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"too large|surrogate"):
        strict_json(data)


def test_a_whole_surrogate_pair_is_a_letter_like_any_other() -> None:
    assert strict_json(b'{"x":"\\ud83c\\udfb5"}') == {"x": "🎵"}
