"""How every call is made: with a deadline, in a name, and again while the gateway is away.

Knows no RPC by name.
"""

import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
from google.protobuf.message import Message

from acesteps.channel import Tls, call_metadata, destination
from acesteps.errors import AcestepsError, DeadlineExceeded, error_from_rpc
from acesteps.gateway.v1.account_service_pb2_grpc import AccountServiceStub
from acesteps.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub, OperatorServiceStub
from acesteps.gateway.v1.webhook_service_pb2_grpc import WebhookServiceStub
from acesteps.patience import Note, Patience

if TYPE_CHECKING:
    from acesteps.gateway.v1.account_service_pb2_grpc import AccountServiceStub
    from acesteps.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub, OperatorServiceStub
    from acesteps.gateway.v1.webhook_service_pb2_grpc import WebhookServiceStub

CALL_S = 20.0
# A stream is asked for again when it ends; this only bounds one asking.
STREAM_S = 900.0
PATIENCE_S = 60.0
ASK_ANEW_S = 0.25


def is_quiet(error: AcestepsError) -> bool:
    """A gateway that had nothing to tell for so long is not away: keepalive would have said so."""
    return isinstance(error, DeadlineExceeded)


Request = TypeVar("Request", bound=Message)
Answer = TypeVar("Answer", bound=Message)


class Calls:
    """What all parts of the client stand on."""

    def __init__(
        self,
        target: str,
        *,
        api_key: str = "",
        tls: Tls | bool | None = None,
        call_s: float = CALL_S,
        patience_s: float = PATIENCE_S,
        note: Note | None = None,
    ) -> None:
        """A client of the gateway at `target`. No connection is made before the first call.

        Args:
            target: "host:port", of the gateway's gRPC
            api_key: sent with every call; empty for gateways that ask for none
            tls: None means TLS unless the target is this machine; True trusts the system's authorities
            call_s: seconds that one call may take
            patience_s: seconds that a gateway may be away before a call gives up
            note: told once of every time that the gateway is found to be away

        Raises:
            ValueError: target or key cannot be used.
            OSError: a file of `tls` cannot be read.
        """
        self._metadata = call_metadata(api_key)
        self._channel = destination(target, tls).channel()
        self._stub: GatewayServiceStub = GatewayServiceStub(self._channel)
        self._operators: OperatorServiceStub = OperatorServiceStub(self._channel)
        self._accounts: AccountServiceStub = AccountServiceStub(self._channel)
        self._webhooks: WebhookServiceStub = WebhookServiceStub(self._channel)
        self._call_s, self._patience_s, self._note = call_s, patience_s, note

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def _call(self, method: "grpc.UnaryUnaryMultiCallable[Request, Answer]", request: Request) -> Answer:
        """An idempotent call, repeated while the gateway is away. Raises AcestepsError."""
        patience = self._patience()
        while True:
            try:
                return method(request, timeout=self._call_s, metadata=self._metadata)
            except grpc.RpcError as error:
                delay_s = patience.delay(error)
            time.sleep(delay_s)

    def _once(self, method: "grpc.UnaryUnaryMultiCallable[Request, Answer]", request: Request) -> Answer:
        """A call that does something anew each time, and so is not repeated. Raises AcestepsError."""
        try:
            return method(request, timeout=self._call_s, metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error

    def _speak_for(self, secret: str) -> None:
        """Calls from now on are made with this secret."""
        self._metadata = call_metadata(secret)

    def _follow(
        self,
        method: "grpc.UnaryStreamMultiCallable[Request, Answer]",
        next_request: Callable[[], Request],
        mend: Callable[[AcestepsError], bool] = is_quiet,
    ) -> Generator[Answer, None, None]:
        """A stream that is asked for again, from where `next_request` says, until it ends well.

        `mend` says whether an error is no more than a reason to ask anew. Raises AcestepsError.
        """
        patience = self._patience()
        while True:
            call = method(next_request(), timeout=STREAM_S, metadata=self._metadata)
            try:
                for answer in call:
                    patience.renew()
                    yield answer
                return
            except grpc.RpcError as rpc_error:
                error = error_from_rpc(rpc_error)
                delay_s = ASK_ANEW_S if mend(error) else patience.delay(error)
            finally:
                call.cancel()
            time.sleep(delay_s)

    def _patience(self) -> Patience:
        return Patience(self._patience_s, self._note)
