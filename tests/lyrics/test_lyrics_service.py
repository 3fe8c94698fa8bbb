"""The lyrics service over real gRPC, in its own process: streams, refusals, slots, cancellation, drain."""

import asyncio
import os
import subprocess
import sys
from itertools import accumulate
from typing import Any

import grpc
import pytest

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2_grpc as rpc
from deploy.local.ports import LOOPBACK
from services.common.errors import InvalidField, ResourceExhausted, ServiceError, Unimplemented
from services.lyrics import candidates, wire
from services.lyrics.builtin import composer
from services.lyrics.engine import Brief, Finished
from tests.lyrics.lyricist import Client, LyricsProcess

LYRICS = (
    "[Verse 1]\nThe night is falling on the sea\nAnd I am not the man I used to be\n\n[Chorus]\nOh, carry me"
)
SCHEME = "free, or 1 to 16 letters A to Z"
TAGS = "start, intro, verse, pre-chorus, chorus, hook, bridge, solo, inst, break, outro, end"
VERSE, SOLO = pb.SECTION_TAG_VERSE, pb.SECTION_TAG_SOLO
FORMS = pb.GenerateLyricsRequest.Form.keys()[1:]


async def test_stream_is_progress_then_lines_then_one_result(lyricist: Client) -> None:
    heard = await lyricist.write("rainy Tokyo nights", seed=5, duration_s=90)
    assert heard.kinds[0] == "progress"
    assert set(heard.kinds[1:-1]) == {"line", "section", "progress"}
    assert heard.kinds[-1] == "result"
    document, review = heard.result.document, heard.result.review
    ends = list(accumulate(len(section.lines) for section in document.sections))
    assert [p.lines_done for p in heard.progress] == [0, *ends]
    assert {p.lines_total for p in heard.progress} == {len(heard.lines)}
    assert [(s.section_index, s.section) for s in heard.sections] == list(enumerate(document.sections))
    assert [line.text for s in document.sections for line in s.lines] == [line.text for line in heard.lines]
    for line in heard.lines:
        section = document.sections[line.section_index]
        assert (section.tag, section.label) == (line.tag, line.label)
        assert section.lines[line.line_index].text == line.text
    assert (document.engine, document.seed, document.language) == ("builtin", 5, "en")
    assert document.title
    assert review.passed
    assessed = {score.name for score in review.scores if score.assessed}
    assert {"structure", "rhyme", "syllables", "repetition", "language", "fit"} <= assessed
    assert all(score.reason for score in review.scores)


async def test_same_seed_same_lyrics_and_none_draws_one(lyricist: Client) -> None:
    fields: dict[str, Any] = {"theme": "the last train", "genre": "folk", "mood": "sad", "duration_s": 60}
    first, again, other = [await lyricist.write(seed=seed, **fields) for seed in (0, 0, 2**32 - 1)]
    assert first.result == again.result
    assert first.result.document.sections != other.result.document.sections
    drawn = [(await lyricist.write(**fields)).result.document for _ in range(2)]
    assert drawn[0].seed != drawn[1].seed
    assert (await lyricist.write(seed=drawn[0].seed, **fields)).result.document == drawn[0]


async def test_another_process_writes_the_same_song(lyricist: Client) -> None:
    sent = [
        (await lyricist.write("a lonely robot in space", seed=s, duration_s=60)).result.document
        for s in range(4)
    ]
    for seed, there in enumerate(sent):
        *_, here = composer.compose(Brief("a lonely robot in space", seed, 60.0))
        assert isinstance(here, Finished)
        assert wire.document_to(here.document) == there


async def test_scheme_in_small_letters_is_followed(lyricist: Client) -> None:
    document = (await lyricist.write(rhyme_scheme="abba", duration_s=120, seed=1)).result.document
    assert {s.rhyme_scheme for s in document.sections if s.lines} == {"ABBA"}


async def test_length_of_none_is_two_minutes(lyricist: Client) -> None:
    none, two_minutes = [await lyricist.write(seed=3, duration_s=d) for d in (0, 120)]
    assert none.result.document == two_minutes.result.document


