"""A finished song as a file over HTTP: headers, ranges, and the formats made from its master."""

import hashlib
import io
import re
from itertools import pairwise
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.faces.http_audio import disposition
from tests.gateway.mesh import Gateway, made, problem_of
from tests.gateway.pods import rendered

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORMATS = {"wav": pb.AUDIO_FORMAT_WAV, "flac": pb.AUDIO_FORMAT_FLAC}


async def test_the_file_has_the_headers_that_players_and_downloads_need(shared: Gateway) -> None:
    song, whole = await made(shared, title='Blüte "7"')
    url = f"/v1/songs/{song.id}/audio"
    answer = await shared.http.get(url)
    assert answer.content == whole
    headers = dict(answer.headers)
    assert headers["content-type"] == "audio/mpeg"
    assert headers["content-length"] == str(len(whole))
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"] == f'"{song.audio.sha256}"'
    assert headers["content-disposition"] == (
        "inline; filename=\"Bl_te _7_.mp3\"; filename*=UTF-8''Bl%C3%BCte%20%227%22.mp3"
    )
    head = await shared.http.head(url)
    assert head.content == b""
    assert {**head.headers, "date": ""} == {**headers, "date": ""}
    same = await shared.http.get(url, headers={"If-None-Match": headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert hashlib.sha256(whole).hexdigest() == song.audio.sha256  # of the file that is minted
    saved = await shared.http.get(url, params={"download": "true"})
    assert saved.headers["content-disposition"] == headers["content-disposition"].replace(
        "inline", "attachment"
    )
    assert saved.content == whole


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-", 0, None),
        ("bytes=100-199", 100, 200),
        ("bytes=-7", -7, None),
        ("bytes=199999-999999", 199_999, None),
    ],
)
async def test_a_range_of_the_file_is_that_range(
    shared: Gateway, asked: str, start: int, end: int | None
) -> None:
    song, whole = await made(shared)
    answer = await shared.http.get(f"/v1/songs/{song.id}/audio", headers={"Range": asked})
    part = whole[start:end]
    begin = start % len(whole)
    assert (answer.status_code, answer.content) == (206, part)
    assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(part) - 1}/{len(whole)}"
    assert answer.headers["content-length"] == str(len(part))


async def test_ranges_that_cannot_be_given_are_refused_or_ignored(shared: Gateway) -> None:
    song, whole = await made(shared)
    url = f"/v1/songs/{song.id}/audio"
    past = await shared.http.get(url, headers={"Range": f"bytes={len(whole)}-"})
    assert (past.status_code, problem_of(past)["reason"]) == (416, "OUT_OF_RANGE")
    assert past.headers["content-range"] == f"bytes */{len(whole)}"
    for ignored in ("bytes=5-1", "bytes=0-1,5-9", "chunks=1-2", "bytes=-"):
        answer = await shared.http.get(url, headers={"Range": ignored})
        assert (answer.status_code, len(answer.content)) == (200, len(whole))
    changed = await shared.http.get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (changed.status_code, len(changed.content)) == (200, len(whole))


async def test_wav_and_flac_hold_the_masters_samples(shared: Gateway) -> None:
    song, _ = await made(shared)
    pcm = np.frombuffer(rendered(song.id, song.seed, 5.0).pcm, dtype="<i2").reshape(-1, 2)
    for suffix, audio_format in FORMATS.items():
        answer = await shared.http.get(f"/v1/songs/{song.id}/audio", params={"format": suffix})
        assert answer.headers["content-type"] == f"audio/{suffix}"
        assert answer.headers["content-length"] == str(len(answer.content))
        samples, rate = soundfile.read(io.BytesIO(answer.content), dtype="int16")
        assert rate == 44_100
        assert np.array_equal(samples, pcm)
        assert await shared.audio(song.id, format=audio_format) == answer.content
        assert await shared.audio(song.id, format=audio_format, offset=12_345) == answer.content[12_345:]


@pytest.mark.parametrize("suffix", ["mp3", "wav", "flac"])
async def test_the_tag_is_the_sha256_of_that_very_file_also_for_ranges(shared: Gateway, suffix: str) -> None:
    song, _ = await made(shared)
    url = f"/v1/songs/{song.id}/audio?format={suffix}"
    whole = await shared.http.get(url)
    tag = f'"{hashlib.sha256(whole.content).hexdigest()}"'
    assert whole.headers["etag"] == tag
    head = await shared.http.head(url)
    assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}
    size = len(whole.content)
    for asked, start, end in (("bytes=7-", 7, size), ("bytes=-9", size - 9, size), ("bytes=0-0", 0, 1)):
        part = await shared.http.get(url, headers={"Range": asked, "If-Range": tag})
        assert (part.status_code, part.content) == (206, whole.content[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["etag"] == tag
    other = await shared.http.get(url, headers={"Range": "bytes=7-", "If-Range": f"W/{tag}"})
    assert (other.status_code, len(other.content)) == (200, size)
    past = await shared.http.get(url, headers={"Range": f"bytes={size}-"})
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{size}")
    same = await shared.http.get(url, headers={"If-None-Match": f'"x", W/{tag}', "Range": "bytes=7-"})
    assert (same.status_code, same.content) == (304, b"")


@given(st.text(max_size=130), st.booleans())
async def test_any_title_is_a_file_name_that_a_header_can_say(title: str, download: bool) -> None:
    header = disposition(f"{title}.mp3", download=download)
    assert re.fullmatch(
        r"(attachment|inline); filename=\"[\w .,()!&+-]+\"; filename\*=UTF-8''[A-Za-z0-9%._~-]+",
        header,
        re.ASCII,
    )
    name = unquote(header.rpartition("''")[2])
    assert not re.search(r"[/\\\x00-\x1f\x7f]", name)
    if not re.search(r"[/\\\x00-\x1f\x7f]", title):
        assert name == f"{title}.mp3".encode("utf-8", "replace").decode()


async def test_any_range_of_a_wav_made_on_the_fly_is_right(shared: Gateway) -> None:
    song, _ = await made(shared)
    url = f"/v1/songs/{song.id}/audio?format=wav"
    whole = (await shared.http.get(url)).content
    for start, end in pairwise([0, 10, 44, 45, 70_001, 70_002, 600_003, len(whole)]):
        answer = await shared.http.get(url, headers={"Range": f"bytes={start}-{end - 1}"})
        assert answer.content == whole[start:end]
