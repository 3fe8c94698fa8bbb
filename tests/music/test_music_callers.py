"""Who may have a pod make and attest songs: the real process with TLS, and its allow-list."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from acesteps.music.v1 import music_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2_grpc as rpc
from services.common.channels import open_channel
from services.common.errors import error_from_rpc
from services.common.settings import ServiceSettings
from tests.common.certificates import Authority
from tests.music.pod import Pod, spec
from tests.signer.process import plain_environment

GATEWAY = "gateway.acesteps"


def tls_settings(authority: Authority) -> dict[str, str]:
    files = authority.issue("localhost")
    return {
        "MUSIC_ENVIRONMENT": "production",
        "MUSIC_GRPC_HOST": "localhost",
        "MUSIC_TLS_CERT_FILE": str(files.certificate),
        "MUSIC_TLS_KEY_FILE": str(files.key),
        "MUSIC_TLS_CA_FILE": str(files.ca),
        "MUSIC_ALLOWED_CALLERS": GATEWAY,
    }


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Pod]:
    with Pod(tmp_path_factory.mktemp("guarded") / "pod", settings=tls_settings(authority)).running() as pod:
        yield pod


async def ask(pod: Pod, client: ServiceSettings) -> list[str]:
    """Kinds of what a caller hears of a song, or the reason why it hears nothing."""
    async with open_channel(f"localhost:{pod.port}", client) as channel:
        stub = rpc.MusicServiceStub(channel)
        requests = iter([pb.GenerateSongRequest(spec=spec(duration_s=5.0))])
        try:
            heard = [part.WhichOneof("event") or "" async for part in stub.GenerateSong(requests, timeout=30)]
            await stub.DescribeEngine(pb.DescribeEngineRequest(), timeout=30)
        except grpc.aio.AioRpcError as error:
            return [error_from_rpc(error).reason]
    return heard


async def test_the_gateway_has_a_song_made(guarded: Pod, authority: Authority) -> None:
    assert (await ask(guarded, authority.settings(GATEWAY)))[-1] == "result"


async def test_a_caller_outside_the_list_has_nothing_attested(guarded: Pod, authority: Authority) -> None:
    assert await ask(guarded, authority.settings("lyrics.acesteps")) == ["CALLER_NOT_ALLOWED"]
    assert await ask(guarded, ServiceSettings()) == ["UNAVAILABLE"]


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        (("MUSIC_TLS_CERT_FILE", "MUSIC_TLS_KEY_FILE", "MUSIC_TLS_CA_FILE"), "production needs tls_"),
        (("MUSIC_ALLOWED_CALLERS",), "production needs allowed_callers"),
    ],
)
def test_a_pod_in_production_does_not_start_open(
    authority: Authority, tmp_path: Path, missing: tuple[str, ...], complaint: str
) -> None:
    settings = {"MUSIC_ATTESTATION_KEY_FILE": str(tmp_path / "pod.pem")} | tls_settings(authority)
    ended = subprocess.run(
        [sys.executable, "-m", "services.music"],
        env=plain_environment() | {k: v for k, v in settings.items() if k not in missing},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert complaint in ended.stderr
