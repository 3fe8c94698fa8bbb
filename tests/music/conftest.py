"""One music service for all tests that leave it whole; tests that kill start their own."""

from collections.abc import Iterator

import pytest

from tests.music.pod import Heard, Pod, spec


@pytest.fixture(scope="session")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    with Pod(tmp_path_factory.mktemp("music") / "pod").running() as pod:
        yield pod


_SONGS: dict[str, Heard] = {}


@pytest.fixture
async def song(pod: Pod) -> Heard:
    """One song of 12 s, made once and looked at by many tests."""
    if "song" not in _SONGS:
        order = spec(
            song_id="6f1f2a52-9a4e-4f0c-8f4c-3a3c7f1f2a52",
            title="Night Walk",
            prompt="dreamy synthwave with saxophone",
            duration_s=12.0,
            creator_address="0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        )
        _SONGS["song"] = await pod.song(order)
    return _SONGS["song"]
