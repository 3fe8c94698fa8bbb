"""The real music service with the engine acestep and a tiny checkpoint: songs, refusals, failing starts."""

import asyncio
import base64
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import torch
from mutagen import id3, mp3
from numpy.typing import NDArray

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.music.v1 import music_service_pb2 as pb
from services.common.errors import InvalidField
from services.common.provenance import SongStatement
from services.common.weights import digest_in
from services.music.acestep.codec import Codec
from services.music.acestep.engine import pcm16
from services.music.acestep.state import SongState
from services.music.weights import RELEASE
from tests.music.pod import Heard, Pod, spec
from tests.music_acestep.tiny_checkpoint import tiny_weights

# mutagen is typed in part
ID3: Any = id3.ID3
MP3: Any = mp3.MP3

STEPS = 12
DURATION_S = 6.0
SAMPLES = round(DURATION_S * 44_100)
SONG_ID = "00000000-0000-4000-8000-00000000000a"
PROMPT = "dream pop, female voice, 96 BPM"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[Pod]:
    settings = {
        "MUSIC_ENGINE": "acestep",
        "MUSIC_WEIGHTS": str(weights),
        "MUSIC_STEPS": str(STEPS),
        "OMP_NUM_THREADS": "1",
    }
    made = Pod(tmp_path_factory.mktemp("pod") / "pod", slots=1, settings=settings, start_patience_s=120)
    with made.running() as running:
        yield running


def order(**fields: object) -> pb.SongSpec:
    lyrics = {
        "language": "en",
        "sections": [
            {
                "tag": lyrics_pb.SECTION_TAG_VERSE,
                "lines": [{"text": "Over the water"}, {"text": "the night"}],
            },
            {"tag": lyrics_pb.SECTION_TAG_OUTRO},
        ],
    }
    usual: dict[str, object] = {
        "song_id": SONG_ID,
        "prompt": PROMPT,
        "duration_s": DURATION_S,
        "lyrics": lyrics,
    }
    return spec(**{**usual, **fields})


@pytest.fixture(scope="module")
def kept() -> dict[str, Heard]:
    return {}


@pytest.fixture
async def song(pod: Pod, kept: dict[str, Heard]) -> Heard:
    """One song, made once and looked at by many tests."""
    if "song" not in kept:
        kept["song"] = await pod.song(order())
    return kept["song"]


def pcm_of(song: Heard) -> NDArray[np.int16]:
    samples, _ = soundfile.read(io.BytesIO(song.master), dtype="int16")
    return np.asarray(samples)


def pcm_sha256(pcm: NDArray[np.int16]) -> bytes:
    return hashlib.sha256(pcm.astype("<i2").tobytes()).digest()


def statement_of(song: Heard) -> SongStatement:
    return SongStatement.from_json(base64.b64decode(json.loads(song.result.envelope)["payload"]))


async def test_the_song_is_exactly_as_long_as_asked_in_master_and_mp3(song: Heard) -> None:
    assert pcm_of(song).shape == (SAMPLES, 2)
    with av.open(io.BytesIO(song.audio), "r") as container:
        decoded = sum(frame.samples for frame in container.decode(audio=0))
    assert decoded == SAMPLES
    assert song.header.total_bytes == len(song.audio)


async def test_it_sounds_and_the_channels_differ(song: Heard) -> None:
    pcm = pcm_of(song).astype(float)
    assert pcm.std() > 10
    assert not np.array_equal(pcm[:, 0], pcm[:, 1])


async def test_progress_counts_every_diffusion_step_and_tells_the_time_left(song: Heard) -> None:
    rendering = [p for p in song.progress if p.stage == "rendering"]
    assert [p.step for p in rendering] == list(range(STEPS + 1))
    assert {p.steps for p in rendering} == {STEPS}
    assert all(p.eta_s > 0 for p in rendering[1:])  # the decode is still to come after the last
    assert rendering[1].eta_s > rendering[-1].eta_s


async def test_the_same_seed_gives_the_same_bytes(pod: Pod, song: Heard) -> None:
    again = await pod.song(order())
    assert again.result.pcm_sha256 == song.result.pcm_sha256
    assert (again.audio, again.state) == (song.audio, song.state)


async def test_another_seed_other_words_and_no_words_give_other_songs(pod: Pod, song: Heard) -> None:
    german = order()
    german.lyrics.sections[0].lines[1].language = "de"
    others = [order(seed=8), order(prompt="dream pop"), order(lyrics=None), german]
    hashes = {(await pod.song(other)).result.pcm_sha256 for other in others}
    assert len(hashes | {song.result.pcm_sha256}) == 5


async def test_the_state_reproduces_the_audio(song: Heard, weights: Path) -> None:
    state = SongState.from_bytes(bytes(song.state))
    assert (state.samples, state.latents.dtype) == (SAMPLES, torch.float16)
    codec = Codec.from_checkpoint(weights, "cpu", torch.float32)
    blocks = [pcm16(block) for block in codec.decode_windows(state.latents, state.samples)]
    assert pcm_sha256(np.concatenate(blocks)) == song.result.pcm_sha256


async def test_the_envelope_names_engine_steps_and_weights(pod: Pod, song: Heard, weights: Path) -> None:
    statement = statement_of(song)
    assert (statement.engine, statement.engine_version) == ("acestep", f"1.0.0+steps.{STEPS}")
    assert statement.weights_digest == digest_in(weights, RELEASE) == song.result.weights_digest
    async with pod.stub() as stub:
        info = await stub.DescribeEngine(pb.DescribeEngineRequest(), timeout=5)
    assert (info.engine, info.ai, info.weights_digest) == ("acestep", True, statement.weights_digest)


