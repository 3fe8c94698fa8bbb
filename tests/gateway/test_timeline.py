"""A song's timeline as its listeners get it: the words put in, as JSON, LRC and MIDI, and for nobody else."""

import io
import json
from typing import Any

import mido
import pytest
from google.protobuf import json_format

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from services.common.errors import OutOfRange
from services.gateway.timeline.lrc import lrc_file
from services.gateway.timeline.midi import midi_file
from tests.gateway.mesh import CALL_S, Gateway, Mesh, eventually, made, problem_of
from tests.gateway.pods import LINES, Script
from tests.gateway.test_sweeping import files
from tests.gateway.timelines import SYLLABLES, TEMPO_BPM, TICK_S, read_lrc, timeline

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]


async def sung(pods: Mesh, gateway: Gateway, **fields: Any) -> pb.Song:
    pods.music.timeline = timeline().SerializeToString()
    song, _ = await made(gateway, instrumental=False, title="Rain [live]", **fields)
    return song


def url_of(song: pb.Song) -> str:
    return f"/v1/songs/{song.id}/timeline"


async def test_the_words_are_put_in_where_they_are_sung(shared_pods: Mesh, shared: Gateway) -> None:
    song = await sung(shared_pods, shared)
    response = await shared.grpc.GetTimeline(pb.GetTimelineRequest(song_id=song.id), timeout=CALL_S)
    told = response.timeline
    assert [line.text for line in told.lines] == list(LINES)
    for line, parts in zip(told.lines, SYLLABLES, strict=True):
        assert [(one.text, one.start_s) for one in line.syllables] == parts
    assert [(s.kind, s.label, s.start_s, s.end_s) for s in told.sections] == [
        ("intro", "Intro", 0.0, 0.5),
        ("verse", "Verse", 0.5, 5.0),
    ]
    assert [(chord.symbol, chord.start_s) for chord in told.chords] == [("F#m7", 0.0), ("Dmaj7", 2.6)]
    assert (response.file, len(told.tracks)) == (b"", 0)
    answer = await shared.http.get(url_of(song))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert json_format.ParseDict(answer.json(), music_pb.Timeline()) == told


async def test_an_lrc_file_reads_back(shared_pods: Mesh, shared: Gateway) -> None:
    song = await sung(shared_pods, shared)
    answer = await shared.http.get(url_of(song), params={"format": "lrc"})
    assert answer.headers["content-type"].startswith("application/lrc")
    assert 'filename="Rain _live_.lrc"' in answer.headers["content-disposition"]
    read = read_lrc(answer.content)
    assert read.tags == {
        "ti": "Rain (live)",
        "length": "00:05",
        "by": "AceSteps, engine sketch (procedural, not AI)",
        "re": "AceSteps",
    }
    assert read.lines == [(0.5, LINES[0]), (3.1, LINES[1])]
    assert read.words == [[], []]
    lrc = pb.TIMELINE_FORMAT_LRC
    request = pb.GetTimelineRequest(song_id=song.id, format=lrc, words=True)
    response = await shared.grpc.GetTimeline(request, timeout=CALL_S)
    assert response.media_type == "application/lrc"
    worded = read_lrc(response.file)
    assert worded.lines == read.lines
    second = [("I ", 3.1), ("hum ", 3.3), ("along ", 3.5), ("and ", 3.9), ("it ", 4.0), ("rains ", 4.1)]
    second += [("again", 4.3), ("", 4.88)]
    assert [(text, at_s) for at_s, text in worded.words[1]] == second
    over_http = await shared.http.get(url_of(song), params={"format": "lrc", "words": "true"})
    assert over_http.content == response.file


