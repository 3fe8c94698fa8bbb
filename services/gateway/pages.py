"""Page tokens: where the next page of a list begins, as an opaque text.

A token holds the last song's creation time and id. It grants nothing: every page is the account's own.
"""

import base64
import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.common.errors import InvalidField

# version, microseconds since the epoch, id
_FORM = struct.Struct(">Bq16s")
_VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def page_token(created_at: datetime, song_id: UUID) -> str:
    micros = (created_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(_FORM.pack(_VERSION, micros, song_id.bytes)).decode().rstrip("=")


def read_page_token(token: str) -> tuple[datetime, UUID]:
    """(creation time, id) of the last song of the page before.

    Raises:
        InvalidField: MALFORMED, not a token of ours.
    """
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, micros, song_id = _FORM.unpack(data)
        if version != _VERSION:
            raise ValueError("another version")
        return _EPOCH + timedelta(microseconds=micros), UUID(bytes=song_id)
    except (ValueError, OverflowError, struct.error) as error:
        raise InvalidField(
            "MALFORMED", "page_token", "page_token is not one of ours", limit="next_page_token of a page"
        ) from error
