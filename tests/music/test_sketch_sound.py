"""What a render is made of: blocks, borders, seeds, silence. Whole songs: test_sketch_heard.py."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.music.engine import Audio, Finished, LyricSection, Progress, RenderCancelled, RenderRequest
from services.music.sketch.engine import SketchEngine

RATE = 44_100
ENGINE = SketchEngine()
VERSE = LyricSection("verse", ("Walking down the empty street at night", "Every window holds a little light"))


def request(prompt: str, duration_s: float = 10.0, seed: int = 1, *lyrics: LyricSection) -> RenderRequest:
    return RenderRequest(prompt=prompt, lyrics=lyrics, language="en", duration_s=duration_s, seed=seed)


def blocks(order: RenderRequest) -> list[NDArray[np.int16]]:
    return [event.pcm for event in ENGINE.render(order, lambda: False) if isinstance(event, Audio)]


def heard(order: RenderRequest) -> NDArray[np.float64]:
    """(n, 2), full scale is 1."""
    return np.concatenate(blocks(order)) / 32_768


@pytest.mark.parametrize("prompt", ["house", "metal", "ambient", "orchestral", "trap", "jazz"])
def test_nothing_clips_drifts_or_is_too_soft(prompt: str) -> None:
    sound = heard(request(prompt))
    assert len(sound) == 10 * RATE
    assert np.max(np.abs(sound)) < 0.9
    assert np.max(np.abs(sound.mean(axis=0))) < 1e-3
    rms_db = 20 * np.log10(np.sqrt(np.mean(sound**2)))
    assert -22 < rms_db < -11
    assert np.mean((sound[:, 0] - sound[:, 1]) ** 2) > 1e-5  # it is stereo


def test_the_song_starts_at_once_and_ends_in_silence() -> None:
    sound = heard(request("pop"))
    assert np.sqrt(np.mean(sound[: RATE // 2] ** 2)) > 0.02
    loudness = [np.sqrt(np.mean(sound[-n * 441 : len(sound) - (n - 1) * 441] ** 2)) for n in (40, 20, 5, 1)]
    assert loudness == sorted(loudness, reverse=True)
    assert np.all(np.abs(sound[-8:]) < 1e-3)


def test_borders_of_blocks_cannot_be_heard() -> None:
    parts = blocks(request("ambient strings without drums"))
    sound = np.concatenate(parts).astype(float)
    # the second difference is where a cut would show
    edge = np.abs(np.diff(sound, 2, axis=0)).max(axis=1)
    usual = float(np.percentile(edge, 99.9))
    for border in np.cumsum([len(part) for part in parts])[:-1]:
        assert edge[border - 3 : border + 3].max() <= usual * 1.5


def test_the_same_seed_gives_the_same_samples_and_another_seed_others() -> None:
    first, again, other = (heard(request("folk", 6.0, seed)) for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_instrument_that_is_asked_for_is_heard() -> None:
    plain, strings = (heard(request(p, 6.0)) for p in ("house 124 bpm", "house 124 bpm with choir"))
    assert not np.array_equal(plain, strings)
    drums, none = (heard(request(p, 6.0)) for p in ("house 124 bpm", "house 124 bpm, no drums"))
    high = [np.sum(np.abs(np.fft.rfft(s.mean(axis=1)))[6 * 8_000 :] ** 2) for s in (drums, none)]
    assert high[0] > 5 * high[1]


def test_a_voice_sings_where_there_are_words() -> None:
    sung = heard(request("pop", 12.0, 1, VERSE))
    hummed = heard(request("pop", 12.0, 1, LyricSection("verse")))
    assert np.mean((sung - hummed) ** 2) > 1e-3


def test_progress_is_one_step_for_each_bar_and_the_state_comes_last() -> None:
    events = list(ENGINE.render(request("house 120 bpm"), lambda: False))
    bars = [e for e in events if isinstance(e, Progress) and e.stage == "rendering"]
    assert bars[-1].step == bars[-1].steps == len(bars) - 1
    assert bars[-1].eta_s == 0
    assert isinstance(events[-1], Finished)


def test_cancelling_stops_within_a_bar() -> None:
    made = 0

    def enough() -> bool:
        return made >= 2

    with pytest.raises(RenderCancelled):  # noqa: PT012 - the loop is what raises
        for event in ENGINE.render(request("house", 60.0), enough):
            made += isinstance(event, Audio)
    assert made == 2