async def test_a_midi_file_reads_back_note_for_note(shared_pods: Mesh, shared: Gateway) -> None:
    song = await sung(shared_pods, shared)
    answer = await shared.http.get(url_of(song), params={"format": "midi"})
    assert answer.headers["content-type"] == "audio/midi"
    file = mido.MidiFile(file=io.BytesIO(answer.content), charset="utf-8", clip=False)
    assert (file.type, file.ticks_per_beat) == (1, 480)
    assert abs(file.length - 5.0) < TICK_S
    conductor, *parts = file.tracks
    heard = {message.type: message for message in conductor}
    assert conductor.name == "Rain [live]"
    assert heard["text"].text == "This song was made by a procedural engine (sketch), not by AI."
    assert mido.tempo2bpm(heard["set_tempo"].tempo) == pytest.approx(TEMPO_BPM, abs=0.001)
    assert (heard["time_signature"].numerator, heard["time_signature"].denominator) == (4, 4)
    assert heard["key_signature"].key == "F#m"
    markers = [(m.text, at) for m, at in timed(conductor) if m.type == "marker"]
    assert markers == [("Intro", 0), ("Verse", round(0.5 / TICK_S))]
    for part, track in zip(parts, timeline().tracks, strict=True):
        assert part.name == track.name
        assert notes_of(part) == [(n.start_tick, n.ticks, n.pitch, n.velocity) for n in track.notes]
        channels = {m.channel for m in part if m.type == "note_on"}
        assert len(channels) == 1
        assert (channels == {9}) == track.percussion
        programs = [m.program for m in part if m.type == "program_change"]
        assert programs == ([] if track.percussion else [track.program])
    lyrics = [(m.text, at) for m, at in timed(parts[0]) if m.type == "lyrics"]
    assert [(text, at) for text, at in lyrics] == [
        (text + ("\r" if place == len(line) - 1 else ""), round(start_s / TICK_S))
        for line in SYLLABLES
        for place, (text, start_s) in enumerate(line)
    ]
    response = await shared.grpc.GetTimeline(
        pb.GetTimelineRequest(song_id=song.id, format=pb.TIMELINE_FORMAT_MIDI), timeout=CALL_S
    )
    assert (response.media_type, response.file) == ("audio/midi", answer.content)


def timed(track: Any) -> list[tuple[Any, int]]:
    now, out = 0, []
    for message in track:
        now += message.time
        out.append((message, now))
    return out


def notes_of(track: Any) -> list[tuple[int, int, int, int]]:
    """(start, length, pitch, velocity) in ticks: every note has an end before its pitch begins again."""
    sounding: dict[int, tuple[int, int]] = {}
    notes = []
    for message, at in timed(track):
        if message.type == "note_on" and message.velocity:
            assert message.note not in sounding
            sounding[message.note] = (at, message.velocity)
        elif message.type in ("note_on", "note_off"):
            start, velocity = sounding.pop(message.note)
            notes.append((start, at - start, message.note, velocity))
    assert not sounding
    return sorted(notes)


async def test_long_files_keep_their_form() -> None:
    long = timeline()
    long.duration_s, long.key, long.meter = 600.0, "G# minor", "6/8"
    long.lines[1].start_s = 599.996  # rounds to the next minute
    for name in range(20):
        long.tracks.add(name=str(name)).notes.add(start_tick=2**20, ticks=1, pitch=60, velocity=1)
    for line in long.lines:
        line.text = "夜[の]<雨>"
    assert read_lrc(lrc_file(long, "a\nb", "c]")).lines[-1] == (600.0, "夜[の]<雨>")
    file = mido.MidiFile(file=io.BytesIO(midi_file(long, "雨", "x")), charset="utf-8")
    assert abs(file.length - 2**20 * TICK_S) < 1
    assert file.tracks[0].name == "雨"
    assert "key_signature" in {message.type for message in file.tracks[0]}
    channels = {m.channel for track in file.tracks for m in track if m.type == "note_on"}
    assert channels == set(range(16))


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("text/html, application/xhtml+xml;q=0.9, */*;q=0.8", "application/json"),
        ("audio/midi", "audio/midi"),
        ("application/lrc, application/json;q=0.5", "application/lrc"),
        ("text/plain", "application/lrc"),
    ],
)
async def test_a_format_is_negotiated_where_none_is_named(
    shared_pods: Mesh, shared: Gateway, accept: str, media_type: str
) -> None:
    song = await sung(shared_pods, shared)
    answer = await shared.http.get(url_of(song), headers={"accept": accept})
    assert answer.headers["content-type"].split(";")[0] == media_type
    assert answer.headers["vary"].lower().find("accept") >= 0
    named = await shared.http.get(url_of(song), params={"format": "json"}, headers={"accept": accept})
    assert json.loads(named.text)["lines"]


