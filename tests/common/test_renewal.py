"""Certificates that are renewed while calls run: servers and clients take them, and no call is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2_grpc as rpc
from deploy.local.ports import free_ports
from services.common.callers import names_of
from services.common.channels import open_channel
from services.common.errors import error_from_rpc
from services.common.server import GrpcService, Health, StartError, start_server
from services.common.settings import ServiceSettings
from services.common.tls import IdentityFiles
from tests.common.certificates import Authority, replace_file, settings_of

NAME = pb.DESCRIPTOR.services_by_name["LyricsService"].full_name


class WhoCalls(rpc.LyricsServiceServicer):
    """Remembers by which certificate (serial number) and under which name it was called."""

    def __init__(self) -> None:
        self.serials: list[int] = []
        self.names: list[str] = []
        self.go_on = asyncio.Event()

    async def ReviewLyrics(self, request: pb.ReviewLyricsRequest, context: Any) -> pb.ReviewLyricsResponse:
        (pem,) = context.auth_context()["x509_pem_cert"]
        self.serials.append(x509.load_pem_x509_certificate(pem).serial_number)
        self.names.extend(names_of(context))
        return pb.ReviewLyricsResponse()

    async def GenerateLyrics(
        self, request: pb.GenerateLyricsRequest, context: Any
    ) -> AsyncIterator[pb.GenerateLyricsResponse]:
        yield pb.GenerateLyricsResponse(progress=pb.LyricsProgress(lines_done=1))
        await self.go_on.wait()
        yield pb.GenerateLyricsResponse(progress=pb.LyricsProgress(lines_done=2))


@asynccontextmanager
async def serving(
    settings: ServiceSettings, port: int, servicer: WhoCalls | None = None, **callers: tuple[str, ...]
) -> AsyncIterator[WhoCalls]:
    servicer = servicer or WhoCalls()
    service = GrpcService(NAME, lambda s: rpc.add_LyricsServiceServicer_to_server(servicer, s), callers)
    bound = settings.model_copy(update={"grpc_port": port, "grpc_host": "localhost"})
    health = Health()
    server = await start_server(bound, [service], health)
    health.set_ready(True)
    try:
        yield servicer
    finally:
        await server.stop(0)


async def review(stub: Any) -> None:
    await stub.ReviewLyrics(pb.ReviewLyricsRequest(text="x"), timeout=5)


async def refused(settings: ServiceSettings, port: int) -> grpc.aio.AioRpcError:
    async with open_channel(f"localhost:{port}", settings) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await review(rpc.LyricsServiceStub(channel))
    return caught.value


@pytest.fixture
def free_port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_client_takes_a_renewed_certificate_and_drains_its_old_channel(
    authority: Authority, free_port: int
) -> None:
    client = authority.settings("gateway")
    async with serving(authority.settings("localhost"), free_port) as servicer, AsyncExitStack() as stack:
        channel = await stack.enter_async_context(open_channel(f"localhost:{free_port}", client))
        stub = rpc.LyricsServiceStub(channel)
        await review(stub)
        stream = stub.GenerateLyrics(pb.GenerateLyricsRequest(), timeout=10)
        await stream.read()

        authority.issue("gateway")
        await review(stub)
        await review(stub)
        first, second, third = servicer.serials
        assert first != second == third
        servicer.go_on.set()  # the stream on the old channel goes on to its end
        assert (await stream.read()).progress.lines_done == 2
        assert await stream.read() is grpc.aio.EOF


async def test_a_server_takes_a_renewed_certificate_and_a_new_authority(
    authority: Authority, tmp_path: Path, free_port: int
) -> None:
    later = Authority(tmp_path / "later")
    newcomer = later.settings("gateway")
    server = authority.settings("localhost")
    async with serving(server, free_port):
        assert (await refused(newcomer, free_port)).code() is grpc.StatusCode.UNAVAILABLE
        issued = later.issue("localhost")
        for old, new in ((server.tls_key_file, issued.key), (server.tls_cert_file, issued.certificate)):
            assert old is not None
            replace_file(old, new.read_bytes())
        replace_file(authority.ca, later.pem)
        async with open_channel(f"localhost:{free_port}", newcomer) as channel:
            await review(rpc.LyricsServiceStub(channel))


async def test_no_call_fails_while_both_sides_are_renewed_under_load(
    authority: Authority, free_port: int
) -> None:
    client = authority.settings("gateway")
    async with serving(authority.settings("localhost"), free_port) as servicer, AsyncExitStack() as stack:
        channel = await stack.enter_async_context(open_channel(f"localhost:{free_port}", client))
        stub, done = rpc.LyricsServiceStub(channel), asyncio.Event()

        async def keep_calling() -> int:
            calls = 0
            while not done.is_set():
                await review(stub)
                calls += 1
            return calls

        callers = [asyncio.create_task(keep_calling()) for _ in range(4)]
        for _ in range(6):
            authority.issue("localhost")
            authority.issue("gateway")
            await asyncio.sleep(0.1)
        done.set()
        assert sum(await asyncio.gather(*callers)) == len(servicer.serials)
        assert len(set(servicer.serials)) >= 5


def test_a_half_replaced_certificate_leaves_the_last_good_one_in_use(authority: Authority) -> None:
    files = authority.issue("gateway")
    watched = IdentityFiles(files)
    before = watched.identity
    new = Authority(files.ca.parent / "elsewhere").issue("gateway")
    replace_file(files.certificate, new.certificate.read_bytes())
    assert watched.renewed() is None
    assert watched.identity == before
    replace_file(files.key, new.key.read_bytes())
    assert watched.renewed() == watched.identity != before


@pytest.mark.parametrize("file", ["certificate", "key", "ca"])
def test_a_broken_or_missing_file_leaves_the_last_good_one_in_use(authority: Authority, file: str) -> None:
    files = authority.issue("gateway")
    watched = IdentityFiles(files)
    path: Path = getattr(files, file)
    good = path.read_bytes()
    replace_file(path, good[:40])
    assert watched.renewed() is None
    path.unlink()
    assert watched.renewed() is None
    replace_file(path, good)
    assert watched.renewed() is None  # the same as before: nothing to take
    authority.issue("gateway")
    assert watched.renewed() is not None


async def test_a_start_with_a_key_of_another_certificate_is_one_clear_line(authority: Authority) -> None:
    files = authority.issue("localhost")
    mixed = settings_of(files._replace(key=authority.issue("gateway").key))
    with pytest.raises(StartError, match=r"gateway\.key is not the key of .*localhost\.pem"):
        async with serving(mixed, 0):
            pass


async def test_a_key_never_shows_in_what_is_printed_of_an_identity(authority: Authority) -> None:
    assert "PRIVATE" not in repr(authority.issue("gateway").read())


async def test_a_method_with_a_list_of_its_own_is_for_nobody_else(
    authority: Authority, free_port: int
) -> None:
    server = authority.settings("localhost", allowed_callers=("gateway",))
    async with serving(server, free_port, ReviewLyrics=("operator",)) as servicer:
        error = error_from_rpc(await refused(authority.settings("gateway"), free_port))
        assert error.reason == "CALLER_NOT_ALLOWED"
        async with open_channel(f"localhost:{free_port}", authority.settings("operator")) as channel:
            await review(rpc.LyricsServiceStub(channel))
        assert servicer.names == ["operator"]


async def test_an_empty_list_of_a_method_admits_nobody(authority: Authority, free_port: int) -> None:
    async with serving(authority.settings("localhost"), free_port, ReviewLyrics=()):
        error = error_from_rpc(await refused(authority.settings("gateway"), free_port))
        assert error.reason == "CALLER_NOT_ALLOWED"


async def test_a_common_name_is_no_name_of_a_caller(authority: Authority, free_port: int) -> None:
    server = authority.settings("localhost", allowed_callers=("gateway",))
    async with serving(server, free_port):
        nameless = settings_of(authority.issue("gateway", sans=()))
        assert error_from_rpc(await refused(nameless, free_port)).reason == "CALLER_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("listed", "san"),
    [
        ("gateway", x509.RFC822Name("gateway")),
        ("gateway", x509.UniformResourceIdentifier("gateway")),
        ("spiffe://acesteps/gateway", x509.DNSName("spiffe://acesteps/gateway")),
        ("10.0.0.1", x509.IPAddress(ip_address("10.0.0.1"))),
        ("gateway", x509.DNSName("*")),
    ],
    ids=["e-mail", "URI", "DNS", "IP", "wildcard"],
)
async def test_a_san_of_another_kind_with_the_right_text_is_no_name_of_a_caller(
    authority: Authority, free_port: int, caplog: pytest.LogCaptureFixture, listed: str, san: x509.GeneralName
) -> None:
    async with serving(authority.settings("localhost", allowed_callers=(listed,)), free_port):
        odd = settings_of(authority.issue("odd", sans=(san,)))
        assert error_from_rpc(await refused(odd, free_port)).reason == "CALLER_NOT_ALLOWED"
    assert "caller not allowed" in caplog.messages


async def test_a_caller_is_known_by_a_spiffe_id_too(authority: Authority, free_port: int) -> None:
    spiffe = "spiffe://acesteps/ns/default/sa/gateway"
    server = authority.settings("localhost", allowed_callers=(spiffe,))
    async with serving(server, free_port) as servicer:
        client = settings_of(authority.issue("gateway", sans=(x509.UniformResourceIdentifier(spiffe),)))
        async with open_channel(f"localhost:{free_port}", client) as channel:
            await review(rpc.LyricsServiceStub(channel))
        assert servicer.names == [spiffe]


async def test_a_client_refuses_a_server_whose_certificate_is_for_another_name(
    authority: Authority, free_port: int
) -> None:
    async with serving(authority.settings("impostor"), free_port):
        error = await refused(authority.settings("gateway"), free_port)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
