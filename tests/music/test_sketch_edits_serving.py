"""The real service with the engine sketch edits its own songs, edits of them, and nothing else."""

import asyncio
import hashlib
import io
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import grpc
import numpy as np
import pytest
import soundfile

from acesteps.music.v1 import music_service_pb2 as pb
from acesteps.signer.v1 import signer_service_pb2 as signer_pb
from services.common.cid import raw_cid
from services.common.errors import InvalidField, ServiceError
from services.common.provenance import attest, version_digest
from services.common.trust import verify
from services.music.sketch.engine import VERSION
from services.signer.policy import Scope, check_song, verified_statements
from services.signer.request import PermitFormat, read_request
from tests.music.editing import Kept, Studio, edit, pcm_of, refusal, send, sung, trusted, write_bundle
from tests.music.pod import Heard, Pod
from tests.signer.attested import CONTRACT, metadata_of
from tests.signer.attested import CREATOR as WALLET

RATE = 44_100
SONG_ID = "00000000-0000-4000-8000-00000000000c"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A pod that comes before its trust bundle, as on one machine."""
    folder = tmp_path_factory.mktemp("sketch-studio")
    bundle_file = folder / "bundle.json"
    settings = {
        "MUSIC_TRUST_BUNDLE_FILE": str(bundle_file),
        "MUSIC_TRUST_STATE_FILE": str(folder / "seen.json"),
    }
    with Pod(folder / "pod", slots=1, settings=settings).running() as pod:
        early = asyncio.run(refusal(pod, [pb.GenerateSongRequest(spec=order(variation={}))]))
        assert (early.code, early.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EDITS_OFF")
        write_bundle(bundle_file, 1, trusted(pod.key, "sketch", version_digest(VERSION)))
        yield Studio(pod, bundle_file)


def order(line: str = "over the water", **fields: object) -> pb.SongSpec:
    return sung(line, **{"song_id": SONG_ID, "prompt": "calm pop with piano, 110 BPM", **fields})


_SONGS: dict[str, Heard] = {}


@pytest.fixture
async def song(studio: Studio) -> Heard:
    if "song" not in _SONGS:
        _SONGS["song"] = await studio.pod.song(order(duration_s=8.0))
    return _SONGS["song"]


async def test_the_pod_says_which_edits_it_makes(studio: Studio) -> None:
    async with studio.pod.stub() as stub:
        info = await stub.DescribeEngine(pb.DescribeEngineRequest(), timeout=5)
    assert list(info.tasks) == ["text2music", "variation", "repaint", "lyric_edit", "extend"]


async def test_a_chain_of_all_edits_is_attested_and_stands_the_signer_on_a_development_chain(
    studio: Studio, song: Heard
) -> None:
    kept, source, last = Kept.of(song), pcm_of(song), song
    for asked, length_s, same in (
        (order(variation={"variance": 0.3}, seed=2), 8.0, None),
        (order(repaint={"start_s": 2.0, "end_s": 4.0}, seed=3), 8.0, [(0, 0, 2.0), (4.0, 4.0, 4.0)]),
        (order("under the bridges", lyric_edit={"mode": 1}, seed=4), 8.0, None),
        (order("under the bridges", extend={"left_s": 3.0, "right_s": 4.0}, seed=5), 15.0, [(0, 3.0, 8.0)]),
        (order("under the bridges", repaint={"start_s": 9.0, "end_s": 13.0}), 15.0, [(0, 0, 9.0)]),
    ):
        edited = await edit(studio.pod, asked, kept)
        new = pcm_of(edited)
        assert len(new) == round(length_s * RATE)
        assert not np.array_equal(new[: len(source)], source)
        for there_s, here_s, for_s in same or ():
            there, here, n = (round(seconds * RATE) for seconds in (there_s, here_s, for_s))
            assert np.array_equal(new[here : here + n], source[there : there + n])
        statement = studio.statement(edited)
        assert statement.task == asked.WhichOneof("edit")
        assert statement.source_audio_sha256 == last.sha256
        assert edited.header.engine == "sketch"
        kept, source, last = Kept.of(edited, kept), new, edited

    statements = [verify(envelope, studio.bundle, datetime.now(UTC)) for envelope in kept.envelopes]
    document = metadata_of(statements[0])
    request = read_request(
        signer_pb.SignMintPermitRequest(
            envelopes=kept.envelopes,
            to=WALLET,
            metadata_uri=f"ipfs://{raw_cid(document)}",
            metadata=document,
            audio_hash=last.sha256,
            format=signer_pb.PERMIT_FORMAT_EIP712,
            chain_id=31337,
            contract=CONTRACT,
        )
    )
    scope = Scope(31337, bytes.fromhex(CONTRACT[2:]), frozenset({PermitFormat.EIP712}))
    check_song(request, verified_statements(request, studio.bundle, datetime.now(UTC)), scope)


async def test_an_edit_is_heard_before_it_is_done_and_is_the_same_again(studio: Studio, song: Heard) -> None:
    asked = order(repaint={"start_s": 2.0, "end_s": 7.0, "variance": 0.7}, seed=3)
    first, again = [await edit(studio.pod, asked, Kept.of(song)) for _ in range(2)]
    assert (first.audio, first.state, first.master) == (again.audio, again.state, again.master)
    heard = first.kinds.index("audio")
    assert "progress" in first.kinds[heard : first.kinds.index("master")]
    assert first.result.first_audio_s < first.result.render_s


async def test_the_state_of_an_edit_holds_no_words(studio: Studio, song: Heard) -> None:
    asked = order("Zebra lanterns", lyric_edit={"mode": 1}, prompt="quixotic folk")
    edited = await edit(studio.pod, asked, Kept.of(song))
    assert b"Zebra" not in edited.state
    assert b"quixotic" not in edited.state


@pytest.mark.parametrize("kind", ["state", "master"])
async def test_a_source_that_is_not_what_is_attested_is_refused(
    studio: Studio, song: Heard, kind: str
) -> None:
    kept = Kept.of(song)
    silent = io.BytesIO()
    soundfile.write(silent, np.zeros((8 * RATE, 2), np.int16), RATE, "PCM_16", format="FLAC")
    bad = kept.with_(state=kept.state + b" ") if kind == "state" else kept.with_(master=silent.getvalue())
    error = await refusal(studio.pod, [pb.GenerateSongRequest(spec=order(variation={})), *bad.parts()])
    assert isinstance(error, InvalidField)
    assert (error.reason, error.field) == ("SOURCE_MISMATCH", kind)


async def test_an_attested_state_that_makes_no_sense_is_refused_by_name(studio: Studio, song: Heard) -> None:
    state = b'{"engine":"sketch"}'
    statement = replace(studio.statement(song), state_sha256=hashlib.sha256(state).digest())
    kept = Kept.of(song).with_(envelopes=(attest(statement, studio.pod.key),), state=state)
    error = await refusal(studio.pod, [pb.GenerateSongRequest(spec=order(variation={})), *kept.parts()])
    assert isinstance(error, InvalidField)
    assert (error.code.name, error.reason, error.field) == ("INVALID_ARGUMENT", "MALFORMED", "state")
    assert 'file "' not in studio.pod.log.read_text().lower()  # a refusal is no failure


async def test_a_song_of_another_version_or_engine_is_refused(studio: Studio, song: Heard) -> None:
    older = version_digest("1.0.0")
    write_bundle(
        studio.bundle_file,
        2,
        trusted(studio.pod.key, "sketch", version_digest(VERSION)).model_copy(
            update={"engines": ("sketch", "acestep"), "weights_digests": (version_digest(VERSION), older)}
        ),
    )
    for changes in ({"engine_version": "1.0.0", "weights_digest": older}, {"engine": "acestep"}):
        statement = replace(studio.statement(song), **changes)  # fields of any type
        kept = Kept.of(song).with_(envelopes=(attest(statement, studio.pod.key),))
        error = await refusal(studio.pod, [pb.GenerateSongRequest(spec=order(variation={})), *kept.parts()])
        assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FOREIGN_ENGINE")


async def test_an_edit_is_not_sampled_here(studio: Studio, song: Heard) -> None:
    asked = order(repaint={"start_s": 1.0, "end_s": 2.0}, sampling={"steps": 9})
    error = await refusal(studio.pod, [pb.GenerateSongRequest(spec=asked), *Kept.of(song).parts()])
    assert (error.code, error.reason) == (grpc.StatusCode.UNIMPLEMENTED, "SAMPLING_UNSUPPORTED")


async def test_a_cancelled_edit_frees_its_slot(studio: Studio) -> None:
    long = await studio.pod.song(order(duration_s=40.0))
    asked = pb.GenerateSongRequest(spec=order(variation={"variance": 0.5}))
    async with studio.pod.stub() as stub:
        call = stub.GenerateSong(iter([asked, *Kept.of(long).parts()]), timeout=30)
        async for response in call:
            if response.WhichOneof("event") == "audio":
                break
        call.cancel()
    unchanged = pb.GenerateSongRequest(spec=order(variation={"variance": 0.0}))
    again = await _once_free(studio.pod, [unchanged, *Kept.of(long).parts()])
    assert again.result.pcm_sha256 == long.result.pcm_sha256


async def _once_free(pod: Pod, requests: list[pb.GenerateSongRequest]) -> Heard:
    began = time.monotonic()
    while True:
        try:
            return await send(pod, requests)
        except ServiceError as error:
            if error.reason != "POD_BUSY" or time.monotonic() - began > 2.0:
                raise