async def test_a_browser_may_keep_it_and_asks_whether_it_changed(shared_pods: Mesh, shared: Gateway) -> None:
    song = await sung(shared_pods, shared)
    for form in ("json", "lrc", "midi"):
        answer = await shared.http.get(url_of(song), params={"format": form})
        assert answer.headers["cache-control"] == "private, no-cache"
        known = {"If-None-Match": answer.headers["etag"]}
        again = await shared.http.get(url_of(song), params={"format": form}, headers=known)
        assert (again.status_code, again.content) == (304, b"")
        head = await shared.http.head(url_of(song), params={"format": form})
        assert (head.headers["content-length"], head.content) == (str(len(answer.content)), b"")
    rename = pb.UpdateSongRequest(song_id=song.id, title="Other")
    await shared.grpc.UpdateSong(rename, timeout=CALL_S)
    renamed = await shared.http.get(url_of(song), params={"format": "midi"}, headers=known)
    assert renamed.status_code == 200


async def test_a_song_of_an_engine_that_knows_no_timeline_says_so(shared_pods: Mesh, shared: Gateway) -> None:
    shared_pods.music.engine = "acestep"
    song, _ = await made(shared)
    answer = await shared.http.get(url_of(song))
    assert (answer.status_code, problem_of(answer)["reason"]) == (404, "TIMELINE_UNKNOWN")
    error = await shared.refusal("GetTimeline", pb.GetTimelineRequest(song_id=song.id))
    assert error.reason == "TIMELINE_UNKNOWN"
    assert "acestep" in error.message


async def test_an_edit_has_the_timeline_that_came_with_it_and_not_its_sources(
    shared_pods: Mesh, shared: Gateway
) -> None:
    source = await sung(shared_pods, shared)
    shared_pods.music.timeline = b""
    repaint = {"start_s": 1.0, "end_s": 2.0}
    asked = pb.CreateSongRequest(source_song_id=source.id, repaint=repaint)
    edit = await shared.ended((await shared.grpc.CreateSong(asked, timeout=CALL_S)).song.id)
    error = await shared.refusal("GetTimeline", pb.GetTimelineRequest(song_id=edit.id))
    assert error.reason == "TIMELINE_UNKNOWN"
    assert (await shared.http.get(url_of(source))).status_code == 200


async def test_a_song_that_is_not_done_has_none_yet(shared_pods: Mesh, shared: Gateway) -> None:
    paused = Script(pause_after=1)
    shared_pods.music.follow(paused)
    song = await shared.create()
    await paused.paused.wait()
    answer = await shared.http.get(url_of(song))
    assert (answer.status_code, problem_of(answer)["reason"]) == (409, "SONG_NOT_READY")
    await shared.grpc.CancelSong(pb.CancelSongRequest(song_id=song.id), timeout=CALL_S)
    assert problem_of(await shared.http.get(url_of(song)))["reason"] == "SONG_CANCELLED"
    shared_pods.music.follow(Script(error=OutOfRange("OUT_OF_RANGE", "too much")))
    failed = await shared.ended((await shared.create()).id)
    assert problem_of(await shared.http.get(url_of(failed)))["reason"] == "SONG_FAILED"