@pytest.mark.parametrize(
    ("fields", "reason", "field", "limit"),
    [
        ({"theme": ""}, "REQUIRED", "theme", "1 to 500 characters"),
        ({"theme": " \n\u200b"}, "REQUIRED", "theme", "1 to 500 characters"),
        ({"theme": "x" * 501}, "TOO_LONG", "theme", "500 characters"),
        ({"genre": "x" * 61}, "TOO_LONG", "genre", "60 characters"),
        ({"mood": "x" * 61}, "TOO_LONG", "mood", "60 characters"),
        ({"language": "english"}, "UNKNOWN_VALUE", "language", "an ISO 639-1 code of two letters"),
        ({"duration_s": 4.9}, "OUT_OF_RANGE", "duration_s", "0 or 5 to 600"),
        ({"duration_s": 601}, "OUT_OF_RANGE", "duration_s", "0 or 5 to 600"),
        ({"duration_s": -1}, "OUT_OF_RANGE", "duration_s", "0 or 5 to 600"),
        ({"duration_s": float("nan")}, "OUT_OF_RANGE", "duration_s", "0 or 5 to 600"),
        ({"duration_s": float("inf")}, "OUT_OF_RANGE", "duration_s", "0 or 5 to 600"),
        ({"tempo_bpm": 39}, "OUT_OF_RANGE", "tempo_bpm", "0 or 40 to 220"),
        ({"tempo_bpm": 221}, "OUT_OF_RANGE", "tempo_bpm", "0 or 40 to 220"),
        ({"rhyme_scheme": "A-B"}, "UNKNOWN_VALUE", "rhyme_scheme", SCHEME),
        ({"rhyme_scheme": "ÄÄ"}, "UNKNOWN_VALUE", "rhyme_scheme", SCHEME),
        ({"rhyme_scheme": "A" * 17}, "UNKNOWN_VALUE", "rhyme_scheme", SCHEME),
        ({"candidates": 9}, "OUT_OF_RANGE", "candidates", "0 to 8"),
        ({"lines_per_section": 17}, "OUT_OF_RANGE", "lines_per_section", "0 to 16"),
        ({"form": 99}, "UNKNOWN_VALUE", "form", ", ".join(FORMS)),
        (
            {"form": 1, "structure": [{"tag": VERSE}]},
            "OUT_OF_RANGE",
            "form",
            "unspecified when structure is given",
        ),
        ({"structure": [{"tag": VERSE}] * 41}, "OUT_OF_RANGE", "structure", "40 sections"),
        ({"structure": [{}]}, "UNKNOWN_VALUE", "structure[0].tag", TAGS),
        ({"structure": [{"tag": SOLO}]}, "OUT_OF_RANGE", "structure", "at least one section with words"),
        (
            {"structure": [{"tag": VERSE}, {"tag": SOLO, "lines": 1}]},
            "OUT_OF_RANGE",
            "structure[1].lines",
            "0 for a section without words",
        ),
        ({"structure": [{"tag": VERSE, "lines": 17}]}, "OUT_OF_RANGE", "structure[0].lines", "0 to 16"),
        (
            {"structure": [{"tag": VERSE, "label": "x" * 61}]},
            "TOO_LONG",
            "structure[0].label",
            "60 characters",
        ),
        ({"structure": [{"tag": VERSE, "label": "a]b"}]}, "MALFORMED", "structure[0].label", "no brackets"),
        (
            {"structure": [{"tag": VERSE, "rhyme_scheme": "?"}]},
            "UNKNOWN_VALUE",
            "structure[0].rhyme_scheme",
            SCHEME,
        ),
        (
            {"structure": [{"tag": VERSE, "lines": 2, "rhyme_scheme": "AABB"}]},
            "OUT_OF_RANGE",
            "structure[0].rhyme_scheme",
            "2 letters",
        ),
        (
            {"structure": [{"tag": VERSE}, {"tag": pb.SECTION_TAG_INTRO}]},
            "OUT_OF_RANGE",
            "structure[1].tag",
            "start and intro before what is sung, outro and end after it",
        ),
        ({"rhyme_scheme": "ß"}, "UNKNOWN_VALUE", "rhyme_scheme", "free, or 1 to 16 letters A to Z"),
        ({"structure": [{"tag": VERSE, "lines": 16}] * 9}, "DOES_NOT_FIT", "structure", "48 lines"),
        (
            {"syllables_per_line": {"least": 2, "most": 9}},
            "OUT_OF_RANGE",
            "syllables_per_line.least",
            "3 to 20",
        ),
        ({"syllables_per_line": {"most": 9}}, "OUT_OF_RANGE", "syllables_per_line.least", "3 to 20"),
        (
            {"syllables_per_line": {"least": 9, "most": 8}},
            "OUT_OF_RANGE",
            "syllables_per_line.most",
            "9 to 20",
        ),
        ({"required_words": ["a"] * 9}, "OUT_OF_RANGE", "required_words", "8 words"),
        ({"required_words": ["a", " "]}, "REQUIRED", "required_words[1]", "1 to 40 characters"),
        ({"required_words": ["x" * 41]}, "TOO_LONG", "required_words[0]", "40 characters"),
        (
            {"required_words": ["sea", "holy sh1t"], "clean": True},
            "OUT_OF_RANGE",
            "required_words[1]",
            "no profanity in clean lyrics",
        ),
        ({"required_words": ["?!"]}, "MALFORMED", "required_words[0]", "at least one letter or digit"),
        ({"avoided_words": ["a"] * 101}, "OUT_OF_RANGE", "avoided_words", "100 words"),
        ({"avoided_words": ["x" * 41]}, "TOO_LONG", "avoided_words[0]", "40 characters"),
        (
            {"required_words": ["sea", "dancing shoes"], "avoided_words": ["Dance"]},
            "OUT_OF_RANGE",
            "required_words[1]",
            "no word that is avoided",
        ),
    ],
)
async def test_bad_field_is_refused_by_name(
    lyricist: Client, fields: dict[str, Any], reason: str, field: str, limit: str
) -> None:
    error = await lyricist.refusal(**fields)
    assert isinstance(error, InvalidField)
    assert (error.reason, error.field, error.limit) == (reason, field, limit)


