"""Edits by the engine sketch itself: what stays to the sample, and what changes."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.music.edit import Edit, Extend, LyricEdit, Repaint, Variation
from services.music.engine import (
    Audio,
    Pcm,
    Progress,
    RenderCancelled,
)
from services.music.sketch.engine import VERSION
from services.music.sketch.instruments import SOUNDS
from services.music.sketch.playing import Playing
from services.music.sketch.state import source_song
from services.music.sketch.syllables import syllables
from services.music.sketch.varying import KIN
from tests.music.sketch_songs import (
    BRIDGE,
    CHORUS,
    ENGINE,
    OTHER_CHORUS,
    PLAYED,
    RATE,
    SUNG,
    VERSE,
    Made,
    edited,
    make,
    order,
)


@pytest.fixture(scope="module")
def song() -> Made:
    return make(SUNG)


@pytest.fixture(scope="module")
def dance() -> Made:
    return make(PLAYED)


@pytest.fixture(scope="module")
def slow() -> Made:
    return make(replace(PLAYED, prompt="ambient, 50 BPM", duration_s=8.0))


@pytest.fixture(scope="module")
def longer(song: Made) -> Made:
    return edited(song, Extend(4.0, 9.5), lyrics=(VERSE, CHORUS, BRIDGE))


def spectra(pcm: Pcm) -> NDArray[np.float64]:
    """dB in 30 bands, every 46 ms: what a listener compares."""
    frames = pcm.mean(axis=1)[: len(pcm) // 2048 * 2048].reshape(-1, 2048) / 32_768
    power = np.abs(np.fft.rfft(frames * np.hanning(2048), axis=1)) ** 2
    edges = np.unique(np.geomspace(2, 1024, 31).astype(int))
    return np.asarray(10 * np.log10(np.add.reduceat(power, edges, axis=1) + 1e-4))


def distance_db(a: Pcm, b: Pcm) -> float:
    return float(np.mean(np.abs(spectra(a) - spectra(b))))


def stretches(a: Pcm, b: Pcm) -> list[tuple[float, float]]:
    """Seconds between which two songs differ; what is less than half a second apart is one."""
    where = np.nonzero(np.any(a != b, axis=1))[0]
    if not len(where):
        return []
    breaks = np.nonzero(np.diff(where) > RATE // 2)[0]
    starts, ends = [where[0], *where[breaks + 1]], [*where[breaks], where[-1]]
    return [(s / RATE, e / RATE) for s, e in zip(starts, ends, strict=True)]


def clicks_at(pcm: Pcm, *borders: int) -> bool:
    """Whether the second difference, where a cut would show, sticks out around one of the borders."""
    edge = np.abs(np.diff(pcm.astype(float), 2, axis=0)).max(axis=1)
    for border in borders:
        around = edge[max(border - RATE, 0) : border + RATE]
        if edge[border - 3 : border + 3].max() > 1.5 * np.percentile(around, 99.9):
            return True
    return False


def test_every_edit_is_offered() -> None:
    assert ENGINE.info.tasks == ("text2music", "variation", "repaint", "lyric_edit", "extend")


@pytest.mark.parametrize("edit", [Variation(0.0), Repaint(1.0, 2.0, 0.0), Repaint(0.0, 20.0, 0.0)])
def test_variance_zero_gives_the_source_back(song: Made, edit: Edit) -> None:
    again = edited(song, edit)
    assert np.array_equal(again.pcm, song.pcm)
    assert (again.state, again.progress[0].steps) == (song.state, 0)


def test_a_state_holds_the_song_so_that_any_stretch_of_it_is_played_to_the_sample(longer: Made) -> None:
    # The takes of an extended song, too, but for the joins.
    playing = Playing(source_song(longer.source, VERSION))
    for start, stop in ((1 * RATE, 3 * RATE), (12 * RATE, 14 * RATE), (26 * RATE, len(longer.pcm))):
        again = np.concatenate([block.pcm for block in playing.played(start, stop)])
        assert np.array_equal(again, longer.pcm[start:stop])


def test_a_variation_moves_away_from_the_song_as_far_as_asked(dance: Made) -> None:
    variances = (0.05, 0.25, 0.6, 1.0)
    mean_db = [
        np.mean([distance_db(edited(dance, Variation(v), seed=seed).pcm, dance.pcm) for seed in (8, 9)])
        for v in variances
    ]
    assert mean_db[0] > 0.1
    for nearer, farther in pairwise(mean_db):
        assert farther > 1.03 * nearer
    assert mean_db[-1] > 3 * mean_db[0]


@pytest.mark.parametrize("variance", [0.3, 1.0])
def test_a_variation_keeps_form_harmony_and_words(song: Made, variance: float) -> None:
    varied = edited(song, Variation(variance))
    for kept in ("chords", "sections", "tempo_bpm", "genre", "tonic", "mode", "samples"):
        assert varied.outline[kept] == song.outline[kept]
    assert not np.array_equal(varied.pcm, song.pcm)
    assert distance_db(varied.pcm, song.pcm) > 1.0


def test_what_a_variation_renews_a_larger_one_renews_too(song: Made) -> None:
    def renewed(variance: float) -> set[str]:
        plan = _plan(edited(song, Variation(variance)))
        first = _plan(song)
        parts = {"band": plan.band != first.band, "voicings": plan.voicings != first.voicings}
        parts["groove"] = plan.reading.genre.drums != first.reading.genre.drums
        return {name for name, other in parts.items() if other}

    assert renewed(0.2) == set()
    assert renewed(0.2) <= renewed(0.7) <= renewed(1.0) == {"band", "voicings", "groove"}
    assert _plan(edited(song, Variation(1.0))).band.chords.sound == "piano"  # it was asked for


def _plan(made: Made) -> Any:
    return Playing(source_song(made.source, VERSION)).arrangements[0][1].throughout


def test_sounds_that_stand_in_for_one_another_are_there_and_of_one_kind_each() -> None:
    named = [sound for kin in KIN for sound in kin]
    assert set(named) <= set(SOUNDS)
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("interval", [(6.1, 9.3), (0.0, 4.0), (17.0, 20.0), (8.0, 8.05)])
def test_a_repaint_leaves_every_other_sample_and_does_not_click(
    song: Made, interval: tuple[float, float]
) -> None:
    start, stop = (round(seconds * RATE) for seconds in interval)
    painted = edited(song, Repaint(*interval, variance=0.8))
    assert np.array_equal(painted.pcm[:start], song.pcm[:start])
    assert np.array_equal(painted.pcm[stop:], song.pcm[stop:])
    assert not np.array_equal(painted.pcm[start:stop], song.pcm[start:stop])
    assert not clicks_at(painted.pcm, *{start, stop} - {0, len(song.pcm)})
    assert painted.outline["chords"] == song.outline["chords"]


def test_a_repaint_with_another_prompt_changes_who_plays_there_and_nobody_else(dance: Made) -> None:
    prompt = "house, 124 BPM, with saxophone and strings"
    painted = edited(dance, Repaint(4.0, 8.0, 0.3), prompt=prompt)
    assert distance_db(painted.pcm[4 * RATE : 8 * RATE], dance.pcm[4 * RATE : 8 * RATE]) > 2.0
    # Asked for once: it does not spread to an edit that leaves the prompt as it is.
    varied = edited(painted, Variation(0.05), prompt=prompt)
    assert distance_db(varied.pcm[: 3 * RATE], dance.pcm[: 3 * RATE]) < 2.0


@pytest.mark.parametrize(
    ("left_s", "right_s"), [(0.0, 9.5), (6.2, 0.0), (3.3, 7.7), (0.4, 0.3), (0, 1 / RATE)]
)
def test_an_extension_is_as_long_as_asked_and_keeps_the_song(
    dance: Made, left_s: float, right_s: float
) -> None:
    extended = edited(dance, Extend(left_s, right_s))
    left, right = round(left_s * RATE), round(right_s * RATE)
    assert len(extended.pcm) == left + len(dance.pcm) + right
    assert np.array_equal(extended.pcm[left : left + len(dance.pcm)], dance.pcm)
    assert not clicks_at(extended.pcm, *{left, left + len(dance.pcm)} - {0, len(extended.pcm)})
    for key in ("tempo_bpm", "genre", "tonic", "mode"):
        assert extended.outline[key] == dance.outline[key]
    assert np.all(np.abs(extended.pcm[-8:]) < 64)  # it ends


@pytest.mark.parametrize("right_s", [0.2, 0.3, 1.5, 2.5, 3.5, 4.5, 5.5])
def test_what_is_too_short_for_a_bar_is_a_last_chord_and_can_be_edited(slow: Made, right_s: float) -> None:
    extended = edited(slow, Extend(0.0, right_s))
    new = extended.pcm[8 * RATE :].astype(float)
    assert (np.sqrt(np.mean(new**2)) > 100) == (right_s > 0.25)
    assert source_song(extended.source, VERSION).samples == len(extended.pcm)


def test_an_extension_goes_on_where_a_bar_begins_with_the_chords_of_the_song(song: Made) -> None:
    extended = edited(song, Extend(7.0, 12.0))
    bar_s = 60 / extended.outline["tempo_bpm"] * 4
    takes = extended.outline["takes"]
    first_bars_s = [0.0, 7.0, 27.0]
    for at_s, take in zip(first_bars_s, takes, strict=True):
        bars = (at_s + take["origin"] / RATE - 7.0) / bar_s
        assert bars == pytest.approx(round(bars), abs=1e-4)
    rms = [np.sqrt(np.mean(extended.pcm[s * RATE : (s + 2) * RATE].astype(float) ** 2)) for s in (2, 12, 31)]
    assert min(rms) > 0.4 * max(rms)  # both are music, as loud as the song
    chords = {chord for bar in extended.outline["chords"] for chord in bar}
    pool = {chord for bar in song.outline["chords"] for chord in bar}
    assert len(chords & pool) >= 2


def test_sections_beyond_those_that_are_sung_are_sung_in_what_is_added(song: Made, longer: Made) -> None:
    assert not [s for s in _sung(song) if s["section"] == 2]
    added = [line for line in _sung(longer) if line["section"] == 2]
    assert [line["line"] for line in added] == [0, 1]
    assert added[0]["start_s"] > 24.0
    assert len(_sung(edited(song, Extend(0.0, 9.5)))) == len(_sung(song))


def _sung(made: Made) -> list[dict[str, Any]]:
    return [line for section in made.outline["sections"] for line in section["lines"]]


def test_other_words_change_the_voice_where_they_are_sung_and_nothing_else(song: Made) -> None:
    reworded = edited(song, LyricEdit("only_lyrics"), lyrics=(VERSE, OTHER_CHORUS))
    line = next(line for line in _sung(song) if (line["section"], line["line"]) == (1, 0))
    (heard,) = stretches(reworded.pcm, song.pcm)
    assert line["start_s"] - 0.2 < heard[0] < line["start_s"] + 0.1
    assert heard[1] < line["end_s"] + 2.5  # the room
    # What is left when one is taken from the other sings: formants, and neither bass nor cymbals.
    start, stop = (round(seconds * RATE) for seconds in heard)
    residual = (reworded.pcm[start:stop].astype(float) - song.pcm[start:stop]).mean(axis=1)
    music = song.pcm[start:stop].mean(axis=1)
    hz = np.fft.rfftfreq(len(residual), 1 / RATE)
    bass = hz < 110
    power = [np.sum(np.abs(np.fft.rfft(x)[bass]) ** 2) for x in (residual, music)]
    assert power[0] < 0.02 * power[1]
    assert reworded.outline["chords"] == song.outline["chords"]


def test_the_same_words_give_the_song_back(song: Made) -> None:
    again = edited(song, LyricEdit("only_lyrics"))
    assert np.array_equal(again.pcm, song.pcm)
    assert again.progress[0].steps == 0


def test_a_remix_moves_the_music_along_in_the_sections_with_other_words(song: Made) -> None:
    remixed = edited(song, LyricEdit("remix"), lyrics=(VERSE, OTHER_CHORUS))
    only = edited(song, LyricEdit("only_lyrics"), lyrics=(VERSE, OTHER_CHORUS))
    (heard,) = stretches(remixed.pcm, song.pcm)
    chorus = next(s for s in song.outline["sections"] if s["kind"] == "chorus")
    bar_s = 60 / song.outline["tempo_bpm"] * 4
    assert heard[0] > chorus["first_bar"] * bar_s - 0.3
    assert heard[1] < (chorus["first_bar"] + chorus["bars"]) * bar_s + 2.5
    assert not np.array_equal(remixed.pcm, only.pcm)


def test_an_instrumental_gets_words_and_loses_them_again(dance: Made) -> None:
    sung = edited(dance, LyricEdit("only_lyrics"), lyrics=(CHORUS,))
    assert [line["syllables"] for line in _sung(sung)] == [len(syllables(line)) for line in CHORUS.lines]
    assert not np.array_equal(sung.pcm, dance.pcm)
    silent = edited(sung, Variation(0.01), lyrics=())
    assert _sung(silent) == []


def test_edits_of_edits_go_on_from_what_was_made(longer: Made) -> None:
    chain = [longer]
    words = longer.request.lyrics
    for edit in (Repaint(3.0, 6.0, 1.0), Variation(0.3), LyricEdit("only_lyrics"), Extend(0.0, 6.0)):
        lyrics = words if isinstance(edit, Repaint | Variation) else (VERSE, OTHER_CHORUS, BRIDGE)
        chain.append(edited(chain[-1], edit, lyrics=lyrics))
    _, painted, varied, reworded, last = chain
    assert stretches(painted.pcm, longer.pcm)[0][0] >= 3.0
    assert varied.outline["sections"] == longer.outline["sections"]
    (heard,) = stretches(reworded.pcm, varied.pcm)
    assert heard[1] - heard[0] < 8.0
    assert np.array_equal(last.pcm[: len(reworded.pcm)], reworded.pcm)
    assert len(last.outline["takes"]) == 4


def test_the_same_request_gives_the_same_song_and_another_seed_another(song: Made) -> None:
    edit = Repaint(6.0, 9.0, 0.5)
    first, again, other = (edited(song, edit, seed=seed) for seed in (8, 8, 9))
    assert np.array_equal(first.pcm, again.pcm)
    assert first.state == again.state
    assert not np.array_equal(first.pcm, other.pcm)
    # also under the seed of the song itself, and once more under the same
    assert not np.array_equal(edited(song, edit, seed=song.request.seed).pcm, song.pcm)
    assert not np.array_equal(edited(first, edit, seed=8).pcm, first.pcm)


def test_what_is_kept_is_heard_at_once_and_cancelling_stops_in_the_middle(song: Made) -> None:
    blocks: list[int] = []
    heard_by_step: list[int] = []

    def listen() -> None:
        repaint = order(song, Repaint(6.0, 19.0, 0.5))
        for event in ENGINE.render(repaint, lambda: len(heard_by_step) > 3):
            if isinstance(event, Audio):
                blocks.append(len(event.pcm))
            if isinstance(event, Progress) and event.stage == "rendering":
                heard_by_step.append(sum(blocks))

    with pytest.raises(RenderCancelled):
        listen()
    assert heard_by_step[:2] == [0, 6 * RATE]  # all that comes before the interval, with the first bar
    assert sum(blocks) < 12 * RATE


def test_the_timeline_of_an_extended_song_is_that_of_all_its_parts(song: Made, longer: Made) -> None:
    first, all_of_it = song.timeline, longer.timeline
    assert all_of_it.duration_s == pytest.approx(33.5)
    ends = [0.0, *(section.end_s for section in all_of_it.sections)]
    assert [section.start_s for section in all_of_it.sections] == pytest.approx(ends[:-1])
    assert ends[-1] == pytest.approx(33.5)
    assert [(line.section, line.line) for line in all_of_it.lines] == [
        (0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1),
    ]  # fmt: skip
    for old, new in zip(first.lines, all_of_it.lines[:4], strict=True):
        assert new.start_s == pytest.approx(old.start_s + 4.0)
    assert all_of_it.lines[4].start_s > 24.0
    assert sum(len(t.notes) for t in all_of_it.tracks) > sum(len(t.notes) for t in first.tracks)


def test_a_line_whose_words_are_no_longer_asked_for_is_not_in_the_timeline(song: Made) -> None:
    kept = edited(song, Extend(0.0, 6.0), lyrics=(replace(VERSE, lines=("Other words",)),))
    assert len(_sung(kept)) == 4  # they are heard
    assert list(kept.timeline.lines) == []
