"""The gateway with the real lyrics and music services, each in its own process."""

import asyncio
import gc
import hashlib
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import mido
import numpy as np
import pytest
import pytest_asyncio
import soundfile
from numpy.typing import NDArray

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from deploy.local.ports import free_ports
from deploy.local.postgres import Database
from deploy.local.processes import Child
from deploy.local.services import describe_engine, service_command
from services.common.trust import TrustBundle, verify
from services.gateway.database import open_database
from tests.gateway.mesh import CALL_S, CREATOR, NOBODY, Gateway, gateway
from tests.gateway.timelines import read_lrc
from tests.signer.attested import POD

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where lyrics and music listen, once both are ready."""
    folder = tmp_path_factory.mktemp("services")
    POD.key.save(folder / "pod.pem")
    lyrics, music = free_ports(2)
    bundle = folder / "bundle.json"
    pod = {
        "ATTESTATION_KEY_FILE": folder / "pod.pem",
        "POD_ID": "test",
        "TRUST_BUNDLE_FILE": bundle,
        "TRUST_STATE_FILE": folder / "seen.json",
    }
    own = {"lyrics": {}, "music": pod}
    with ExitStack() as stack:
        children = [
            Child(service_command(name, port, own[name], folder / f"{name}.log", ()), lambda line: None)
            for name, port in (("lyrics", lyrics), ("music", music))
        ]
        for child in children:
            stack.callback(child.stop)
            child.start()
        for child in children:
            child.wait_ready()
        engine = describe_engine(music)
        trusted = POD.trusted(weights_digests=(engine.weights_digest,), tasks=engine.tasks)
        TrustBundle(version=1, keys=(trusted,)).save(bundle)
        yield {"lyrics": f"127.0.0.1:{lyrics}", "music": f"127.0.0.1:{music}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real(
    targets: dict[str, str], new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    async with gateway(
        database_url=new_database().gateway_dsn,
        objects_url=tmp_path_factory.mktemp("objects").as_uri(),
        lyrics_target=targets["lyrics"],
        music_target=targets["music"],
        signer_target=NOBODY,
    ) as opened:
        yield opened


async def test_a_sung_song_sounds_at_once(real: Gateway) -> None:
    waits_s = []
    for _ in range(3):  # tests of others may keep the machine busy for a moment
        asked_at = time.monotonic()
        song = await real.create(instrumental=False, duration_s=10.0)
        assert await anext(real.listen(song.id))
        waits_s.append(time.monotonic() - asked_at)
        await real.ended(song.id)
        if waits_s[-1] < 1.5:
            return
    raise AssertionError(f"first audio after {waits_s} s")


async def test_a_sung_song_is_whole_and_attested(real: Gateway, targets: dict[str, str]) -> None:
    song = await real.create(instrumental=False, duration_s=10.0, creator_address=CREATOR, seed=7)
    audio = await real.audio(song.id)
    song = await real.ended(song.id)
    assert hashlib.sha256(audio).hexdigest() == song.audio.sha256
    assert [section for section in song.lyrics.sections if section.lines]
    assert song.title
    assert song.music.genre
    wav = await real.http.get(f"/v1/songs/{song.id}/audio", params={"format": "wav"})
    pcm, rate = soundfile.read(io.BytesIO(wav.content), dtype="int16")
    assert (len(pcm), rate) == (441_000, 44_100)
    assert hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest() == song.audio.pcm_sha256
    engine = await asyncio.to_thread(describe_engine, int(targets["music"].rpartition(":")[2]))
    trusted = POD.trusted(weights_digests=(engine.weights_digest,))
    statement = verify(
        await envelope_of(real, song), TrustBundle(version=1, keys=(trusted,)), datetime.now(UTC)
    )
    assert (statement.song_id, statement.audio_sha256.hex()) == (song.id, song.audio.sha256)
    assert (statement.creator_address, statement.seed) == (CREATOR, 7)


async def envelope_of(real: Gateway, song: pb.Song) -> bytes:
    dsn = real.settings.database_url.get_secret_value()
    async with open_database(dsn, connections=1) as database:
        return bytes(await database.value("SELECT envelope FROM songs WHERE id = $1", UUID(song.id)))


async def test_own_words_are_sung(real: Gateway) -> None:
    words = "[verse]\nrain on the roof, rain on the pane\nI hum along and it rains again\n"
    song = await real.ended((await real.create(instrumental=False, lyrics=words, duration_s=10.0)).id)
    assert song.state == pb.SONG_STATE_SUCCEEDED, song.failure
    lines = [line.text for section in song.lyrics.sections for line in section.lines]
    assert lines == words.splitlines()[1:]


async def test_a_sung_song_has_a_timeline_on_both_faces(real: Gateway) -> None:
    words = "[verse]\nrain on the roof, rain on the pane\nI hum along and it rains again\n"
    song = await real.ended((await real.create(instrumental=False, lyrics=words, duration_s=15.0)).id)
    lines = words.splitlines()[1:]
    url = f"/v1/songs/{song.id}/timeline"
    told = (await real.http.get(url)).json()
    assert [line["text"] for line in told["lines"]] == lines
    assert ["".join(part["text"] for part in line["syllables"]) for line in told["lines"]] == lines
    assert (told["sections"][0]["start_s"], told["sections"][-1]["end_s"]) == (0.0, 15.0)
    assert told["tempo_bpm"] == pytest.approx(song.music.tempo_bpm, abs=0.001)
    over_grpc = await real.grpc.GetTimeline(pb.GetTimelineRequest(song_id=song.id), timeout=CALL_S)
    assert [line.start_s for line in over_grpc.timeline.lines] == [line["start_s"] for line in told["lines"]]
    lrc = read_lrc((await real.http.get(url, params={"format": "lrc"})).content)
    assert lrc.lines == [(round(line["start_s"], 2), line["text"]) for line in told["lines"]]
    assert "procedural, not AI" in lrc.tags["by"]
    midi = mido.MidiFile(
        file=io.BytesIO((await real.http.get(url, params={"format": "midi"})).content), charset="utf-8"
    )
    assert midi.length == pytest.approx(15.0, abs=0.01)
    (voice,) = [track for track in midi.tracks if track.name == "Voice"]
    sung = "".join(message.text for message in voice if message.type == "lyrics")
    assert sung.split("\r") == [*lines, ""]
    notes = sum(message.type == "note_on" for message in voice)
    assert notes == sum(len(line["syllables"]) for line in told["lines"])


async def test_capabilities_say_that_the_engine_is_no_ai(real: Gateway) -> None:
    told = await real.grpc.GetCapabilities(pb.GetCapabilitiesRequest(), timeout=CALL_S)
    assert [(engine.name, engine.ai) for engine in told.engines] == [("sketch", False)]


async def test_what_the_engine_does_not_do_fails_the_song_at_once(
    real: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    sampled = await real.ended((await real.create(sampling={"steps": 9})).id)
    assert (sampled.attempt, sampled.failure.reason) == (1, "SAMPLING_UNSUPPORTED")
    source = await real.ended((await real.create()).id)
    asked = pb.CreateSongRequest(
        source_song_id=source.id, repaint={"start_s": 1.0, "end_s": 2.0}, sampling={"steps": 9}
    )
    song = await real.ended((await real.grpc.CreateSong(asked, timeout=CALL_S)).song.id)
    assert (song.state, song.attempt) == (pb.SONG_STATE_FAILED, 1)
    assert song.failure.reason == "SAMPLING_UNSUPPORTED"
    gc.collect()  # which is when asyncio tells of tasks that nobody ended
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_song_is_changed_and_changed_again(real: Gateway) -> None:
    async def changed(source: pb.Song, **fields: Any) -> pb.Song:
        asked = pb.CreateSongRequest(source_song_id=source.id, **fields)
        song = await real.ended((await real.grpc.CreateSong(asked, timeout=CALL_S)).song.id)
        assert song.state == pb.SONG_STATE_SUCCEEDED, song.failure
        return song

    async def pcm_of(song: pb.Song) -> NDArray[np.int16]:
        wav = await real.http.get(f"/v1/songs/{song.id}/audio", params={"format": "wav"})
        return np.asarray(soundfile.read(io.BytesIO(wav.content), dtype="int16")[0])

    words = "[verse]\nrain on the roof\nrain on the pane\n"
    source = await real.ended(
        (await real.create(instrumental=False, lyrics=words, duration_s=10.0, creator_address=CREATOR)).id
    )
    painted = await changed(source, repaint={"start_s": 4.0, "end_s": 6.0})
    longer = await changed(painted, extend={"right_s": 5.0})
    mode = music_pb.LyricEdit.MODE_ONLY_LYRICS
    reworded = await changed(longer, lyric_edit={"mode": mode}, lyrics=words.replace("roof", "river"))
    first, second, third, fourth = [await pcm_of(song) for song in (source, painted, longer, reworded)]
    assert np.array_equal(first[: 4 * 44_100], second[: 4 * 44_100])
    assert np.array_equal(first[6 * 44_100 :], second[6 * 44_100 :])
    assert not np.array_equal(first, second)
    assert np.array_equal(third[: len(second)], second)
    assert len(third) == len(fourth) == 15 * 44_100
    assert np.array_equal(third[10 * 44_100 :], fourth[10 * 44_100 :])
    assert not np.array_equal(third, fourth)
    assert (reworded.music.key, reworded.music.tempo_bpm) == (source.music.key, source.music.tempo_bpm)


async def test_the_same_seed_gives_the_same_samples_and_another_file(real: Gateway) -> None:
    first, second = [await real.ended((await real.create(seed=7)).id) for _ in range(2)]
    assert first.audio.pcm_sha256 == second.audio.pcm_sha256
    assert first.audio.sha256 != second.audio.sha256


async def test_a_long_song_stops_when_it_is_cancelled_and_frees_its_pod(real: Gateway) -> None:
    song = await real.create(duration_s=240.0)
    await anext(real.listen(song.id))
    await real.http.post(f"/v1/songs/{song.id}:cancel")
    begun = time.monotonic()
    assert (await real.ended((await real.create()).id)).state == pb.SONG_STATE_SUCCEEDED
    assert time.monotonic() - begun < 5.0
