"""Domain errors and their one mapping to google.rpc.Status, in both directions.

A service raises a `ServiceError`; the server interceptor sends it; a client gets the same class back
from `error_from_rpc`. What a reason means is said in the protos, not here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, cast

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "acesteps"
# A status travels in trailers twice, percent-encoded and in base64; who receives more than 8 KiB of them may
# drop the whole status. Messages quote what others sent.
MAX_MESSAGE_BYTES = 1024


class ServiceError(Exception):
    """An outcome that the caller can act on. `reason` is stable; `message` is for people."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL

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

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class InvalidField(ServiceError):
    """A field of the request is missing or out of its limits."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(self, reason: str, field: str, message: str, *, limit: str = "") -> None:
        super().__init__(reason, message, metadata={"field": field, "limit": limit})

    @property
    def field(self) -> str:
        return self.metadata["field"]

    @property
    def limit(self) -> str:
        return self.metadata["limit"]


class InvalidRequest(ServiceError):
    """The request as a whole is wrong, not one field of it."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class Unauthenticated(ServiceError):
    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(ServiceError):
    code = grpc.StatusCode.PERMISSION_DENIED


class NotFound(ServiceError):
    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(ServiceError):
    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(ServiceError):
    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(ServiceError):
    code = grpc.StatusCode.ABORTED


class OutOfRange(ServiceError):
    code = grpc.StatusCode.OUT_OF_RANGE


class ResourceExhausted(ServiceError):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unimplemented(ServiceError):
    code = grpc.StatusCode.UNIMPLEMENTED


class Unavailable(ServiceError):
    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(ServiceError):
    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Cancelled(ServiceError):
    code = grpc.StatusCode.CANCELLED


class Internal(ServiceError):
    """A defect of ours. The message never holds details; the log does."""

    code = grpc.StatusCode.INTERNAL


@contextmanager
def fields_within(path: str) -> Iterator[None]:
    """Names the field of an error by its whole path: `path` ("song.") before what the inner message knew."""
    try:
        yield
    except ServiceError as error:
        if field := error.metadata.get("field"):
            error.metadata["field"] = f"{path}{field}"
        raise


_CLASSES: Mapping[grpc.StatusCode, type[ServiceError]] = {
    cls.code: cls
    for cls in (
        InvalidRequest, Unauthenticated, PermissionDenied, NotFound, AlreadyExists, FailedPrecondition,
        Aborted, OutOfRange, ResourceExhausted, Unimplemented, Unavailable, DeadlineExceeded, Cancelled,
        Internal,
    )
}  # fmt: skip


def status_of(error: ServiceError) -> status_pb2.Status:
    """The google.rpc.Status of an error: ErrorInfo always, BadRequest and RetryInfo where they fit."""
    details: list[any_pb2.Any] = []
    message = error.message.encode("utf-8", "replace")[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore")

    def add(
        detail: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
    ) -> None:
        packed = any_pb2.Any()
        packed.Pack(detail)
        details.append(packed)

    add(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata))
    if isinstance(error, InvalidField):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=message, reason=error.reason
        )
        add(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_delay_s is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_delay_s * 1e9))
        add(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(code=error.code.value[0], message=message, details=details)


def error_from_rpc(error: grpc.aio.AioRpcError) -> ServiceError:
    """The `ServiceError` that a server raised, from what its client caught.

    A status without our ErrorInfo (a connection that broke, a proxy's own answer) becomes the class of
    its code with the code's name as the reason.
    """
    code = error.code()
    reason, metadata, retry_delay_s = code.name, {}, None
    status = rpc_status.from_call(cast("grpc.Call", error))  # it has what is read of one
    for detail in status.details if status is not None else ():
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(retry):
            retry_delay_s = retry.retry_delay.ToNanoseconds() / 1e9
    message = error.details() or code.name
    if code is grpc.StatusCode.INVALID_ARGUMENT and "field" in metadata:
        return InvalidField(reason, metadata["field"], message, limit=metadata.get("limit", ""))
    cls = _CLASSES.get(code, Internal)
    return cls(reason, message, metadata=metadata, retry_delay_s=retry_delay_s)
