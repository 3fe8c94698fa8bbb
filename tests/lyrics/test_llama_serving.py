"""The engine llama in the real lyrics process, over gRPC, with a tiny random checkpoint."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from services.common.errors import Unimplemented
from services.common.weights import digest_in
from services.lyrics.llama import random_checkpoint
from services.lyrics.weights import RELEASE
from tests.lyrics.lyricist import LyricsProcess


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint.write(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def process(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LyricsProcess]:
    settings = {"LYRICS_ENGINE": "llama", "LYRICS_WEIGHTS": str(tiny), "LYRICS_DEVICE": "cpu"}
    with LyricsProcess(settings, tmp_path_factory.mktemp("log") / "log").running() as process:
        yield process


async def test_service_says_that_it_is_ai_and_what_it_is_built_with(
    process: LyricsProcess, tiny: Path
) -> None:
    async with process.client() as client:
        told = await client.stub.DescribeLyricist(pb.DescribeLyricistRequest(), timeout=10)
    assert (told.engine, told.ai, told.replayable, list(told.languages)) == ("llama", True, True, ["en"])
    assert "Built with Llama" in told.notice
    assert "Llama 3.2 Community License" in told.notice
    assert told.weights_digest == digest_in(tiny, RELEASE)


async def test_eight_clients_at_once_one_hangs_up(process: LyricsProcess) -> None:
    async with process.client() as client:
        alone = await client.write(seed=2, duration_s=30)

        async def hanging_up() -> None:
            call = client.stub.GenerateLyrics(
                pb.GenerateLyricsRequest(theme="the sea", duration_s=300, seed=9), timeout=20
            )
            async for response in call:
                if response.WhichOneof("event") == "line":
                    break
            call.cancel()

        calls = [client.write(seed=seed, duration_s=30) for seed in range(7)]
        *songs, _ = await asyncio.gather(*calls, hanging_up())
        assert songs[2].result.document == alone.result.document
        for seed, song in enumerate(songs):
            document = song.result.document
            assert (document.engine, document.seed) == ("llama", seed)
            told = [line.text for line in song.lines]
            assert told == [line.text for section in document.sections for line in section.lines]
        for _ in range(100):
            if process.metrics()["acesteps_lyrics_slots_busy"] == 0:
                break
            await asyncio.sleep(0.05)
        assert process.metrics()["acesteps_lyrics_slots_busy"] == 0


async def test_deadline_ends_the_writing(process: LyricsProcess) -> None:
    async with process.client() as client:
        request = pb.GenerateLyricsRequest(theme="the sea", duration_s=600, seed=1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in client.stub.GenerateLyrics(request, timeout=0.3):
                pass
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await client.write(seed=1, duration_s=10)).result.document.sections


async def test_language_that_is_not_set_is_refused(process: LyricsProcess) -> None:
    async with process.client() as client:
        error = await client.refusal(language="de")
    assert isinstance(error, Unimplemented)
    assert error.reason == "LANGUAGE_UNSUPPORTED"


def test_log_has_no_words_of_songs(process: LyricsProcess) -> None:
    log = process.log.read_text()
    assert "weights loaded" in log
    assert "the sea" not in log
    assert "Verse" not in log


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "python -m services.lyrics.weights fetch DIR"),
        ({"LYRICS_WEIGHTS": "/nowhere"}, "python -m services.lyrics.weights fetch /nowhere"),
        ({"LYRICS_WEIGHTS": "/nowhere", "LYRICS_TOP_P": "2"}, "LYRICS_TOP_P"),
    ],
)
def test_start_that_cannot_succeed_is_one_line(settings: dict[str, str], told: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "services.lyrics"],
        env=os.environ | {"LYRICS_ENGINE": "llama"} | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1, run.stderr
    assert told in run.stderr
