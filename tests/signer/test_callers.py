"""Who may call the signer: the real process with TLS, and certificates of every kind with its callers."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from acesteps.signer.v1 import signer_service_pb2 as pb
from acesteps.signer.v1 import signer_service_pb2_grpc as rpc
from deploy.local.postgres import Database
from services.common.channels import open_channel
from services.common.errors import error_from_rpc
from services.common.settings import ServiceSettings
from services.common.tls import TlsFiles
from tests.common.certificates import Authority, replace_file, settings_of
from tests.signer.attested import request_for, statement
from tests.signer.process import SignerProcess, plain_environment, write_files

GATEWAY, OPERATOR, POD = "gateway.acesteps", "operator.acesteps", "music.acesteps"
SERVICE = "acesteps.signer.v1.SignerService"
# The table of DESIGN: method → who may call it.
MAY_CALL: Mapping[str, str] = {
    "SignMintPermit": GATEWAY,
    "DescribeSigner": GATEWAY,
    "ListPermits": OPERATOR,
    "Pause": OPERATOR,
    "Resume": OPERATOR,
}
REQUESTS = {
    "SignMintPermit": pb.SignMintPermitRequest(),
    "DescribeSigner": pb.DescribeSignerRequest(),
    "ListPermits": pb.ListPermitsRequest(),
    "Pause": pb.PauseRequest(),  # without a reason: refused, so that nothing is paused
    "Resume": pb.ResumeRequest(),
}


def tls_settings(files: TlsFiles) -> dict[str, str]:
    return {
        "SIGNER_ENVIRONMENT": "production",
        "SIGNER_TLS_CERT_FILE": str(files.certificate),
        "SIGNER_TLS_KEY_FILE": str(files.key),
        "SIGNER_TLS_CA_FILE": str(files.ca),
        "SIGNER_GRPC_HOST": "localhost",
        "SIGNER_ALLOWED_CALLERS": f"{GATEWAY}, spare.acesteps",
        "SIGNER_OPERATORS": OPERATOR,
    }


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def process(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], Database], authority: Authority
) -> Iterator[SignerProcess]:
    """A signer as in production, for the development chain."""
    folder, database = tmp_path_factory.mktemp("signer"), new_database()
    settings = write_files(folder) | tls_settings(authority.issue("localhost"))
    settings["SIGNER_DATABASE_URL"] = database.signer_dsn
    with SignerProcess(settings, folder / "log").running() as running:
        yield running


@asynccontextmanager
async def channel_to(process: SignerProcess, client: ServiceSettings) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(f"localhost:{process.port}", client) as channel:
        yield channel


async def call(process: SignerProcess, client: ServiceSettings, method: str = "DescribeSigner") -> str:
    """The reason of the refusal, or "OK"."""
    async with channel_to(process, client) as channel:
        try:
            await getattr(rpc.SignerServiceStub(channel), method)(REQUESTS[method], timeout=10)
        except grpc.aio.AioRpcError as error:
            return error_from_rpc(error).reason
    return "OK"


def test_every_method_is_for_somebody() -> None:
    assert set(MAY_CALL) == {
        method.name for method in pb.DESCRIPTOR.services_by_name["SignerService"].methods
    }


@pytest.mark.parametrize("name", [GATEWAY, OPERATOR, POD])
@pytest.mark.parametrize("method", MAY_CALL)
async def test_a_method_is_for_its_callers_only(
    process: SignerProcess, authority: Authority, name: str, method: str
) -> None:
    reason = await call(process, authority.settings(name), method)
    assert (reason != "CALLER_NOT_ALLOWED") is (MAY_CALL[method] == name), reason


async def test_the_gateway_gets_a_permit_with_its_certificate(
    process: SignerProcess, authority: Authority
) -> None:
    async with channel_to(process, authority.settings(GATEWAY)) as channel:
        permit = await rpc.SignerServiceStub(channel).SignMintPermit(request_for(statement()), timeout=10)
    assert len(permit.signature) == 65


async def test_an_operator_pauses_resumes_and_reads_who_asked(
    process: SignerProcess, authority: Authority
) -> None:
    gateway, operator = authority.settings(GATEWAY), authority.settings(OPERATOR)
    request = request_for(statement())
    async with channel_to(process, gateway) as asking, channel_to(process, operator) as watching:
        signer, desk = rpc.SignerServiceStub(asking), rpc.SignerServiceStub(watching)
        await desk.Pause(pb.PauseRequest(reason="a drill"), timeout=10)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await signer.SignMintPermit(request, timeout=10)
        assert error_from_rpc(refused.value).reason == "PAUSED"
        await desk.Resume(pb.ResumeRequest(), timeout=10)
        await signer.SignMintPermit(request, timeout=10)
        listed = await desk.ListPermits(pb.ListPermitsRequest(audio_hash=request.audio_hash), timeout=10)
    assert [(e.verdict, e.reason, e.caller) for e in listed.entries] == [
        (pb.VERDICT_PERMITTED, "", GATEWAY),
        (pb.VERDICT_REFUSED, "PAUSED", GATEWAY),
    ]


def no_certificate(authority: Authority, folder: Path) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(authority.ca.read_bytes())


def credentials(files: TlsFiles, ca: Path) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        ca.read_bytes(), files.key.read_bytes(), files.certificate.read_bytes()
    )


def of_another_authority(authority: Authority, folder: Path) -> grpc.ChannelCredentials:
    return credentials(Authority(folder).issue(GATEWAY), authority.ca)


def expired(authority: Authority, folder: Path) -> grpc.ChannelCredentials:
    day = timedelta(days=1)
    return credentials(authority.issue(GATEWAY, starts=-2 * day, ends=-day), authority.ca)


def not_yet_valid(authority: Authority, folder: Path) -> grpc.ChannelCredentials:
    day = timedelta(days=1)
    return credentials(authority.issue(GATEWAY, starts=day, ends=2 * day), authority.ca)


@pytest.mark.parametrize("spoiled", [no_certificate, of_another_authority, expired, not_yet_valid])
async def test_a_caller_whose_certificate_does_not_count_gets_no_connection_not_even_to_health(
    process: SignerProcess,
    authority: Authority,
    tmp_path: Path,
    spoiled: Callable[[Authority, Path], grpc.ChannelCredentials],
) -> None:
    target = f"localhost:{process.port}"
    async with grpc.aio.secure_channel(target, spoiled(authority, tmp_path)) as channel:
        for method, request in (
            (rpc.SignerServiceStub(channel).DescribeSigner, pb.DescribeSignerRequest()),
            (health_pb2_grpc.HealthStub(channel).Check, health_pb2.HealthCheckRequest()),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await method(request, timeout=10)  # either stub
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_caller_in_plaintext_gets_no_connection(process: SignerProcess) -> None:
    assert await call(process, ServiceSettings()) == "UNAVAILABLE"


async def test_health_and_reflection_are_open_to_every_certificate(
    process: SignerProcess, authority: Authority
) -> None:
    async with channel_to(process, authority.settings(POD)) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]))
        async for listed in stream:
            assert SERVICE in {service.name for service in listed.list_services_response.service}
            break
        stream.cancel()


async def test_the_port_for_probes_serves_health_and_nothing_else(process: SignerProcess) -> None:
    assert process.ready()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{process.health_port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await rpc.SignerServiceStub(channel).DescribeSigner(pb.DescribeSignerRequest(), timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_no_call_fails_while_the_signer_and_its_caller_are_renewed(
    process: SignerProcess, authority: Authority
) -> None:
    client, done, served = authority.settings(GATEWAY), asyncio.Event(), 0
    async with channel_to(process, client) as channel:
        stub = rpc.SignerServiceStub(channel)

        async def keep_asking() -> None:
            nonlocal served
            while not done.is_set():
                await stub.DescribeSigner(pb.DescribeSignerRequest(), timeout=10)
                served += 1

        askers = [asyncio.create_task(keep_asking()) for _ in range(3)]
        for _ in range(4):
            authority.issue("localhost")
            authority.issue(GATEWAY)
            await asyncio.sleep(0.15)
        done.set()
        await asyncio.gather(*askers)
    assert served > 20


async def test_an_authority_that_is_taken_away_counts_no_more(
    process: SignerProcess, authority: Authority, tmp_path: Path
) -> None:
    """The last of the file: it changes what the others rely on, and puts it back."""
    later, before = Authority(tmp_path), authority.issue("localhost")
    own = [path.read_bytes() for path in before]
    client = settings_of(later.issue(GATEWAY))
    try:
        for path, new in zip(before, later.issue("localhost"), strict=True):
            replace_file(path, new.read_bytes())
        assert await call(process, client) == "OK"
        old = settings_of(authority.issue(GATEWAY)._replace(ca=later.ca))
        assert await call(process, old) == "UNAVAILABLE"
    finally:
        for path, data in zip(before, own, strict=True):
            replace_file(path, data)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"SIGNER_TLS_CERT_FILE": "", "SIGNER_TLS_KEY_FILE": "", "SIGNER_TLS_CA_FILE": ""},
            "production needs tls_",
        ),
        ({"SIGNER_TLS_CA_FILE": ""}, "go together"),
        ({"SIGNER_ALLOWED_CALLERS": ""}, "production needs allowed_callers"),
        ({"SIGNER_OPERATORS": GATEWAY}, "who asks may not pause"),
    ],
)
def test_production_does_not_start_without_tls_and_a_list(
    tmp_path: Path, authority: Authority, changes: dict[str, str], complaint: str
) -> None:
    settings = write_files(tmp_path) | tls_settings(authority.issue("localhost")) | changes
    ended = subprocess.run(
        [sys.executable, "-m", "services.signer"],
        env=plain_environment() | settings | {"SIGNER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
