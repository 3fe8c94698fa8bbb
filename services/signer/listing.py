"""`ListPermits` as messages: which lines of the audit are asked for, and how one is told.

Knows both shapes and the limits of a question; knows no table.
"""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from acesteps.signer.v1 import signer_service_pb2 as pb
from services.common.errors import InvalidField
from services.signer.audit import DEFAULT_PAGE, MAX_PAGE, Filter, Verdict, Written
from services.signer.keys import checksummed
from services.signer.request import PermitFormat, address_bytes, hash_bytes

_VERDICTS = {
    pb.VERDICT_UNSPECIFIED: None,
    pb.VERDICT_PERMITTED: Verdict.PERMITTED,
    pb.VERDICT_REPEATED: Verdict.REPEATED,
    pb.VERDICT_REFUSED: Verdict.REFUSED,
}
_VERDICT_NUMBERS = {verdict: number for number, verdict in _VERDICTS.items()}
_FORMAT_NUMBERS = {
    None: pb.PERMIT_FORMAT_UNSPECIFIED,
    PermitFormat.EIP712: pb.PERMIT_FORMAT_EIP712,
    PermitFormat.PACKED: pb.PERMIT_FORMAT_PACKED,
}


def read(message: pb.ListPermitsRequest) -> tuple[Filter, int]:
    """Which lines, and how many on a page.

    Raises:
        InvalidField: OUT_OF_RANGE page_size, UNKNOWN_VALUE verdict, or a malformed filter.
    """
    if message.page_size > MAX_PAGE:
        text = f"page_size is {message.page_size}, more than {MAX_PAGE}"
        raise InvalidField("OUT_OF_RANGE", "page_size", text, limit=f"1 to {MAX_PAGE}")
    if message.verdict not in _VERDICTS:
        text = f"verdict {message.verdict} is not known"
        raise InvalidField("UNKNOWN_VALUE", "verdict", text, limit="one of the enum Verdict")
    which = Filter(
        audio_hash=hash_bytes(message.audio_hash, "audio_hash") if message.audio_hash else None,
        to=address_bytes(message.to, "to") if message.to else None,
        verdict=_VERDICTS[message.verdict],
        since=_moment(message.since, "since") if message.HasField("since") else None,
        until=_moment(message.until, "until") if message.HasField("until") else None,
    )
    return which, message.page_size or DEFAULT_PAGE


def entry(written: Written) -> pb.AuditEntry:
    line, asked = written.line, written.line.asked
    return pb.AuditEntry(
        id=written.id,
        time=timestamp(written.at),
        caller=line.caller,
        verdict=_VERDICT_NUMBERS[line.verdict],
        reason=line.reason or "",
        rule=line.rule or "",
        audio_hash=asked.audio_hash or b"",
        to=_address(asked.to),
        metadata_uri=asked.metadata_uri or "",
        format=_FORMAT_NUMBERS[asked.format],
        chain_id=asked.chain_id or 0,
        contract=_address(asked.contract),
        song_id=line.song_id or "",
        signer=_address(line.signer),
        deadline=timestamp(line.deadline),
    )


def timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    out = Timestamp()
    out.FromDatetime(moment)
    return out


def _moment(value: Timestamp, field: str) -> datetime:
    try:
        return value.ToDatetime(UTC)
    except (ValueError, OverflowError):
        limit = "0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z"
        raise InvalidField("MALFORMED", field, f"{field} is no time", limit=limit) from None


def _address(value: bytes | None) -> str:
    return checksummed(value) if value else ""
