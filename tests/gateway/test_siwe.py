"""Messages of EIP-4361: the published vectors, and every character that may not be there."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidField, Unauthenticated
from services.gateway.identity.signatures import require_signed
from services.gateway.identity.siwe import LONGEST_MESSAGE, parse

VECTORS = Path(__file__).with_name("siwe")
ADDRESS = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
MESSAGE = (
    f"service.org wants you to sign in with your Ethereum account:\n{ADDRESS}\n\nWelcome!\n\n"
    "URI: https://service.org/login\nVersion: 1\nChain ID: 1\nNonce: 32891757\n"
    "Issued At: 2021-09-30T16:25:24.000Z\nExpiration Time: 2031-09-30T16:25:24Z\n"
    "Not Before: 2020-09-30T16:25:24+02:00\nRequest ID: some_id\nResources:\n- ipfs://bafy\n- https://a.b/c?d#e"
)


def vectors(name: str) -> list[Any]:
    read = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    return [pytest.param(value, id=title) for title, value in read.items()]


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@pytest.mark.parametrize("vector", vectors("parsing_positive"))
def test_published_messages_are_read_as_published(vector: dict[str, Any]) -> None:
    message, fields = parse(vector["message"]), vector["fields"]
    assert (message.scheme or None) == fields.get("scheme")
    assert message.domain == fields["domain"]
    assert message.address == fields["address"]
    assert message.statement == fields.get("statement")
    assert message.uri == fields["uri"]
    assert message.chain_id == fields["chainId"]
    assert message.nonce == fields["nonce"]
    assert message.issued_at == moment(fields["issuedAt"])
    assert message.expiration_time == moment(fields.get("expirationTime"))
    assert message.not_before == moment(fields.get("notBefore"))
    assert message.request_id == fields.get("requestId")
    assert message.resources == tuple(fields.get("resources") or ())


@pytest.mark.parametrize("vector", vectors("parsing_negative"))
def test_published_malformed_messages_are_refused_by_their_part(vector: str) -> None:
    with pytest.raises(InvalidField) as refused:
        parse(vector)
    assert refused.value.reason == "MALFORMED"
    assert refused.value.field.startswith("message")
    assert refused.value.limit


def written(fields: dict[str, Any]) -> str:
    optional = {
        "Expiration Time": fields.get("expirationTime"),
        "Not Before": fields.get("notBefore"),
        "Request ID": fields.get("requestId"),
    }
    return (
        f"{fields['domain']} wants you to sign in with your Ethereum account:\n{fields['address']}\n\n"
        f"{fields['statement']}\n\nURI: {fields['uri']}\nVersion: {fields['version']}\n"
        f"Chain ID: {fields['chainId']}\nNonce: {fields['nonce']}\nIssued At: {fields['issuedAt']}"
    ) + "".join(f"\n{label}: {value}" for label, value in optional.items() if value)


@pytest.mark.parametrize("vector", vectors("verification_positive"))
async def test_published_signatures_are_their_wallets(vector: dict[str, Any]) -> None:
    text = written(vector)
    assert parse(text).address == vector["address"]
    await require_signed(text, vector["address"], bytes.fromhex(vector["signature"][2:]), None)


@pytest.mark.parametrize("name", ["malformed signature", "wrong signature"])
async def test_published_false_signatures_are_refused(name: str) -> None:
    vector = json.loads((VECTORS / "verification_negative.json").read_text("utf-8"))[name]
    digits = vector["signature"].removeprefix("0x")
    signature = bytes.fromhex(digits[: len(digits) // 2 * 2])
    with pytest.raises(Unauthenticated) as refused:
        await require_signed(written(vector), vector["address"], signature, None)
    assert refused.value.reason == "SIGNATURE_INVALID"


@pytest.mark.parametrize("name", ["invalid issuedAt", "invalid notBefore", "invalid expirationTime"])
def test_days_that_no_month_has_are_refused(name: str) -> None:
    vector = json.loads((VECTORS / "verification_negative.json").read_text("utf-8"))[name]
    with pytest.raises(InvalidField) as refused:
        parse(written(vector))
    assert refused.value.reason == "MALFORMED"


def test_all_parts_of_a_message_are_read() -> None:
    message = parse(MESSAGE)
    assert (message.statement, message.request_id) == ("Welcome!", "some_id")
    assert message.resources == ("ipfs://bafy", "https://a.b/c?d#e")


@given(st.integers(0, len(MESSAGE)), st.sampled_from(["\n", "\r", "\x00", "\u2028", "ä", "\t", "\n\n", "<"]))
def test_no_character_that_does_not_belong_goes_unseen(place: int, strange: str) -> None:
    with pytest.raises(InvalidField) as refused:
        parse(MESSAGE[:place] + strange + MESSAGE[place:])
    assert refused.value.reason == "MALFORMED"


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except InvalidField as error:
        refused = error
    else:
        return
    assert refused.field.startswith("message")


def test_a_long_message_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidField) as refused:
        parse(MESSAGE + "\n- https://a.b" * LONGEST_MESSAGE)
    assert (refused.value.reason, refused.value.field) == ("TOO_LONG", "message")