async def test_a_cancelled_song_frees_its_slot_within_a_step(pod: Pod) -> None:
    async with aclosing(pod.stream(order(duration_s=120.0))) as stream:
        async for response in stream:
            if response.progress.stage == "rendering" and response.progress.step == 2:
                break
        step_s = response.progress.eta_s / (STEPS - 2)
    began = time.monotonic()
    while (await pod.refusal(order(prompt="x" * 300))).reason == "POD_BUSY":
        assert time.monotonic() - began < 5 * step_s + 2
    assert pod.metric('acesteps_music_songs_total{outcome="cancelled"}') == 1


async def test_a_preview_is_a_whole_mp3_before_the_first_audio_and_changes_no_byte(
    pod: Pod, song: Heard
) -> None:
    previewed = await pod.song(order(preview=True, title="Rain"))
    plain = await pod.song(order(title="Rain"))
    assert previewed.kinds[:5] == ["header", "progress", "preview", "progress", "audio"]
    assert "preview" not in song.kinds + plain.kinds
    with av.open(io.BytesIO(previewed.preview), "r") as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == SAMPLES
    info, tags = MP3(io.BytesIO(previewed.preview)).info, ID3(io.BytesIO(previewed.preview))
    assert (round(info.bitrate, -3), info.sample_rate, info.channels) == (128_000, 44_100, 2)
    assert (str(tags["TIT2"]), str(tags["TXXX:SONG_ID"])) == ("Rain (preview)", SONG_ID)
    assert (previewed.audio, previewed.state) == (plain.audio, plain.state)
    assert previewed.result.pcm_sha256 == song.result.pcm_sha256
    digests = {statement_of(heard).request_digest for heard in (previewed, plain)}
    assert len(digests) == 1


async def test_a_song_cancelled_in_its_preview_frees_its_slot(pod: Pod) -> None:
    async with aclosing(pod.stream(order(duration_s=120.0, preview=True))) as stream:
        async for response in stream:
            if response.WhichOneof("event") == "preview":
                break
    assert response.preview.offset + len(response.preview.data) < response.preview.total_bytes
    began = time.monotonic()
    while (await pod.refusal(order(prompt="x" * 300))).reason == "POD_BUSY":
        assert time.monotonic() - began < 12  # two windows; made to its end, the song takes half a minute
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("fields", "reason", "field", "limit"),
    [
        ({"prompt": "x" * 300}, "TOO_LONG", "spec.prompt", "256 tokens"),
        ({"lyrics": {"language": "zu"}}, "UNSUPPORTED_LANGUAGE", "spec.lyrics.language", "one of"),
        ({"lyrics": {"language": "en", "sections": [
            {"tag": lyrics_pb.SECTION_TAG_INTRO},
            {"tag": lyrics_pb.SECTION_TAG_VERSE, "lines": [{"text": "la"}, {"text": "rain \u2603\ufe0e"}]}]}},
         "UNSUPPORTED_CHARACTER", "spec.lyrics.sections[1].lines[1]", "letters"),
        ({"lyrics": {"sections": [
            {"tag": lyrics_pb.SECTION_TAG_VERSE, "lines": [{"text": "la", "language": "zu"}]}]}},
         "UNSUPPORTED_LANGUAGE", "spec.lyrics.sections[0].lines[0]", "one of"),
        ({"lyrics": {"language": "en", "sections": [
            {"tag": lyrics_pb.SECTION_TAG_VERSE, "lines": [{"text": "b" * 199}] * 22}]}},
         "TOO_LONG", "spec.lyrics.sections[0].lines[20]", "4096 tokens"),
    ],
)  # fmt: skip
async def test_what_the_model_cannot_take_is_refused_by_field_and_limit_before_the_header(
    pod: Pod, fields: dict[str, object], reason: str, field: str, limit: str
) -> None:
    error, heard = await pod.refused(order(**fields))
    assert not heard
    assert isinstance(error, InvalidField)
    assert (error.reason, error.field) == (reason, field)
    assert limit in error.limit
    assert 'file "' not in pod.log.read_text().lower()  # a refusal is no failure


@pytest.mark.parametrize("folder", ["none", "half", "unset"])
def test_missing_weights_stop_the_start_with_one_line_that_says_what_to_run(
    folder: str, weights: Path, tmp_path: Path
) -> None:
    given = {"none": str(tmp_path / "nowhere"), "half": str(tmp_path / "half"), "unset": ""}[folder]
    if folder == "half":
        shutil.copytree(weights, given)
        (Path(given) / "lyric_vocab.json").unlink()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MUSIC_")}
    Pod(tmp_path / "pod")  # writes a key
    environment |= {
        "MUSIC_ENGINE": "acestep",
        "MUSIC_WEIGHTS": given,
        "MUSIC_ATTESTATION_KEY_FILE": str(tmp_path / "pod" / "pod.pem"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.music"], env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert f"run: python -m services.music.weights fetch {given or 'DIR'}" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_wrong_weights_end_the_engine_process_with_one_line(weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    shutil.copytree(weights, folder)
    shutil.copy(folder / "music_vocoder" / "config.json", folder / "ace_step_transformer" / "config.json")
    arguments = ["--engine", "acestep", "--weights", str(folder), "--parent", str(os.getpid())]
    control, other = socket.socketpair()
    with control, other:
        done = subprocess.run(
            [sys.executable, "-m", "services.music.engine_process", *arguments,
             "--control", str(control.fileno()), "--slot", str(control.fileno())],
            capture_output=True, text=True, timeout=60, pass_fds=[control.fileno()],
        )  # fmt: skip
    assert done.returncode == 2
    assert f"run: python -m services.music.weights fetch {folder}" in done.stdout + done.stderr
    assert len((done.stdout + done.stderr).strip().splitlines()) == 1