async def test_language_that_the_engine_does_not_write_is_not_written_in_english(lyricist: Client) -> None:
    error = await lyricist.refusal(language="fr")
    assert isinstance(error, Unimplemented)
    assert (error.reason, error.metadata) == ("LANGUAGE_UNSUPPORTED", {"field": "language", "limit": "en"})


async def test_text_is_parsed_and_reviewed(lyricist: Client) -> None:
    response = await lyricist.review(text=LYRICS, duration_s=20)
    verse, chorus = response.document.sections
    assert (verse.tag, verse.label) == (pb.SECTION_TAG_VERSE, "Verse 1")
    assert (chorus.tag, [line.text for line in chorus.lines]) == (pb.SECTION_TAG_CHORUS, ["Oh, carry me"])
    assert (response.document.language, response.document.engine) == ("en", "user")
    assert response.review.passed
    assert 0 < response.review.score <= 1


async def test_written_document_reviews_as_it_was_reviewed(lyricist: Client) -> None:
    written = (await lyricist.write(seed=11, duration_s=60)).result
    brief = pb.GenerateLyricsRequest(theme="rain on the sea", duration_s=60)
    response = await lyricist.review(document=written.document, duration_s=60, brief=brief)
    assert response.review == written.review
    assert response.document == written.document


def section(**fields: Any) -> pb.LyricSection:
    given: dict[str, Any] = {"tag": pb.SECTION_TAG_VERSE, "lines": [pb.LyricLine(text="la")]} | fields
    return pb.LyricSection(**given)


