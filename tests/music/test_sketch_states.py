"""What the state of a song by the engine sketch holds, and what no source of an edit may be."""

import json
from dataclasses import replace
from typing import Any

import pytest

from services.common.errors import InvalidField
from services.music.edit import Edit, Extend, LyricEdit, Repaint, Source, Variation
from services.music.engine import LyricSection
from tests.music.sketch_songs import ENGINE, PLAYED, SUNG, Made, edited, make, order


@pytest.fixture(scope="module")
def dance() -> Made:
    return make(PLAYED)


def altered(state: bytes, **changes: object) -> bytes:
    return json.dumps({**json.loads(state), **changes}).encode()


def with_take(state: bytes, **changes: object) -> bytes:
    (take,) = json.loads(state)["takes"]
    return altered(state, takes=[{**take, **changes}])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (lambda s: b"acestep\x01" + s, "JSON"),
        (lambda s: b"", "JSON"),
        (lambda s: s[:-9], "JSON"),
        (lambda s: altered(s, engine="acestep"), "engine"),
        (lambda s: altered(s, version="1.0.0"), "version 1.0.0"),
        (lambda s: altered(s, takes=[]), "takes"),
        (lambda s: altered(s, samples=7), "takes of"),
        (lambda s: with_take(s, bars=3), "bars"),
        (lambda s: with_take(s, bars="8"), "takes.0.bars"),
        (lambda s: with_take(s, level=float("nan")), "takes.0.level"),
        (lambda s: with_take(s, seed=2**32), "takes.0.seed"),
        (lambda s: with_take(s, words=[]), "words for 0 sections"),
        (lambda s: with_take(s, more=1), "takes.0.more"),
        (lambda s: with_take(s, reading={**json.loads(s)["asked"], "genre": "polka"}), "polka"),
        (lambda s: with_take(s, meter="13/8"), "13/8"),
        (lambda s: with_take(s, reading={**json.loads(s)["asked"], "meter": "5/3"}), "5/3"),
        (lambda s: with_take(s, reading={**json.loads(s)["asked"], "structure": ["polka"]}), "sections"),
        (lambda s: with_take(s, reading={**json.loads(s)["asked"], "opening": ["lead", "kazoo"]}), "kazoo"),
        (lambda s: with_take(s, reading={**json.loads(s)["asked"], "wanted": {"lead": ["kazoo"]}}), "kazoo"),
    ],
)  # fmt: skip
def test_a_state_that_is_none_of_this_engine_is_refused(dance: Made, bad: Any, said: str) -> None:
    source = Source(dance.pcm, bad(dance.state))
    with pytest.raises(InvalidField) as refusal:
        next(iter(ENGINE.render(order(dance, Variation(0.5), source=source), lambda: False)))
    assert (refusal.value.reason, refusal.value.field) == ("MALFORMED", "state")
    assert said in refusal.value.message


def test_a_state_of_other_samples_is_refused(dance: Made) -> None:
    source = Source(dance.pcm[:-1], dance.state)
    with pytest.raises(InvalidField) as refusal:
        next(iter(ENGINE.render(order(dance, Variation(0.5), source=source), lambda: False)))
    assert (refusal.value.reason, refusal.value.field) == ("SOURCE_MISMATCH", "state")


@pytest.mark.parametrize(
    ("edit", "lyrics", "field"),
    [
        (Repaint(4.0, 12.5, 0.5), (), "edit"),
        (Repaint(4.0, 4.0, 0.5), (), "edit"),
        (Extend(0.0, 0.0), (), "edit"),
        (LyricEdit("remix"), (), "lyrics"),
    ],
)
def test_an_edit_that_the_song_does_not_stand_is_refused(
    dance: Made, edit: Edit, lyrics: tuple[LyricSection, ...], field: str
) -> None:
    with pytest.raises(InvalidField) as refusal:
        next(iter(ENGINE.render(order(dance, edit, lyrics=lyrics), lambda: False)))
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("prompt", "meter"), [("waltz with piano", "3/4"), ("folk in 6/8", "6/8"), ("jazz in 7/8", "7/8")]
)
def test_a_song_in_another_meter_is_edited_in_it(prompt: str, meter: str) -> None:
    source = make(replace(PLAYED, prompt=prompt))
    for edit in (Variation(0.6), Repaint(3.0, 6.0, 1.0), Extend(3.0, 5.0)):
        made = edited(source, edit)
        assert made.timeline.meter == source.timeline.meter == meter
        assert made.outline["takes"][0]["tempo_bpm"] == source.outline["takes"][0]["tempo_bpm"]


def test_stressed_syllables_and_a_fade_outlive_the_state() -> None:
    source = make(replace(SUNG, prompt="pop ballad, ends with a fade", duration_s=15.0))
    again = edited(source, Variation(0.0))
    assert source.outline["asked"]["fade"]
    (take,) = source.outline["takes"]
    sung = "".join(line["syllables"] for section in take["sections"] for line in section["lines"])
    assert sung != sung.lower()  # capitals are stressed
    assert (again.pcm == source.pcm).all()
