"""Peaks and spectrograms against a second way to work them out, and as players ask for them."""

import asyncio
import hashlib
import io
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.audio.peaks import peaks
from services.gateway.audio.spectrogram import HIGHEST_HZ, LOWEST_HZ, band_weights, centres_hz, spectrogram
from services.gateway.audio.workbench import Workbench
from tests.gateway.mesh import CALL_S, Gateway, made, problem_of
from tests.gateway.pods import rendered

pytestmark = pytest.mark.asyncio(loop_scope="module")

RATE = 44_100


def master(pcm: NDArray[np.int16]) -> soundfile.SoundFile:
    file = io.BytesIO()
    soundfile.write(file, pcm, RATE, format="FLAC", subtype="PCM_16")
    file.seek(0)
    return soundfile.SoundFile(file)


def tone(hz: float, duration_s: float, level: float = 0.5) -> NDArray[np.int16]:
    t = np.arange(round(duration_s * RATE)) / RATE
    wave = (level * 32_767 * np.sin(2 * np.pi * hz * t)).astype(np.int16)
    return np.stack([wave, wave], axis=1)


def picture_of(png: bytes) -> NDArray[np.uint8]:
    """(H, W) shades, the lowest frequency in row 0."""
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "P")
    return np.asarray(image)[::-1]


def one_by_one(pcm: NDArray[np.int16], samples_per_pixel: int) -> Iterator[int]:
    """audiowaveform's numbers, sample by sample in whole numbers."""

    def to_8_bits(both: int) -> int:
        return both // 512 if both >= 0 else -(-both // 512)

    sums = [int(left) + int(right) for left, right in pcm]
    for start in range(0, len(sums), samples_per_pixel):
        pixel = sums[start : start + samples_per_pixel]
        yield to_8_bits(min(pixel))
        yield to_8_bits(max(pixel))


@pytest.mark.parametrize("samples_per_pixel", [64, 441, 1000, 65_536])
async def test_peaks_are_the_least_and_greatest_of_every_pixel(samples_per_pixel: int) -> None:
    noise = np.random.default_rng(samples_per_pixel)
    pcm = noise.integers(-32_768, 32_768, (300_001, 2), dtype=np.int16)
    pcm[1000:3000] = 32_767
    pcm[5000:7000] = -32_768
    found = np.frombuffer(peaks(master(pcm), samples_per_pixel), np.int8).tolist()
    assert found == list(one_by_one(pcm, samples_per_pixel))
    assert (min(found), max(found)) == (-128, 127)


async def test_players_get_the_json_of_audiowaveform(shared: Gateway) -> None:
    song, _ = await made(shared)
    url = f"/v1/songs/{song.id}/peaks"
    answer = await shared.http.get(url)
    document = answer.json()
    pcm = np.frombuffer(rendered(song.id, song.seed, 5.0).pcm, "<i2").reshape(-1, 2)
    expected = list(one_by_one(pcm, 441))
    assert document == {
        "version": 2,
        "channels": 1,
        "sample_rate": RATE,
        "samples_per_pixel": 441,
        "bits": 8,
        "length": 500,
        "data": expected,
    }
    response = await shared.grpc.GetPeaks(pb.GetPeaksRequest(song_id=song.id), timeout=CALL_S)
    assert (list(response.data), response.length) == (expected, 500)
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    again = await shared.http.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    fine = await shared.http.get(url, params={"samples_per_pixel": 64})
    assert fine.json()["data"] == list(one_by_one(pcm, 64))


@pytest.mark.parametrize("hz", [55.0, 440.0, 3_000.0, 15_000.0])
async def test_a_tone_is_a_line_at_its_pitch(hz: float) -> None:
    picture = picture_of(spectrogram(master(tone(hz, 4.0)), 200, 256))
    assert picture.shape == (256, 200)
    loudest = picture[:, 10:-10].argmax(axis=0)
    row = round(255 * np.log(hz / LOWEST_HZ) / np.log(HIGHEST_HZ / LOWEST_HZ))
    # Below, a bin of the spectrum is as wide as several rows.
    width = max(2, round(255 * np.log1p(RATE / 4096 / hz) / np.log(HIGHEST_HZ / LOWEST_HZ)))
    assert np.abs(loudest - row).max() <= width
    assert picture[:, 10:-10].max() == 127
    assert (picture[:, 10:-10] > 0).mean() < 0.35  # and the rest is dark


async def test_sound_is_where_it_is_in_time_whatever_the_width() -> None:
    pcm = np.concatenate([tone(1_000.0, 1.0, 0.0), tone(1_000.0, 1.0), tone(1_000.0, 2.0, 0.0)])
    for width in (64, 400, 4096):
        picture = picture_of(spectrogram(master(pcm), width, 64))
        heard = np.flatnonzero(picture.max(axis=0) > 100) / width * 4.0
        assert abs(heard[0] - 1.0) < 0.12
        assert abs(heard[-1] - 2.0) < 0.12
    # Once more across the blocks that sound is read in: 30 s, the last of which is not silent.
    long = np.concatenate([tone(1_000.0, 29.0, 0.0), tone(1_000.0, 1.0)])
    picture = picture_of(spectrogram(master(long), 64, 64))
    assert (picture[:, :61].max(), picture[:, 63].max()) == (0, 127)


