"""Addresses as people type them. Checksummed examples are those of EIP-55."""

import pytest

from services.common.address import checksum_address
from services.common.errors import InvalidField

EIP55 = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.mark.parametrize("text", [EIP55, EIP55.lower(), "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"])
def test_lower_case_and_checksummed_addresses_are_taken(text: str) -> None:
    assert checksum_address(text, "to").lower() == text.lower()
    assert checksum_address(text.lower(), "to") == checksum_address(text, "to")


@pytest.mark.parametrize(
    "text",
    ["", "0x", EIP55[2:], EIP55[:-1], EIP55 + "0", EIP55.swapcase(), "0x" + EIP55[2:].upper(),
     "0x" + "0" * 40, EIP55 + "\n", "0x" + "g" * 40, "0x" + "٣" * 40],
)  # fmt: skip
def test_anything_else_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(InvalidField) as caught:
        checksum_address(text, "creator_address")
    assert (caught.value.field, caught.value.reason) == ("creator_address", "MALFORMED")
    assert "40 hex digits" in caught.value.limit
