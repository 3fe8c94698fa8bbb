"""Pages of lists: how long one is, and where the next begins, as an opaque text.

A token holds the last entry's moment and id, and which list it is of. It grants nothing: every page is the
caller's own.
"""

import base64
import hashlib
import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.common.errors import InvalidField

DEFAULT_PAGE, LARGEST_PAGE = 20, 100

# version, microseconds since the epoch, id, list
_FORM = struct.Struct(">Bq16s8s")
_VERSION = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def page_size_of(asked: int) -> int:
    """Raises InvalidField (OUT_OF_RANGE)."""
    if asked > LARGEST_PAGE:
        raise InvalidField("OUT_OF_RANGE", "page_size", f"page_size is {asked}", limit=f"1 to {LARGEST_PAGE}")
    return asked or DEFAULT_PAGE


def page_token(moment: datetime, entry_id: UUID, of: bytes) -> str:
    """`of`: what tells the list from others, such as its filters."""
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    data = _FORM.pack(_VERSION, micros, entry_id.bytes, _digest(of))
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def read_page_token(token: str, of: bytes) -> tuple[datetime, UUID]:
    """(moment, id) of the last entry of the page before.

    Raises:
        InvalidField: MALFORMED, not a token of ours, or one of another list.
    """
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, micros, entry_id, digest = _FORM.unpack(data)
        if version != _VERSION or digest != _digest(of):
            raise ValueError("another version, or another list")
        return _EPOCH + timedelta(microseconds=micros), UUID(bytes=entry_id)
    except (ValueError, OverflowError, struct.error) as error:
        raise InvalidField(
            "MALFORMED",
            "page_token",
            "page_token is not one of this list",
            limit="next_page_token of a page, with the same filters",
        ) from error


def _digest(of: bytes) -> bytes:
    return hashlib.sha256(of).digest()[:8]