async def test_levels_are_decibels_below_the_loudest() -> None:
    pcm = np.concatenate([tone(1_000.0, 2.0), tone(1_000.0, 2.0, 0.05)])  # 20 dB softer
    picture = picture_of(spectrogram(master(pcm), 100, 128)).astype(int)
    loud, soft = picture[:, 25].max(), picture[:, 75].max()
    assert abs((loud - soft) / 127 * 80 - 20) < 1.0


async def test_a_silent_song_is_a_black_picture() -> None:
    assert picture_of(spectrogram(master(tone(440.0, 1.0, 0.0)), 64, 64)).max() == 0


async def test_no_row_loses_or_adds_sound() -> None:
    for height in (64, 256, 1024):
        assert np.allclose(band_weights(height).sum(axis=0), 1)
        assert np.all(np.diff(centres_hz(height)) > 0)


async def test_a_spectrogram_comes_as_png_over_both_faces(shared: Gateway) -> None:
    song, _ = await made(shared)
    url = f"/v1/songs/{song.id}/spectrogram"
    answer = await shared.http.get(url, params={"width": 300, "height": 100})
    assert answer.headers["content-type"] == "image/png"
    assert picture_of(answer.content).shape == (100, 300)
    request = pb.GetSpectrogramRequest(song_id=song.id, width=300, height=100)
    response = await shared.grpc.GetSpectrogram(request, timeout=CALL_S)
    assert (response.media_type, response.image) == ("image/png", answer.content)
    again = await shared.http.get(
        url, params={"width": 300, "height": 100}, headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert picture_of((await shared.http.get(url)).content).shape == (256, 1024)


async def test_the_largest_picture_of_noise_fits_into_a_message_of_grpc(shared: Gateway) -> None:
    song, _ = await made(shared)
    request = pb.GetSpectrogramRequest(song_id=song.id, width=4096, height=1024)
    response = await shared.grpc.GetSpectrogram(request, timeout=CALL_S)
    assert picture_of(response.image).shape == (1024, 4096)


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("peaks", {"samples_per_pixel": 63}),
        ("peaks", {"samples_per_pixel": 65_537}),
        ("spectrogram", {"width": 63}),
        ("spectrogram", {"width": 4097}),
        ("spectrogram", {"height": 1025}),
    ],
)
async def test_sizes_out_of_range_are_refused_by_name(
    shared: Gateway, path: str, params: dict[str, int]
) -> None:
    song, _ = await made(shared)
    answer = await shared.http.get(f"/v1/songs/{song.id}/{path}", params=params)
    problem = problem_of(answer)
    assert (answer.status_code, problem["reason"]) == (400, "OUT_OF_RANGE")
    assert problem["field"] == next(iter(params))


async def test_songs_that_are_not_done_have_no_pictures(shared: Gateway) -> None:
    song = await shared.create()
    await shared.http.post(f"/v1/songs/{song.id}:cancel")
    for path in ("peaks", "spectrogram"):
        answer = await shared.http.get(f"/v1/songs/{song.id}/{path}")
        assert (answer.status_code, problem_of(answer)["reason"]) == (409, "SONG_CANCELLED")


async def test_one_thing_is_worked_out_at_a_time_for_each_song_and_once() -> None:
    bench, running, most, made_of = Workbench(), 0, 0, 0

    async def make() -> bytes:
        nonlocal running, most, made_of
        running, made_of = running + 1, made_of + 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return b"picture"

    one_song = [bench.get((b"song", "peaks", (n % 3,)), make) for n in range(12)]
    assert await asyncio.gather(*one_song) == [b"picture"] * 12
    assert (most, made_of) == (1, 3)
    most = made_of = 0
    await asyncio.gather(*(bench.get((bytes([n]), "peaks", ()), make) for n in range(8)))
    assert (most, made_of) == (2, 8)


async def test_who_leaves_does_not_let_a_second_one_begin() -> None:
    bench, begun, go_on = Workbench(), 0, asyncio.Event()

    async def make() -> bytes:
        nonlocal begun
        begun += 1
        await go_on.wait()
        return b"picture"

    leaving = asyncio.create_task(bench.get((b"song", "peaks", ()), make))
    staying = asyncio.create_task(bench.get((b"song", "peaks", ()), make))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.sleep(0.01)
    assert begun == 1
    go_on.set()
    assert await staying == b"picture"


async def test_only_the_latest_are_kept() -> None:
    bench, made_of = Workbench(kept_bytes=30), []

    async def get(name: int) -> None:
        async def make() -> bytes:
            made_of.append(name)
            return b"x" * 10

        await bench.get((b"song", "peaks", (name,)), make)

    for name in (1, 2, 3, 1, 4, 1, 2):
        await get(name)
    assert made_of == [1, 2, 3, 4, 2]