async def test_what_is_asked_for_wrongly_is_told(shared_pods: Mesh, shared: Gateway) -> None:
    song = await sung(shared_pods, shared)
    answer = await shared.http.get(url_of(song), params={"format": "srt"})
    document = problem_of(answer)
    assert (answer.status_code, document["field"], document["limit"]) == (400, "format", "json, lrc or midi")
    error = await shared.refusal("GetTimeline", pb.GetTimelineRequest(song_id=song.id, format=9))
    assert (error.reason, error.limit) == ("UNKNOWN_VALUE", "json, lrc or midi")


@pytest.mark.parametrize(
    ("wrong", "form"),
    [
        (b"\xff\xff", "json"),
        (music_pb.Timeline(lines=[music_pb.TimelineLine(section=7)]).SerializeToString(), "json"),
        (music_pb.Timeline(duration_s=float("nan"), tempo_bpm=90).SerializeToString(), "lrc"),
        (music_pb.Timeline(duration_s=5.0).SerializeToString(), "midi"),
        (
            music_pb.Timeline(
                duration_s=5.0,
                tempo_bpm=90,
                tracks=[music_pb.TimelineTrack(notes=[music_pb.TimelineNote(pitch=200)])],
            ).SerializeToString(),
            "midi",
        ),
    ],
)
async def test_nonsense_that_a_pod_told_is_an_error_and_the_song_is_well(
    shared_pods: Mesh, shared: Gateway, wrong: bytes, form: str
) -> None:
    shared_pods.music.timeline = wrong
    song, audio = await made(shared)
    answer = await shared.http.get(url_of(song), params={"format": form})
    assert (answer.status_code, problem_of(answer)["reason"]) == (500, "TIMELINE_MALFORMED")
    assert await shared.audio(song.id) == audio


async def test_a_shared_songs_timeline_is_for_anyone_who_has_the_link(
    shared_pods: Mesh, shared: Gateway, locked: Gateway
) -> None:
    song = await sung(shared_pods, shared)
    link = await shared.grpc.ShareSong(pb.ShareSongRequest(song_id=song.id), timeout=CALL_S)
    token = link.song.share_token
    page = await locked.http.get(f"/v1/shared/{token}/timeline")
    assert page.json()["lines"][0]["text"] == LINES[0]
    assert song.id not in page.text
    assert read_lrc((await locked.http.get(f"/v1/shared/{token}/timeline?format=lrc")).content).lines
    over_grpc = await locked.grpc.GetTimeline(pb.GetTimelineRequest(share_token=token), timeout=CALL_S)
    assert over_grpc.timeline.lines[0].text == LINES[0]
    # the song's own route is for its account alone
    for answer in (await locked.http.get(url_of(song)), await locked.http.get(f"{url_of(song)}?format=lrc")):
        assert (answer.status_code, problem_of(answer)["reason"]) == (401, "CREDENTIALS_MISSING")
    await shared.grpc.UnshareSong(pb.UnshareSongRequest(song_id=song.id), timeout=CALL_S)
    gone = await locked.http.get(f"/v1/shared/{token}/timeline")
    assert (gone.status_code, problem_of(gone)["reason"]) == (404, "SHARE_NOT_FOUND")
    error = await locked.refusal("GetTimeline", pb.GetTimelineRequest(share_token=token))
    assert error.reason == "SHARE_NOT_FOUND"


async def test_a_deleted_songs_timeline_goes_with_it(shared_pods: Mesh, shared: Gateway) -> None:
    sweeping = await shared_pods.open(sweep_every_s=0.05, workers=0)
    song = await sung(shared_pods, shared)
    told = timeline()
    told.key = "D minor"  # of this song alone
    shared_pods.music.timeline = told.SerializeToString()
    other, _ = await made(shared, instrumental=False)
    before = files(shared_pods)
    await sweeping.grpc.DeleteSong(pb.DeleteSongRequest(song_id=other.id), timeout=CALL_S)

    async def gone() -> bool:
        return len(before - files(shared_pods)) == 4  # audio, master, state, timeline

    await eventually(gone)
    assert problem_of(await shared.http.get(url_of(other)))["reason"] == "SONG_NOT_FOUND"
    assert (await shared.http.get(url_of(song))).status_code == 200
