"""One lyrics service for the whole folder; it keeps nothing between calls."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.lyrics.lyricist import Client, LyricsProcess


@pytest.fixture(scope="session")
def lyrics_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LyricsProcess]:
    with LyricsProcess({}, tmp_path_factory.mktemp("lyrics") / "log").running() as process:
        yield process


@pytest.fixture
async def lyricist(lyrics_process: LyricsProcess) -> AsyncIterator[Client]:
    async with lyrics_process.client() as client:
        yield client
