"""The review held against prompts, titles and lyrics that people labelled (prompts.tsv).

One part was there to write the rules by; the other was left alone while they were written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import pytest

from services.gateway.review.rules import Field, refusals

LEAST = 0.95
PERSONS = frozenset(("ARTIST_IMITATION", "VOICE_CLONING"))
SONGS = frozenset(("COVER_VERSION", "SONG_RECREATION"))
HARM = frozenset(("SEXUAL_MINORS", "THREAT", "VIOLENCE", "HATE", "SELF_HARM", "DANGEROUS_INSTRUCTIONS"))


@dataclass(frozen=True)
class Labelled:
    part: str
    field: Field
    # one of these has to refuse it; none: it passes
    rules: frozenset[str]
    text: str

    @property
    def found(self) -> frozenset[str]:
        return frozenset(refusal.rule for refusal in refusals(self.field, self.text))


@cache
def labelled() -> tuple[Labelled, ...]:
    lines = Path(__file__).with_name("prompts.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return tuple(
        Labelled(
            part,
            cast(Field, field),
            frozenset() if verdict == "pass" else frozenset(verdict.split("|")),
            text.replace(" / ", "\n"),
        )
        for part, field, verdict, text in rows
    )


def of(part: str, wanted: Callable[[Labelled], bool]) -> list[Labelled]:
    return [one for one in labelled() if one.part == part and wanted(one)]


def test_the_set_is_large_and_half_of_it_is_innocent() -> None:
    for part, least in (("tune", 200), ("held", 120)):
        there = of(part, lambda _: True)
        assert len(there) >= least
        assert 0.4 < sum(not one.rules for one in there) / len(there) < 0.6
    assert len({one.text for one in labelled()}) == len(labelled())


@pytest.mark.parametrize("part", ["tune", "held"])
def test_what_is_refused_should_be_and_what_should_be_is(part: str) -> None:
    there = of(part, lambda _: True)
    refused = [one for one in there if one.found]
    to_refuse = [one for one in there if one.rules]
    false_alarms = [one.text for one in refused if not one.rules]
    missed = [one.text for one in to_refuse if not one.found]
    assert 1 - len(false_alarms) / len(refused) >= LEAST, false_alarms
    assert 1 - len(missed) / len(to_refuse) >= LEAST, missed


@pytest.mark.parametrize("part", ["tune", "held"])
@pytest.mark.parametrize("group", [PERSONS, SONGS, HARM], ids=["persons", "songs", "harm"])
def test_each_group_of_rules_finds_its_own(part: str, group: frozenset[str]) -> None:
    own = of(part, lambda one: bool(one.rules & group))
    found = of(part, lambda one: bool(one.found & group))
    missed = [one.text for one in own if not one.found & group]
    # A prompt may break the rules of two groups; a false alarm is one that breaks none.
    false_alarms = [one.text for one in found if not one.rules]
    assert 1 - len(missed) / len(own) >= LEAST, missed
    assert 1 - len(false_alarms) / len(found) >= LEAST, false_alarms


@pytest.mark.parametrize("part", ["tune", "held"])
def test_a_refusal_names_the_rule(part: str) -> None:
    refused = of(part, lambda one: bool(one.rules and one.found))
    misnamed = [(one.text, sorted(one.found)) for one in refused if not one.rules & one.found]
    assert 1 - len(misnamed) / len(refused) >= LEAST, misnamed
