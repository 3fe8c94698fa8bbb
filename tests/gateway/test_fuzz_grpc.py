"""Whatever comes over gRPC is answered OK or with a typed status, in time; and songs are still made."""

import base64
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from acesteps.gateway.v1 import account_service_pb2, gateway_service_pb2, webhook_service_pb2
from services.common.errors import error_from_rpc
from tests.gateway.mesh import CREATOR, Gateway, Mesh, made

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = 25
DEADLINE_S = 6.0
# Watches and audio may wait for something to happen: so long is waited for their first word.
FIRST_WORD_S = 0.2
METHODS = [
    method
    for file in (gateway_service_pb2, account_service_pb2, webhook_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
# Where a call may have to wait, and is given up.
WAITS = {"WatchSong", "WatchBatch", "StreamAudio"}
# The account that the tests share would be gone.
LEFT_OUT = {"DeleteAccount"}

TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", "\x00", "\ud7ff", "é" * 500, "x" * 30_000, "🎵", "%", "\\", "'; DROP TABLE songs; --"]
    ),
)
INTEGERS = {
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
}


def values_of(field: FieldDescriptor, ids: dict[str, list[str]], depth: int) -> st.SearchStrategy[Any]:
    if field.name in ids:
        return st.one_of(st.sampled_from(ids[field.name]), TEXTS)
    if field.message_type is not None:
        return messages_of(field.message_type, ids, depth + 1)
    if field.enum_type is not None:
        return st.one_of(st.sampled_from([v.number for v in field.enum_type.values]), st.integers(-5, 99))
    if field.type in INTEGERS:
        low, high = INTEGERS[field.type]
        return st.one_of(st.sampled_from([low, high, 0, 1]), st.integers(low, high))
    return {
        FieldDescriptor.TYPE_STRING: TEXTS,
        FieldDescriptor.TYPE_BOOL: st.booleans(),
        FieldDescriptor.TYPE_DOUBLE: st.floats(),
        FieldDescriptor.TYPE_BYTES: st.binary(max_size=50),
    }[field.type]


def messages_of(descriptor: Descriptor, ids: dict[str, list[str]], depth: int = 0) -> st.SearchStrategy[Any]:
    """Messages with any of their fields set to anything that fits its type."""
    cls = message_factory.GetMessageClass(descriptor)
    if depth > 4:
        return st.builds(cls)
    fields = {
        field.name: (
            st.lists(values_of(field, ids, depth), max_size=3)
            if field.is_repeated
            else values_of(field, ids, depth)
        )
        for field in descriptor.fields
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: cls(**given))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ids(shared_pods: Mesh, shared: Gateway) -> dict[str, list[str]]:
    songs = [(await made(shared, creator_address=CREATOR))[0].id for _ in range(2)]
    return {"song_id": songs, "source_song_id": songs}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def channel(shared: Gateway) -> Any:
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{shared.settings.grpc_port}", options=options) as opened:
        yield opened


async def outcome(channel: grpc.aio.Channel, method: MethodDescriptor, data: bytes, **options: Any) -> Any:
    """None for OK and for a stream that goes on, else the error."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    arguments = {"timeout": DEADLINE_S, **options}
    if method.server_streaming:
        call = channel.unary_stream(path)(data, **arguments)
        if method.name in WAITS:
            arguments["timeout"] = FIRST_WORD_S
            call = channel.unary_stream(path)(data, **arguments)
    else:
        call = channel.unary_unary(path)(data, **arguments)
    try:
        if method.server_streaming:
            while await call.read() is not grpc.aio.EOF:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        waited = method.name in WAITS and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return None if waited else error
    finally:
        call.cancel()
    return None


def must_be_typed(method: MethodDescriptor, error: grpc.aio.AioRpcError | None) -> None:
    if error is None:
        return
    told = (method.name, error.code(), error.details())
    assert error.code() not in (
        grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
    ), told  # fmt: skip
    typed = error_from_rpc(error)
    assert typed.reason != error.code().name, told  # ErrorInfo was there
    if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
        assert typed.metadata.get("field"), told
        assert "limit" in typed.metadata, told


@pytest.mark.parametrize(
    "method",
    [method for method in METHODS if method.name not in LEFT_OUT],
    ids=lambda method: method.name,
)
@seed(7)
@settings(
    max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(data=st.data())
async def test_any_message_of_its_type_gets_a_typed_answer(
    channel: grpc.aio.Channel, ids: dict[str, list[str]], method: MethodDescriptor, data: st.DataObject
) -> None:
    request = data.draw(messages_of(method.input_type, ids))
    must_be_typed(method, await outcome(channel, method, request.SerializeToString()))


RAW = st.one_of(
    st.binary(max_size=64), st.sampled_from([b"\xff" * 20, b"\x0a\xff\xff\xff\xff\x0f", b"\x08" * 99])
)


@seed(7)
@settings(
    max_examples=60, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(method=st.sampled_from([m for m in METHODS if m.name not in LEFT_OUT | WAITS]), data=RAW)
async def test_bytes_that_are_no_message_are_no_defect_of_ours(
    channel: grpc.aio.Channel, method: MethodDescriptor, data: bytes
) -> None:
    must_be_typed(method, await outcome(channel, method, data))


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", "Bearer " + "x" * 4000),),
        (("authorization", "Basic xyz"),),
        (("acesteps-account", "x" * 4000),),
        (("grpc-trace-bin", base64.b64encode(b"x" * 100)),),
        (("traceparent", "00-zz-zz-zz"),),
        tuple((f"x-{n}", "y" * 100) for n in range(60)),
    ],
    ids=["long", "scheme", "account", "binary", "trace", "many"],
)
async def test_odd_metadata_is_no_defect(channel: grpc.aio.Channel, metadata: Any) -> None:
    (method,) = [m for m in METHODS if m.name == "ListSongs"]
    error = await outcome(channel, method, b"", metadata=metadata)
    if error is not None:
        assert error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)


async def test_a_call_without_a_deadline_is_refused(channel: grpc.aio.Channel) -> None:
    (method,) = [m for m in METHODS if m.name == "ReviewPrompt"]
    error = await outcome(channel, method, b"", timeout=None)
    assert error_from_rpc(error).reason == "DEADLINE_REQUIRED"


async def test_afterwards_it_still_makes_songs(shared: Gateway) -> None:
    song, audio = await made(shared)
    assert await shared.audio(song.id) == audio
