"""Each rule alone, and the table of all conditions on the page, which cannot drift from the code."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from services.common.errors import FailedPrecondition
from services.common.provenance import SongStatement
from services.signer.policy import CONDITIONS, SCOPE_RULES, SONG_RULES, Case, Rule, Scope, check_song
from services.signer.request import PermitFormat, read_request
from tests.signer.attested import CONTRACT, chain_of_edits, metadata_of, request_for, statement
from tests.signer.hostile import HOSTILE, HOSTILE_ON_MAINNET, Build, Request

PAGE = Path(__file__).parents[2] / "docs" / "permits.md"
RULES = (*SCOPE_RULES, *SONG_RULES)


def case_of(request: Request, chain_id: int) -> Case:
    """What the rules see, whoever signed the envelopes."""
    payloads = [base64.b64decode(json.loads(envelope)["payload"]) for envelope in request.envelopes]
    formats = frozenset({PermitFormat.EIP712} | ({PermitFormat.PACKED} if chain_id == 31337 else set()))
    scope = Scope(chain_id, bytes.fromhex(CONTRACT[2:]), formats)
    return Case(read_request(request), [SongStatement.from_json(p) for p in payloads], scope)


BROKEN = [
    pytest.param(rule, build, chain_id, id=f"{rule.name}-{name}")
    for table, chain_id in ((HOSTILE, 31337), (HOSTILE_ON_MAINNET, 1))
    for rule in RULES
    for name, build in table.get((rule.reason, rule.name), {}).items()
]


@pytest.mark.parametrize(("rule", "build", "chain_id"), BROKEN)
def test_a_rule_alone_complains_and_those_before_it_do_not(rule: Rule, build: Build, chain_id: int) -> None:
    case = case_of(build(), chain_id)
    assert rule.complaint(case)
    assert [earlier.name for earlier in RULES[: RULES.index(rule)] if earlier.complaint(case)] == []


@pytest.mark.parametrize("length", [1, 2, 32])
def test_no_rule_complains_of_a_good_song_or_edit(length: int) -> None:
    case = case_of(request_for(*chain_of_edits(length)), 31337)
    assert [rule.name for rule in RULES if rule.complaint(case)] == []


@pytest.mark.parametrize("place", [0, 1, 15, 31])
def test_sketch_anywhere_in_a_chain_keeps_it_on_development_chains(place: int) -> None:
    songs = chain_of_edits(32, engine="acestep")
    request = read_request(request_for(*songs, chain_id=1))
    real = Scope(1, request.contract, frozenset({PermitFormat.EIP712}))
    check_song(request, songs, real)
    songs[place] = replace(songs[place], engine="sketch")
    with pytest.raises(FailedPrecondition, match="procedural") as refused:
        check_song(request, songs, real)
    assert refused.value.reason == "ENGINE_NOT_ALLOWED"
    for chain_id in (31337, 1337):
        check_song(request, songs, replace(real, chain_id=chain_id))


def test_metadata_may_say_more_than_what_is_compared() -> None:
    song = statement()
    more = metadata_of(song, image="ipfs://anything", attributes=[{"audio_hash": "0x00"}], name="雨 🎵")
    case = case_of(request_for(song, metadata=more), 31337)
    assert [rule.name for rule in RULES if rule.complaint(case)] == []


def test_the_page_lists_every_condition_as_the_code_has_it() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| `([a-z_]+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [(c.reason, c.name, c.demand) for c in CONDITIONS]
