"""What can go wrong, as classes: one for each gRPC status, and what only a client can find.

What a reason means is said in the protos. Knows no call.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

if TYPE_CHECKING:
    from acesteps.gateway.v1.gateway_service_pb2 import Song

DOMAIN = "acesteps"


class AcestepsError(Exception):
    """Whatever a call ended with instead of an answer.

    Attributes:
        reason: stable, in UPPER_SNAKE_CASE; the status' name where the gateway gave none
        message: for people
        metadata: what belongs to the reason, such as "rule" or "section_index"
        retry_delay_s: seconds after which asking again may help; None where the gateway said nothing
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        retry_delay_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.retry_delay_s = retry_delay_s

    @property
    def field(self) -> str:
        """The field of the request that is wrong; empty when none is."""
        return self.metadata.get("field", "")

    @property
    def limit(self) -> str:
        """What the field has to keep to, in words; empty when there is nothing to say."""
        return self.metadata.get("limit", "")

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        limit = f" (limit: {self.limit})" if self.limit else ""
        return f"{where}{self.message}{limit} [{self.reason}]"


class InvalidArgument(AcestepsError):
    """The request, or one field of it, is missing or out of its limits."""


class Unauthenticated(AcestepsError):
    """The API key is missing, unknown or no longer good."""


class PermissionDenied(AcestepsError):
    """The account may not do this."""


class NotFound(AcestepsError):
    """The account has nothing of that name."""


class AlreadyExists(AcestepsError):
    """The request_id was used for another request."""


class FailedPrecondition(AcestepsError):
    """Not in the state that the song is in, or a review refuses."""


class Aborted(AcestepsError):
    """What was being followed has ended in the middle."""


class OutOfRange(AcestepsError):
    """An offset past the end."""


class ResourceExhausted(AcestepsError):
    """A quota or a rate is used up."""


class Unimplemented(AcestepsError):
    """This gateway, or an engine behind it, does not do this."""


class Unavailable(AcestepsError):
    """The gateway, or a part behind it, was away for longer than the client's patience."""


class DeadlineExceeded(AcestepsError):
    """No answer came in time."""


class Cancelled(AcestepsError):
    """The call was cancelled on the other side."""


class Internal(AcestepsError):
    """A defect of the gateway's, or an answer that is none of its."""


class SongFailed(AcestepsError):
    """The song has ended without audio.

    `song` is its last state; `reason` is why it failed, or SONG_CANCELLED.
    """

    def __init__(self, song: "Song") -> None:
        reason = song.failure.reason or "SONG_CANCELLED"
        message = song.failure.message or "it was cancelled"
        super().__init__(reason, f"the song has no audio: {message}", metadata={"song_id": song.id})
        self.song = song


class AudioMismatch(AcestepsError):
    """The audio that came is not the song's: its sha256 is another. Nothing was kept."""


_CLASSES: Mapping[grpc.StatusCode, type[AcestepsError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
}


def error_from_rpc(error: grpc.RpcError) -> AcestepsError:
    """The typed error of what a call raised, synchronous or not."""
    call = cast("grpc.Call", error)  # every error that a call raises is one, or has what is read of one
    code = call.code()
    reason, metadata, retry_delay_s = code.name, {}, None
    try:
        status = rpc_status.from_call(call)
    except ValueError:  # details that contradict the status: somebody's between here and the gateway
        status = None
    for detail in status.details if status is not None else ():
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(retry):
            retry_delay_s = retry.retry_delay.ToNanoseconds() / 1e9
    kind = _CLASSES.get(code, Internal)
    return kind(reason, call.details() or code.name, metadata=metadata, retry_delay_s=retry_delay_s)
