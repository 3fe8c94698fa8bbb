"""The sketch engine streams: sound at once, faster than it is played, in memory that does not grow.

Times are of the processor, not of the clock: a test shares its machine.
"""

import time
import tracemalloc

import pytest

from services.music.engine import Audio, RenderRequest
from services.music.sketch.engine import SketchEngine

ENGINE = SketchEngine()


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    ENGINE.warm_up()


def request(prompt: str, duration_s: float) -> RenderRequest:
    return RenderRequest(prompt=prompt, lyrics=(), language="", duration_s=duration_s, seed=3)


def peak_bytes(order: RenderRequest) -> int:
    tracemalloc.start()
    try:
        for _ in ENGINE.render(order, lambda: False):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("prompt", ["trance", "cinematic", "lo-fi hip hop 60 bpm"])
@pytest.mark.parametrize("duration_s", [10.0, 240.0])
def test_the_first_audio_takes_less_than_half_a_second(prompt: str, duration_s: float) -> None:
    began = time.process_time()
    events = ENGINE.render(request(prompt, duration_s), lambda: False)
    next(event for event in events if isinstance(event, Audio) and len(event.pcm))
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("prompt", ["house", "metal", "orchestral"])
def test_a_song_is_made_fifteen_times_as_fast_as_it_is_played(prompt: str) -> None:
    began = time.process_time()
    for _ in ENGINE.render(request(prompt, 30.0), lambda: False):
        pass
    assert 30 / (time.process_time() - began) > 15


def test_memory_does_not_grow_with_the_song() -> None:
    short, long = peak_bytes(request("reggae", 30.0)), peak_bytes(request("reggae", 240.0))
    # The 16-bit samples alone of what is longer would be 37 MB.
    assert long - short < 12e6
