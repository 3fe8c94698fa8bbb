"""Signed URLs: they let anyone hear one song in one format for a while, and do nothing else."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.errors import PermissionDenied, Unauthenticated
from services.gateway.audio.signed_urls import PARAMS, SignedUrls
from services.gateway.models import AudioFormat
from services.gateway.settings import GatewaySettings
from tests.gateway.mesh import CALL_S, Gateway, Mesh, made, problem_of
from tests.gateway.wallets import SITE

pytestmark = pytest.mark.asyncio(loop_scope="module")

OLD, NEW, FOREIGN = "o" * 32, "n" * 32, "f" * 32
ACCOUNT, SONG = UUID(int=1), UUID(int=2)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def signed(*keys: str, now: datetime = NOON) -> SignedUrls:
    return SignedUrls(keys, 3600.0, "https://songs.example/api/", now=lambda: now)


def params_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_pods: Mesh) -> Gateway:
    return await shared_pods.open(url_keys=OLD)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict(shared_pods: Mesh) -> Gateway:
    """A replica that lets nobody in without credentials, and believes what `shared` has signed."""
    return await shared_pods.open(workers=0, auth="accounts", site_url=SITE, url_keys=f"{NEW},{OLD}")


async def url_of(gateway: Gateway, song_id: str, **fields: object) -> str:
    answer = await gateway.http.post(f"/v1/songs/{song_id}/audio:sign", json=fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


async def test_an_audio_element_needs_nothing_but_the_url(shared: Gateway, strict: Gateway) -> None:
    song, whole = await made(shared)
    url = await url_of(shared, song.id)
    assert url.startswith(f"/v1/songs/{song.id}/audio?")
    assert (await strict.http.get(f"/v1/songs/{song.id}/audio")).status_code == 401
    answer = await strict.http.get(url)
    assert (answer.status_code, answer.content) == (200, whole)
    head = await strict.http.head(url)
    assert (head.status_code, head.headers["etag"]) == (200, f'"{song.audio.sha256}"')
    # as browsers ask
    probe = await strict.http.get(url, headers={"Range": "bytes=0-"})
    assert (probe.status_code, probe.content) == (206, whole)
    seek = await strict.http.get(
        url, headers={"Range": "bytes=100000-100099", "If-Range": probe.headers["etag"]}
    )
    assert (seek.status_code, seek.content) == (206, whole[100_000:100_100])
    saved = await strict.http.get(f"{url}&download=true")
    assert saved.headers["content-disposition"].startswith("attachment;")


async def test_both_faces_sign_alike_and_say_when_it_ends(shared: Gateway) -> None:
    song, _ = await made(shared)
    request = pb.SignAudioUrlRequest(song_id=song.id, format=pb.AUDIO_FORMAT_WAV)
    response = await shared.grpc.SignAudioUrl(request, timeout=CALL_S)
    params = params_of(response.url)
    assert params["format"] == "wav"
    assert int(params["expires"]) == response.expire_time.seconds
    left = response.expire_time.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(seconds=3500) < left <= timedelta(seconds=3600)
    answer = await shared.http.get(response.url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    missing = pb.SignAudioUrlRequest(song_id=str(SONG))
    assert (await shared.refusal("SignAudioUrl", missing)).reason == "SONG_NOT_FOUND"


async def test_a_url_of_a_song_in_the_making_plays_it_live(shared_pods: Mesh, shared: Gateway) -> None:
    song = await shared.create()
    url = await url_of(shared, song.id)
    await shared.ended(song.id)
    assert (await shared.http.get(url)).status_code == 200


async def test_a_changed_url_is_refused_with_its_reason(shared: Gateway, strict: Gateway) -> None:
    song, _ = await made(shared)
    other, _ = await made(shared)
    url = await url_of(shared, song.id)
    params = params_of(url)
    for change in (
        {"expires": str(int(params["expires"]) + 1)},
        {"account": str(ACCOUNT)},
        {"format": "wav"},
        {"signature": params["signature"][:-2]},
        {"signature": ""},
        {"expires": "١٢"},
    ):
        answer = await strict.http.get(f"{urlsplit(url).path}?{urlencode(params | change)}")
        assert (answer.status_code, problem_of(answer)["reason"]) == (403, "SIGNATURE_INVALID")
    moved = await strict.http.get(url.replace(song.id, other.id))
    assert (moved.status_code, problem_of(moved)["reason"]) == (403, "SIGNATURE_INVALID")
    # One part of it is not "no credentials".
    part = await shared.http.get(f"/v1/songs/{song.id}/audio?signature=x")
    assert (part.status_code, problem_of(part)["reason"]) == (403, "SIGNATURE_INVALID")


async def test_a_url_lets_into_nothing_but_the_audio(shared: Gateway, strict: Gateway) -> None:
    song, _ = await made(shared)
    query = urlsplit(await url_of(shared, song.id)).query
    for path in ("", "/events", "/peaks", "/spectrogram", "/mint"):
        answer = await strict.http.get(f"/v1/songs/{song.id}{path}?{query}")
        assert answer.status_code in (400, 401), path
    for post in (":cancel", ":save", "/audio:sign"):
        assert (await strict.http.post(f"/v1/songs/{song.id}{post}?{query}")).status_code == 401


async def test_a_url_dies_with_its_song(shared: Gateway) -> None:
    song, _ = await made(shared)
    url = await url_of(shared, song.id)
    assert (await shared.http.delete(f"/v1/songs/{song.id}")).status_code == 204
    answer = await shared.http.get(url)
    assert (answer.status_code, problem_of(answer)["reason"]) == (404, "SONG_NOT_FOUND")


async def test_a_url_ends_on_the_second() -> None:
    url, expires_at = signed(NEW).sign(ACCOUNT, SONG, AudioFormat.MP3)
    assert url.startswith(f"https://songs.example/api/v1/songs/{SONG}/audio?")
    assert expires_at == NOON + timedelta(hours=1)
    just_before = signed(NEW, now=expires_at - timedelta(milliseconds=1))
    assert just_before.bearer(str(SONG), AudioFormat.MP3, params_of(url)).id == ACCOUNT
    with pytest.raises(Unauthenticated, match="URL_EXPIRED"):
        signed(NEW, now=expires_at).bearer(str(SONG), AudioFormat.MP3, params_of(url))


async def test_keys_are_replaced_while_urls_of_the_old_one_live() -> None:
    url, _ = signed(OLD).sign(ACCOUNT, SONG, AudioFormat.MP3)
    assert signed(NEW, OLD).bearer(str(SONG), AudioFormat.MP3, params_of(url)).id == ACCOUNT
    renewed, _ = signed(NEW, OLD).sign(ACCOUNT, SONG, AudioFormat.MP3)
    with pytest.raises(PermissionDenied, match="SIGNATURE_INVALID"):
        signed(OLD).bearer(str(SONG), AudioFormat.MP3, params_of(renewed))
    with pytest.raises(PermissionDenied, match="SIGNATURE_INVALID"):
        signed(FOREIGN).bearer(str(SONG), AudioFormat.MP3, params_of(url))


@given(st.fixed_dictionaries({}, optional={name: st.text() for name in PARAMS}), st.text())
async def test_whatever_was_not_signed_is_refused(params: dict[str, str], song_id: str) -> None:
    with pytest.raises(PermissionDenied, match="SIGNATURE_INVALID"):
        signed(NEW, OLD).bearer(song_id, AudioFormat.MP3, params)


async def test_short_keys_and_production_without_keys_are_no_settings(shared_pods: Mesh) -> None:
    with pytest.raises(ValueError, match="at least 32 characters"):
        GatewaySettings(**{**shared_pods.environment, "url_keys": f"{NEW},short"})
    with pytest.raises(ValueError, match="production needs url_keys"):
        GatewaySettings(
            **{
                **shared_pods.environment,
                "url_keys": "",
                "environment": "production",
                "auth": "accounts",
                "public_url": "https://songs.example",
                "tls_cert_file": "c",
                "tls_key_file": "k",
                "tls_ca_file": "a",
            }
        )