def document(*sections: pb.LyricSection, **fields: Any) -> dict[str, Any]:
    return {"document": pb.LyricDocument(sections=sections, **fields)}


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({}, "REQUIRED", "lyrics"),
        ({"text": "  "}, "REQUIRED", "text"),
        ({"text": "x" * 20_001}, "TOO_LONG", "text"),
        ({"text": "la", "duration_s": 3}, "OUT_OF_RANGE", "duration_s"),
        (document(section(tag=0)), "UNKNOWN_VALUE", "document.sections[0].tag"),
        (document(section(), section(tag=99)), "UNKNOWN_VALUE", "document.sections[1].tag"),
        (document(section(lines=[pb.LyricLine(text=" ")])), "REQUIRED", "document.sections[0].lines[0].text"),
        (
            document(section(lines=[pb.LyricLine(text="a\nb")])),
            "MALFORMED",
            "document.sections[0].lines[0].text",
        ),
        (
            document(section(lines=[pb.LyricLine(text="x" * 201)])),
            "TOO_LONG",
            "document.sections[0].lines[0].text",
        ),
        (document(section(label="x" * 61)), "TOO_LONG", "document.sections[0].label"),
        (document(section(label="[a]")), "MALFORMED", "document.sections[0].label"),
        ({"text": "la", "tempo_bpm": 300}, "OUT_OF_RANGE", "tempo_bpm"),
        ({"text": "la", "language": "english"}, "UNKNOWN_VALUE", "language"),
        ({"text": "la", "brief": {"lines_per_section": 17}}, "OUT_OF_RANGE", "brief.lines_per_section"),
        ({"text": "la", "brief": {"theme": "x" * 501}}, "TOO_LONG", "brief.theme"),
        (document(section(rhyme_scheme="AB")), "MALFORMED", "document.sections[0].rhyme_scheme"),
        (document(*[section()] * 101), "OUT_OF_RANGE", "document.sections"),
        (document(section(lines=[pb.LyricLine(text="la")] * 601)), "OUT_OF_RANGE", "document.sections"),
        (document(section(), title="x" * 201), "TOO_LONG", "document.title"),
        (document(section(), language="xyz"), "UNKNOWN_VALUE", "document.language"),
    ],
)
async def test_bad_lyrics_are_refused_by_name(
    lyricist: Client, fields: dict[str, Any], reason: str, field: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        await lyricist.review(**fields)
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert caught.value.limit


async def test_document_without_words_is_reviewed_as_empty(lyricist: Client) -> None:
    review = (await lyricist.review(document=pb.LyricDocument())).review
    assert (review.passed, review.score, [f.code for f in review.findings]) == (False, 0.0, ["EMPTY"])


async def test_call_without_a_deadline_is_refused(lyrics_process: LyricsProcess) -> None:
    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{lyrics_process.ports[0]}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.LyricsServiceStub(channel).ReviewLyrics(pb.ReviewLyricsRequest(text="la"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_longest_text_is_reviewed_while_others_are_served(lyricist: Client) -> None:
    texts = ["la\n" * 6_666, "[" * 20_000, "a " * 10_000, "Verse:\n" * 2_800, "é" * 20_000]
    reviews = await asyncio.gather(*(lyricist.review(text=text, duration_s=60) for text in texts))
    assert len(reviews) == len(texts)


async def test_text_brings_its_title_and_hears_what_was_left_out(lyricist: Client) -> None:
    text = f"Sure! Here are the lyrics:\n\n# Night Sea\n\n{LYRICS}\n\nLet me know if you want changes!"
    response = await lyricist.review(text=text, language="en")
    assert response.document.title == "Night Sea"
    assert len(response.document.sections) == 2
    left_out = [f.message for f in response.review.findings if f.code == "LEFT_OUT"]
    assert len(left_out) == 2
    assert "Here are the lyrics" in left_out[0]


async def test_best_of_candidates_is_sent_and_nothing_of_the_others(lyricist: Client) -> None:
    fields: dict[str, Any] = {"theme": "the last train", "duration_s": 60}
    seeds = [candidates.seed_of(7, number) for number in range(4)]
    alone = [(await lyricist.write(seed=seed, **fields)).result for seed in seeds]
    best = max(alone, key=lambda result: (result.review.passed, result.review.score))
    heard = await lyricist.write(seed=7, candidates=4, **fields)
    assert heard.result == best
    assert seeds[0] == 7
    assert len(set(seeds)) == 4
    assert [line.text for line in heard.lines] == [
        line.text for section in best.document.sections for line in section.lines
    ]
    assert [p.lines_done for p in heard.progress][:5] == [0] * 5


async def test_cancelled_call_ends_the_writing_and_frees_its_slot(lyricist: Client) -> None:
    before = lyricist.process.metrics()
    request = pb.GenerateLyricsRequest(theme="the sea", duration_s=600, seed=1)
    call = lyricist.stub.GenerateLyrics(request, timeout=20)
    async for response in call:
        if response.WhichOneof("event") == "line":
            break
    call.cancel()
    cancelled = 'acesteps_lyrics_songs_total{engine="builtin",outcome="cancelled"}'
    for _ in range(100):
        after = lyricist.process.metrics()
        if after.get(cancelled, 0) > before.get(cancelled, 0):
            break
        await asyncio.sleep(0.05)
    assert after.get(cancelled, 0) == before.get(cancelled, 0) + 1
    assert after["acesteps_lyrics_slots_busy"] == 0
    lines = 'acesteps_lyrics_lines_total{engine="builtin"}'
    assert after[lines] - before.get(lines, 0) < 104  # as many as the whole song has


async def test_full_service_says_busy_and_when_to_ask_again(tmp_path: Any) -> None:
    with LyricsProcess({"LYRICS_SLOTS": "1"}, tmp_path / "log").running() as process:
        async with process.client() as client:
            calls = [client.write(duration_s=300, seed=seed) for seed in range(12)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            busy = [a for a in answers if isinstance(a, ResourceExhausted)]
            done = [a for a in answers if not isinstance(a, BaseException)]
            assert len(busy) + len(done) == 12
            assert busy
            assert done
            assert {(error.reason, error.retry_delay_s) for error in busy} == {("POD_BUSY", 0.5)}
            assert (await client.write(duration_s=10)).result.document.sections
        assert process.stop() == 0


async def test_two_hundred_at_once_are_served_or_told_to_come_back(tmp_path: Any) -> None:
    with LyricsProcess({"LYRICS_SLOTS": "16"}, tmp_path / "log").running() as process:
        async with process.client() as client:
            calls = [client.write(duration_s=20, seed=s, candidates=1 + s % 2) for s in range(200)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            done = [a for a in answers if not isinstance(a, BaseException)]
            refused = {a.reason for a in answers if isinstance(a, ServiceError)}
            assert len(done) >= 8  # what the slots have room for if every song takes two
            assert refused <= {"POD_BUSY"}
            assert sum(isinstance(a, ResourceExhausted) for a in answers) + len(done) == 200
            assert all(heard.result.document.sections for heard in done)
            assert process.metrics()["acesteps_lyrics_slots_busy"] == 0


async def test_deadline_ends_the_writing(lyricist: Client) -> None:
    request = pb.GenerateLyricsRequest(theme="the sea", duration_s=600, seed=1, candidates=8)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in lyricist.stub.GenerateLyrics(request, timeout=0.15):
            pass
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    for _ in range(100):
        if lyricist.process.metrics()["acesteps_lyrics_slots_busy"] == 0:
            break
        await asyncio.sleep(0.05)
    assert (await lyricist.write(duration_s=10)).result.document.sections


async def test_lyricist_says_what_it_is(lyricist: Client) -> None:
    said = await lyricist.stub.DescribeLyricist(pb.DescribeLyricistRequest(), timeout=5)
    assert (said.engine, said.ai, list(said.languages), said.slots) == ("builtin", False, ["en"], 32)
    assert said.replayable
    assert not said.weights_digest


def test_unknown_engine_stops_the_start_with_one_line() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "services.lyrics"],
        env=os.environ | {"LYRICS_ENGINE": "gpt"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    assert "LYRICS_ENGINE" in run.stderr
