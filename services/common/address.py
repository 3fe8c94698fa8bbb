"""Ethereum addresses as people type them, checked before anything is done with them (EIP-55).

Knows nothing of chains, balances or contracts.
"""

import re
from functools import lru_cache

from eth_utils.address import is_checksum_address, to_checksum_address

from services.common.errors import InvalidField

_FORM = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_LIMIT = '"0x" and 40 hex digits, lower case or with the EIP-55 checksum'


# The same few contracts and wallets come again and again, and keccak in Python is slow.
@lru_cache(maxsize=4096)
def checksum_address(text: str, field: str) -> str:
    """The EIP-55 form of `text`.

    Raises:
        InvalidField: MALFORMED for another form, a wrong checksum or the zero address, which owns nothing.
    """
    if not _FORM.fullmatch(text):
        raise InvalidField("MALFORMED", field, f"{field} is not an Ethereum address", limit=_LIMIT)
    if text != text.lower() and not is_checksum_address(text):
        raise InvalidField("MALFORMED", field, f"{field} has a wrong EIP-55 checksum", limit=_LIMIT)
    if int(text, 16) == 0:
        raise InvalidField("MALFORMED", field, f"{field} is the zero address", limit=_LIMIT)
    return str(to_checksum_address(text))
