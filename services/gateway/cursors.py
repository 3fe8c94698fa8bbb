"""What a watcher of a batch has seen, as an opaque text: each song's last revision.

With all of them nothing is missed, in whatever order the changes were committed. Grants nothing.
"""

import base64
import struct
from collections.abc import Mapping
from uuid import UUID

from services.common.errors import InvalidField

# version, batch; then a revision for each song from the first to the last that was seen, 0 for none
_HEAD = struct.Struct(">B16s")
_REVISION = struct.Struct(">I")
_VERSION = 1
# A song's index has to fit.
LONGEST = 2048


def cursor_of(seen: Mapping[int, int], batch_id: UUID) -> str:
    """`seen`: revisions by the song's index in the batch."""
    revisions = (_REVISION.pack(seen.get(index, 0)) for index in range(max(seen, default=-1) + 1))
    data = _HEAD.pack(_VERSION, batch_id.bytes) + b"".join(revisions)
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def read_cursor(cursor: str, batch_id: UUID) -> dict[int, int]:
    """The revisions seen; none for an empty cursor.

    Raises:
        InvalidField: MALFORMED, not a cursor of ours, or one of another batch.
    """
    if not cursor:
        return {}
    try:
        if len(cursor) > LONGEST:
            raise ValueError("too long")
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if _HEAD.unpack(data[: _HEAD.size]) != (_VERSION, batch_id.bytes):
            raise ValueError("another version, or another batch")
        revisions = (revision for (revision,) in _REVISION.iter_unpack(data[_HEAD.size :]))
        return {index: revision for index, revision in enumerate(revisions) if revision}
    except (ValueError, struct.error) as error:
        limit = "the cursor of an event of this batch"
        message = "cursor is not one of this batch"
        raise InvalidField("MALFORMED", "cursor", message, limit=limit) from error
