"""A song made from a song: what is asked for, what its source gives, and what reaches the music service."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from services.common.errors import FailedPrecondition, InvalidField, ResourceExhausted, Unimplemented
from services.gateway.database import open_database
from services.gateway.objects import key_of
from services.gateway.store import Store
from tests.gateway.mesh import CALL_S, CREATOR, Gateway, Mesh, problem_of
from tests.gateway.pods import LINES, Script, rendered, statement_of
from tests.gateway.test_faces import JSON, same
from tests.signer.attested import STRANGER

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]

REPAINT: dict[str, Any] = {"repaint": {"start_s": 1.0, "end_s": 2.5}}
REMIX = {"mode": music_pb.LyricEdit.MODE_REMIX}


async def sung(gateway: Gateway, **fields: Any) -> pb.Song:
    """A finished song with words."""
    asked = {"instrumental": False, "seed": 7, "language": "en", "creator_address": CREATOR}
    return await gateway.ended((await gateway.create(**asked | fields)).id)


async def change(gateway: Gateway, source: pb.Song, **fields: Any) -> pb.Song:
    """The song asked for, not made yet."""
    request = pb.CreateSongRequest(source_song_id=source.id, **fields)
    return (await gateway.grpc.CreateSong(request, timeout=CALL_S)).song


async def changed(gateway: Gateway, source: pb.Song, **fields: Any) -> pb.Song:
    song = await gateway.ended((await change(gateway, source, **fields)).id)
    assert song.state == pb.SONG_STATE_SUCCEEDED, song.failure
    return song


def words(song: pb.Song) -> list[str]:
    return [line.text for section in song.lyrics.sections for line in section.lines]


async def test_an_edit_reaches_the_music_service_with_its_whole_source(
    shared_pods: Mesh, shared: Gateway
) -> None:
    source = await sung(shared)
    song = await changed(shared, source, **REPAINT, seed=8)
    spec, (sent,) = shared_pods.music.specs[-1], shared_pods.music.sources
    assert spec.repaint == music_pb.Repaint(start_s=1.0, end_s=2.5)
    assert (spec.song_id, spec.prompt, spec.seed) == (song.id, source.prompt, 8)
    assert spec.lyrics == source.lyrics == song.lyrics
    kept = rendered(source.id, 7, 5.0)
    assert (sent.state, sent.master) == (kept.state, kept.master)
    assert sent.longest == 65_536 < len(kept.master)
    (envelope,) = sent.envelopes
    assert statement_of(envelope).audio_sha256.hex() == source.audio.sha256
    assert (song.source_song_id, song.repaint) == (source.id, spec.repaint)
    assert not source.source_song_id
    assert source.WhichOneof("edit") is None
    assert len(shared_pods.lyrics.requests) == 1  # the source's words


async def test_an_edit_of_an_edit_brings_the_chain_its_own_first(shared_pods: Mesh, shared: Gateway) -> None:
    first = await sung(shared)
    second = await changed(shared, first, variation={})
    assert second.HasField("variation")  # though nothing is said in it
    third = await changed(shared, second, extend={"right_s": 1.5})
    fourth = await changed(shared, third, **REPAINT)
    sent = [statement_of(envelope).song_id for envelope in shared_pods.music.sources[-1].envelopes]
    assert sent == [third.id, second.id, first.id]
    assert (third.duration_s, fourth.duration_s) == (6.5, 6.5)


async def test_what_is_left_empty_is_the_sources(shared: Gateway) -> None:
    source = await sung(shared, title="Rain", reveal_prompt=True)
    song = await changed(shared, source, **REPAINT)
    for name in ("prompt", "title", "instrumental", "duration_s", "creator_address", "lyrics"):
        assert getattr(song, name) == getattr(source, name), name
    assert not song.reveal_prompt  # asked for each song anew
    assert song.seed != source.seed
    wordless = await shared.ended((await shared.create()).id)
    assert (await changed(shared, wordless, **REPAINT)).instrumental


async def test_what_is_given_is_the_new_songs(shared_pods: Mesh, shared: Gateway) -> None:
    source = await sung(shared)
    given = {"prompt": "slow waltz", "title": "Snow", "lyrics": "one line\nand two", "language": "de"}
    song = await changed(shared, source, extend={"left_s": 2.0}, **given)
    assert (song.prompt, song.title, song.lyrics.language) == ("slow waltz", "Snow", "de")
    assert words(song) == ["one line", "and two"]
    assert (song.duration_s, shared_pods.music.specs[-1].duration_s) == (7.0, 7.0)
    same_words = await changed(shared, source, **REPAINT, language="fr")
    assert (words(same_words), same_words.lyrics.language) == (list(LINES), "fr")
    assert (await changed(shared, source, **REPAINT, instrumental=True)).instrumental
    wordless = await shared.ended((await shared.create()).id)
    now_sung = await changed(shared, wordless, **REPAINT, lyrics="la la la")
    assert (now_sung.instrumental, words(now_sung)) == (False, ["la la la"])


async def test_new_words_are_read_as_given_words_are(shared_pods: Mesh, shared: Gateway) -> None:
    source = await sung(shared)
    song = await changed(shared, source, lyric_edit=REMIX, lyrics="snow on the roof\nsnow on the pane")
    assert words(song) == ["snow on the roof", "snow on the pane"]
    assert (song.lyric_edit.mode, song.title) == (music_pb.LyricEdit.MODE_REMIX, source.title)
    shared_pods.lyrics.gate = "LINE_TOO_LONG"
    with pytest.raises(grpc.aio.AioRpcError, match="cannot be sung"):
        await change(shared, source, lyric_edit=REMIX, lyrics="x")


async def test_sampling_is_passed_on_and_shown(shared_pods: Mesh, shared: Gateway) -> None:
    asked = music_pb.Sampling(preset=music_pb.Sampling.PRESET_FAST, guidance_scale=7.0, erg_text=False)
    song = await shared.create(sampling=asked)
    assert song.sampling == asked
    await shared.ended(song.id)
    assert shared_pods.music.specs[-1].sampling == asked
    plain = await shared.create(sampling={})
    assert not plain.HasField("sampling")


BAD_EDITS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"source_song_id": ""}, "REQUIRED", "source_song_id", "a song of yours"),
    ({"repaint": None}, "REQUIRED", "edit", "one of variation, repaint, lyric_edit, extend"),
    ({"duration_s": 5.0}, "OUT_OF_RANGE", "duration_s", "absent"),
    ({"creator_address": STRANGER}, "OUT_OF_RANGE", "creator_address", CREATOR),
    ({"prompt": "x" * 1001}, "TOO_LONG", "prompt", "1000"),
    ({"prompt": "sung by Elvis Presley"}, "PROMPT_REFUSED", "prompt", ""),
    ({"variation": {"variance": 1.1}}, "OUT_OF_RANGE", "variation.variance", "0 to 1"),
    ({"variation": {"variance": float("nan")}}, "OUT_OF_RANGE", "variation.variance", "0 to 1"),
    ({"variation": {}, "sampling": {"steps": 9}}, "OUT_OF_RANGE", "sampling", "absent with a variation"),
    ({"repaint": {"start_s": 1, "end_s": 2, "variance": -1}}, "OUT_OF_RANGE", "repaint.variance", "0 to 1"),
    ({"repaint": {"start_s": -1, "end_s": 2}}, "OUT_OF_RANGE", "repaint.start_s", "0 to 600"),
    ({"repaint": {"start_s": 2, "end_s": 2}}, "OUT_OF_RANGE", "repaint.end_s", "behind start_s"),
    ({"repaint": {}}, "OUT_OF_RANGE", "repaint.end_s", "behind start_s"),
    ({"repaint": {"start_s": 0, "end_s": 241}}, "OUT_OF_RANGE", "repaint.end_s", "by at most 240"),
    ({"repaint": {"start_s": 0, "end_s": float("inf")}}, "OUT_OF_RANGE", "repaint.end_s", "0 to 600"),
    ({"repaint": {"start_s": 4, "end_s": 5.1}}, "OUT_OF_RANGE", "repaint.end_s", "at most 5 seconds"),
    ({"lyric_edit": {}, "lyrics": "la"}, "REQUIRED", "lyric_edit.mode", "MODE_REMIX"),
    ({"lyric_edit": {"mode": "MODE_REMIX"}}, "REQUIRED", "lyrics", "at least one line"),
    ({"lyric_edit": {"mode": "MODE_REMIX"}, "lyrics": " \n"}, "REQUIRED", "lyrics", "at least one line"),
    ({"extend": {}}, "OUT_OF_RANGE", "extend", "at least a sample"),
    ({"extend": {"left_s": -1, "right_s": 5}}, "OUT_OF_RANGE", "extend.left_s", "0 to 240"),
    ({"extend": {"right_s": 240.5}}, "OUT_OF_RANGE", "extend.right_s", "0 to 240"),
    ({"extend": {"left_s": 200, "right_s": 41}}, "OUT_OF_RANGE", "extend", "240 seconds together"),
]  # fmt: skip


@pytest.fixture(scope="module")
def sources() -> dict[str, pb.Song]:
    """A song that no test changes, made once."""
    return {}


@pytest.mark.parametrize(("fields", "reason", "field", "limit"), BAD_EDITS, ids=lambda value: str(value)[:40])
async def test_an_edit_out_of_its_limits_is_refused_alike_on_both_faces(
    shared: Gateway, sources: dict[str, pb.Song], fields: dict[str, Any], reason: str, field: str, limit: str
) -> None:
    source = sources.setdefault("song", sources.get("song") or await sung(shared))
    edit = {} if {"variation", "repaint", "lyric_edit", "extend"} & set(fields) else REPAINT
    asked = {k: v for k, v in ({"source_song_id": source.id} | edit | fields).items() if v is not None}
    error = await shared.refusal("CreateSong", pb.CreateSongRequest(**asked))
    assert (error.reason, error.metadata["field"]) == (reason, field)
    assert limit in error.metadata.get("limit", "")
    answer = await shared.http.post("/v1/songs", content=json.dumps(asked), headers=JSON)
    assert same(problem_of(answer), error)


async def test_an_unknown_mode_is_refused(shared: Gateway, sources: dict[str, pb.Song]) -> None:
    request = pb.CreateSongRequest(source_song_id=str(uuid4()), lyrics="la")
    request.lyric_edit.mode = 9  # proto3 enums are open
    source = sources.setdefault("song", sources.get("song") or await sung(shared))
    request.source_song_id = source.id
    error = await shared.refusal("CreateSong", request)
    assert (error.reason, error.metadata["field"]) == ("UNKNOWN_VALUE", "lyric_edit.mode")


async def test_a_length_counts_against_that_of_the_source(shared_pods: Mesh, shared: Gateway) -> None:
    long, longest = await sung(shared), await sung(shared)
    async with open_database(shared_pods.environment["database_url"], connections=1) as database:
        for song, seconds in ((long, 400.0), (longest, 600.0)):
            sql = "UPDATE songs SET audio_duration_s = $2 WHERE id = $1"
            await database.value(sql, UUID(song.id), seconds)
    for song, fields, field, limit in (
        (long, {"variation": {}}, "variation", "songs of at most 240 seconds"),
        (long, {"lyric_edit": REMIX, "lyrics": "la"}, "lyric_edit", "songs of at most 240 seconds"),
        (long, {"extend": {"left_s": 1.0, "right_s": 200.0}}, "extend", "at most 600 seconds in all"),
        (longest, {"extend": {"right_s": 0.001}}, "extend", "at most 600 seconds in all"),
    ):
        error = await shared.refusal("CreateSong", pb.CreateSongRequest(source_song_id=song.id, **fields))
        assert (error.reason, error.metadata["field"]) == ("OUT_OF_RANGE", field)
        assert error.metadata["limit"] == limit
    shared_pods.music.follow(Script(error=Unimplemented("EDIT_UNSUPPORTED", "ten minutes of noise")))
    whole = await change(shared, long, extend={"left_s": 1.0, "right_s": 199.0})
    assert whole.duration_s == 600.0
    assert (await shared.ended(whole.id)).failure.reason == "EDIT_UNSUPPORTED"


async def test_only_a_finished_song_of_ones_own_is_changed(shared_pods: Mesh, shared: Gateway) -> None:
    async def refusal(song_id: str) -> tuple[str, str]:
        error = await shared.refusal("CreateSong", pb.CreateSongRequest(source_song_id=song_id, **REPAINT))
        return error.reason, error.metadata.get("field", "")

    assert await refusal(str(uuid4())) == ("SONG_NOT_FOUND", "source_song_id")
    assert await refusal("nonsense") == ("SONG_NOT_FOUND", "source_song_id")
    other = await sung(shared)
    async with open_database(shared_pods.environment["database_url"], connections=1) as database:
        await Store(database).enter_account(stranger := uuid4(), "")
        await database.value("UPDATE songs SET account_id = $2 WHERE id = $1", UUID(other.id), stranger)
    assert await refusal(other.id) == ("SONG_NOT_FOUND", "source_song_id")
    script = Script(pause_after=1)
    shared_pods.music.follow(script)
    song = await shared.create()
    await script.paused.wait()
    assert (await refusal(song.id))[0] == "SONG_NOT_READY"
    await shared.grpc.CancelSong(pb.CancelSongRequest(song_id=song.id), timeout=CALL_S)
    assert (await refusal(song.id))[0] == "SONG_CANCELLED"


async def test_a_song_is_changed_until_its_chain_is_as_long_as_one_that_is_signed_for(
    shared_pods: Mesh, shared: Gateway
) -> None:
    song = await changed(shared, await sung(shared), **REPAINT)
    ancestor = "INSERT INTO songs SELECT (jsonb_populate_record(s, $2::jsonb)).* FROM songs s WHERE id = $1"
    async with open_database(shared_pods.environment["database_url"], connections=1) as database:
        ids = [UUID(song.id)]
        for _ in range(30):
            ids.append(uuid4())
            link = json.dumps({"id": str(ids[-1]), "source_song_id": str(ids[-2])})
            await database.value(ancestor, ids[0], link)
    request = pb.CreateSongRequest(source_song_id=str(ids[-1]), **REPAINT)  # the 32nd
    error = await shared.refusal("CreateSong", request)
    assert (error.reason, error.metadata["field"]) == ("CHAIN_TOO_LONG", "source_song_id")
    assert "31" in error.metadata["limit"]
    request.source_song_id = str(ids[-2])  # the 31st
    last = (await shared.grpc.CreateSong(request, timeout=CALL_S)).song
    assert (await shared.ended(last.id)).state == pb.SONG_STATE_SUCCEEDED
    assert len(shared_pods.music.sources[-1].envelopes) == 31


async def test_nobody_gets_a_wallet_by_changing_a_song_that_has_none(shared: Gateway) -> None:
    nobodys = await sung(shared, creator_address="")
    request = pb.CreateSongRequest(source_song_id=nobodys.id, creator_address=CREATOR, **REPAINT)
    error = await shared.refusal("CreateSong", request)
    assert (error.metadata["field"], error.metadata["limit"]) == ("creator_address", "absent")
    own = await sung(shared)
    assert (await change(shared, own, **REPAINT, creator_address=CREATOR.lower())).creator_address == CREATOR


async def test_a_repeated_edit_is_the_same_song_and_another_is_none(shared: Gateway) -> None:
    source = await sung(shared)
    fields: dict[str, Any] = {**REPAINT, "request_id": "edit-1", "sampling": {"steps": 9}}
    first = await change(shared, source, **fields)
    assert (await change(shared, source, **fields)).id == first.id
    other = await sung(shared)
    for asked in (
        {**fields, "repaint": {"start_s": 1.0, "end_s": 2.4}},
        {**fields, "sampling": {"steps": 10}},
        {**fields, "sampling": None},
        {**fields, "source_song_id": other.id},
    ):
        request = pb.CreateSongRequest(**{"source_song_id": source.id, **asked})
        assert (await shared.refusal("CreateSong", request)).reason == "REQUEST_ID_REUSED", asked


@pytest.mark.parametrize(
    "error",
    [
        Unimplemented("EDIT_UNSUPPORTED", "the engine sketch makes no repaint"),
        Unimplemented("SAMPLING_UNSUPPORTED", "the engine sketch does not sample"),
        FailedPrecondition("FOREIGN_ENGINE", "made by another engine"),
        FailedPrecondition("SOURCE_NOT_ATTESTED", "envelope 0: key unknown"),
        InvalidField("SOURCE_MISMATCH", "state", "not the one that is attested"),
    ],
    ids=lambda error: error.reason,
)
async def test_an_edit_that_no_pod_makes_fails_at_once(
    shared_pods: Mesh, shared: Gateway, sources: dict[str, pb.Song], error: FailedPrecondition
) -> None:
    source = sources.setdefault("song", sources.get("song") or await sung(shared))
    shared_pods.music.follow(Script(error=error))
    song = await shared.ended((await change(shared, source, **REPAINT)).id)
    assert (song.state, song.attempt, song.failure.reason) == (pb.SONG_STATE_FAILED, 1, error.reason)


async def test_an_edit_whose_sources_files_are_gone_says_so_at_once(shared: Gateway) -> None:
    source = await sung(shared, seed=1234)  # a master of its own
    folder = Path(shared.settings.objects_url.removeprefix("file://"))
    async with open_database(shared.settings.database_url.get_secret_value(), connections=1) as database:
        master = await database.value("SELECT master_sha256 FROM songs WHERE id = $1", UUID(source.id))
    (folder / key_of(master)).unlink()
    song = await shared.ended((await change(shared, source, **REPAINT)).id)
    assert (song.attempt, song.failure.reason) == (1, "SOURCE_MISSING")
    assert "master" in song.failure.message


async def test_a_pod_that_is_busy_is_not_sent_the_source(shared_pods: Mesh, shared: Gateway) -> None:
    source = await sung(shared)
    busy = ResourceExhausted("POD_BUSY", "every slot is taken", retry_delay_s=0.05)
    shared_pods.music.follow(Script(unwanted=busy), Script(unwanted=busy))
    song = await changed(shared, source, **REPAINT)
    assert (song.attempt, len(shared_pods.music.sources)) == (3, 1)


async def test_a_pod_that_does_not_call_for_the_source_is_sent_it_all_the_same(
    shared_pods: Mesh, shared: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.work.renderer.GO_AHEAD_WITHIN_S", 0.1)
    source = await sung(shared)
    shared_pods.music.silent_about_sources = True
    song = await changed(shared, source, **REPAINT)
    assert (song.attempt, len(shared_pods.music.sources)) == (1, 1)


async def test_cancelling_stops_the_sending_of_a_source(shared_pods: Mesh, shared: Gateway) -> None:
    source = await sung(shared)
    script = Script(deaf=True)
    shared_pods.music.follow(script)
    song = await change(shared, source, **REPAINT)
    await shared.until(song.id, state=pb.SONG_STATE_RUNNING)
    await shared.grpc.CancelSong(pb.CancelSongRequest(song_id=song.id), timeout=CALL_S)
    await asyncio.wait_for(script.ended.wait(), 2.0)
    assert not shared_pods.music.sources


async def test_json_says_edits_as_the_protos_do(shared: Gateway, sources: dict[str, pb.Song]) -> None:
    source = sources.setdefault("song", sources.get("song") or await sung(shared))
    body: dict[str, Any] = {"source_song_id": source.id, "repaint": {"start_s": 2, "end_s": 4}}
    answer = await shared.http.post("/v1/songs", json={**body, "variation": None})
    assert answer.status_code == 201, answer.text
    song = answer.json()["song"]
    assert (song["source_song_id"], song["repaint"]) == (source.id, {"start_s": 2.0, "end_s": 4.0})
    assert not {"variation", "lyric_edit", "extend", "sampling"} & set(song)
    sampling = {"scheduler": "SCHEDULER_HEUN", "steps": 9}
    answer = await shared.http.post("/v1/songs", json={**body, "sampling": sampling})
    assert {**answer.json()["song"]["sampling"], **sampling} == answer.json()["song"]["sampling"]
    for change, reason, field, limit in (
        ({"extend": {"right_s": 1}}, "CONFLICT", "extend", "one of variation, repaint, lyric_edit, extend"),
        ({"repaint": {"start": 1}}, "UNKNOWN_FIELD", "repaint.start", "start_s, end_s, variance"),
        ({"repaint": {"start_s": "1"}}, "MALFORMED", "repaint.start_s", "number"),
        ({"repaint": 3}, "MALFORMED", "repaint", "object"),
        ({"sampling": {"steps": -1}}, "OUT_OF_RANGE", "sampling.steps", "at least 0"),
        ({"sampling": {"preset": 2}}, "UNKNOWN_VALUE", "sampling.preset", "PRESET_FAST"),
    ):
        problem = problem_of(await shared.http.post("/v1/songs", json={**body, **change}))
        assert (problem["reason"], problem["field"]) == (reason, field)
        assert limit in problem["limit"]


async def test_openapi_says_that_a_song_has_one_edit(shared: Gateway) -> None:
    schemas = (await shared.http.get("/openapi.json")).json()["components"]["schemas"]
    for name in ("CreateSongRequest", "Song"):
        assert schemas[name]["description"] == "At most one of variation, repaint, lyric_edit, extend."
        assert {"not": {"required": ["variation", "extend"]}} in schemas[name]["allOf"]
        assert {"$ref": "#/components/schemas/Repaint"} in schemas[name]["properties"]["repaint"]["anyOf"]
    assert set(schemas["Repaint"]["properties"]) == {"start_s", "end_s", "variance"}
    assert "MODE_REMIX" in schemas["LyricEdit"]["properties"]["mode"]["enum"]
