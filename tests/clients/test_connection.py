"""How the Python client reaches a gateway: deadlines, keys, TLS."""

from pathlib import Path
from typing import Any

import grpc
import pytest

import acesteps
from acesteps import Client, Tls
from acesteps.channel import destination
from acesteps.gateway.v1 import account_service_pb2 as account_pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import (
    add_GatewayServiceServicer_to_server,
)
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from tests.clients.conftest import Connect, Keyed, listed
from tests.clients.recorder import RPCS, Recorder, served
from tests.common.certificates import Authority

PROMPT = "calm jazz hop, 84 bpm"


async def test_an_api_key_says_whose_songs_these_are_and_without_one_nothing_is_open(
    connect: Connect, keyed: Keyed
) -> None:
    with pytest.raises(acesteps.Unauthenticated):
        await connect(keyed.target).get("00000000-0000-4000-8000-000000000000")
    with pytest.raises(acesteps.Unauthenticated):
        await connect(keyed.target, api_key="ace_" + "A" * 43).get("00000000-0000-4000-8000-000000000000")
    scopes = (account_pb.SCOPE_READ, account_pb.SCOPE_WRITE)
    first, second = [connect(keyed.target, api_key=await keyed.secret(*scopes)) for _ in range(2)]
    song = await first.make(PROMPT, duration_s=5.0, instrumental=True)
    assert [one.id for one in await listed(second.list())] == [song.id]


async def test_every_call_that_there_is_can_be_made_and_has_a_deadline_and_the_key(connect: Connect) -> None:
    recorder = Recorder()
    async with served(recorder) as target:
        await _call_everything(connect(target, api_key="ace_test-key"))
    assert set(recorder.calls) == {method.name for method in RPCS}
    for metadata, remaining_s in recorder.calls.values():
        assert metadata["authorization"] == "Bearer ace_test-key"
        assert remaining_s is not None
        assert remaining_s < 1000


async def _call_everything(client: Any) -> None:
    for name in ("get", "cancel", "retry", "delete", "share", "unshare", "family", "save", "mint_order"):
        await getattr(client, name)("id")
    for name in (
        "sign_url",
        "peaks",
        "spectrogram",
        "timeline",
        "timeline_file",
        "shared",
        "get_batch",
        "cancel_batch",
        "review",
    ):
        await getattr(client, name)("id")
    await client.update("id", title="new")
    await client.capabilities()
    await client.create(PROMPT)
    await client.create_batch([PROMPT], variations=2)
    await client.review_lyrics(lyrics_pb.ReviewLyricsRequest())
    for stream in (client.list(), client.watch("id"), client.watch_batch("id"), client.listen("id")):
        assert await listed(stream) == []
    await listed(client.write_lyrics(lyrics_pb.GenerateLyricsRequest()))


async def test_over_tls_the_gateway_is_checked_and_may_check_the_client(
    connect: Connect, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    recorder, server = Recorder(), grpc.aio.server()
    add_GatewayServiceServicer_to_server(recorder, server)
    gateway, own = authority.issue("localhost"), authority.issue("someone")
    credentials = grpc.ssl_server_credentials(
        [(gateway.key.read_bytes(), gateway.certificate.read_bytes())],
        gateway.ca.read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    tls = Tls(own.ca, own.certificate, own.key)
    await connect(f"localhost:{port}", tls=tls, api_key="k").get("id")
    assert recorder.calls["GetSong"][0]["authorization"] == "Bearer k"
    for strangers in (Tls(own.ca), True, False):
        with pytest.raises(acesteps.Unavailable):
            await connect(f"localhost:{port}", tls=strangers, patience_s=0.2).get("id")
    await server.stop(0)


@pytest.mark.parametrize(
    ("target", "encrypted"),
    [
        ("127.0.0.1:50050", False), ("localhost:50050", False), ("[::1]:50050", False),
        ("gateway.example:443", True), ("dns:///gateway.example:443", True), ("10.0.0.7:50050", True),
        ("127.0.0.1.example:443", True), ("localhost.example:1", True),
    ],
)  # fmt: skip
def test_a_key_crosses_no_network_in_the_clear_unless_asked_to(target: str, encrypted: bool) -> None:
    assert (destination(target, None).credentials is not None) is encrypted
    assert destination(target, False).credentials is None


@pytest.mark.parametrize("target", ["", "gateway", "gateway:", "http://gateway:80"])
def test_a_target_without_a_port_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Client(target)


@pytest.mark.parametrize("key", ["two words", "käse", "line\nbreak"])
def test_a_key_that_fits_into_no_header_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as error:
        Client("127.0.0.1:1", api_key=key)
    assert key not in str(error.value)
