"""The real service with a tiny checkpoint edits its own songs, edits of them, and nothing else."""

import asyncio
import hashlib
import io
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
from services.common.errors import InvalidField, error_from_rpc
from services.common.go_ahead import GO_AHEAD
from services.common.provenance import AttestationKey, attest
from services.common.trust import verify
from services.signer.policy import Scope, check_song, verified_statements
from services.signer.request import PermitFormat, read_request
from tests.music.editing import Kept, Studio, edit, pcm_of, refusal, sung, trusted, write_bundle
from tests.music.pod import Heard
from tests.music_acestep.editing import editing_pod, pod_digest
from tests.signer.attested import CONTRACT, metadata_of
from tests.signer.attested import CREATOR as WALLET

RATE = 44_100
STEPS = 4
SONG_ID = "00000000-0000-4000-8000-00000000000b"
STRANGER_KEY = AttestationKey.new()  # trusted, too, for other engines and weights
UNKNOWN_KEY = AttestationKey.new()
OTHER_WEIGHTS = "ab" * 32


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A pod that comes before its trust bundle, as on one machine."""
    folder = tmp_path_factory.mktemp("studio")
    pod, bundle_file = editing_pod(folder, slots=1, steps=STEPS)
    with pod.running():
        early = asyncio.run(refusal(pod, [pb.GenerateSongRequest(spec=order(variation={"variance": 0.0}))]))
        assert (early.code, early.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EDITS_OFF")
        write_bundle(
            bundle_file,
            1,
            trusted(pod.key, "acestep", pod_digest(folder)),
            trusted(STRANGER_KEY, "sketch", OTHER_WEIGHTS).model_copy(
                update={"engines": ("sketch", "acestep")}
            ),
        )
        yield Studio(pod, bundle_file)


def order(line: str = "over the water", **fields: object) -> pb.SongSpec:
    return sung(line, **{"song_id": SONG_ID, "prompt": "dream pop", **fields})


_SONGS: dict[str, Heard] = {}


@pytest.fixture
async def song(studio: Studio) -> Heard:
    if "song" not in _SONGS:
        _SONGS["song"] = await studio.pod.song(order(duration_s=5.0))
    return _SONGS["song"]


@pytest.fixture
def kept(song: Heard) -> Kept:
    return Kept.of(song)


async def test_the_pod_says_which_edits_it_makes(studio: Studio) -> None:
    async with studio.pod.stub() as stub:
        info = await stub.DescribeEngine(pb.DescribeEngineRequest(), timeout=5)
    assert list(info.tasks) == ["text2music", "variation", "repaint", "lyric_edit", "extend"]


async def test_a_variation_is_another_song_and_at_zero_the_same(
    studio: Studio, song: Heard, kept: Kept
) -> None:
    same = await edit(studio.pod, order(variation={"variance": 0.0}), kept)
    other = await edit(studio.pod, order(variation={}, seed=11), kept)
    assert same.result.pcm_sha256 == song.result.pcm_sha256 != other.result.pcm_sha256
    assert same.state == song.state
    assert len(pcm_of(other)) == 5 * RATE
    statement = studio.statement(other)
    assert (statement.task, statement.seed) == ("variation", 11)
    assert statement.source_audio_sha256 == song.sha256
    assert statement.request_digest != studio.statement(same).request_digest
    assert statement.pcm_sha256 == hashlib.sha256(pcm_of(other).tobytes()).digest()


async def test_a_lyric_edit_changes_the_song(studio: Studio, song: Heard, kept: Kept) -> None:
    modes = (pb.LyricEdit.MODE_ONLY_LYRICS, pb.LyricEdit.MODE_REMIX)
    made = [
        await edit(studio.pod, order("under the water", lyric_edit={"mode": mode}), kept) for mode in modes
    ]
    hashes = {song.result.pcm_sha256, *(one.result.pcm_sha256 for one in made)}
    assert len(hashes) == 3
    assert {studio.statement(one).task for one in made} == {"lyric_edit"}


async def test_edits_of_edits_keep_every_sample_that_is_not_asked_for_and_may_be_minted(
    studio: Studio, song: Heard, kept: Kept
) -> None:
    painted = await edit(studio.pod, order(repaint={"start_s": 1.0, "end_s": 2.2, "variance": 0.9}), kept)
    a, b = pcm_of(song), pcm_of(painted)
    assert np.array_equal(a[:RATE], b[:RATE])
    assert np.array_equal(a[round(2.2 * RATE) :], b[round(2.2 * RATE) :])
    assert not np.array_equal(a[RATE : 2 * RATE], b[RATE : 2 * RATE])

    longer = await edit(
        studio.pod, order(extend={"left_s": 0.8, "right_s": 1.0}, duration_s=6.8), Kept.of(painted, kept)
    )
    c, left = pcm_of(longer), round(0.8 * RATE)
    assert len(c) == round(6.8 * RATE)
    assert longer.result.duration_s == pytest.approx(6.8)
    assert np.array_equal(c[left : left + len(b)], b)

    chain = Kept.of(longer, Kept.of(painted, kept))
    last = await edit(studio.pod, order(repaint={"start_s": 6.0, "end_s": 6.8}), chain)
    assert np.array_equal(pcm_of(last)[: 6 * RATE], c[: 6 * RATE])

    envelopes = (last.result.envelope, *chain.envelopes)
    statements = [verify(envelope, studio.bundle, datetime.now(UTC)) for envelope in envelopes]
    assert [s.task for s in statements] == ["repaint", "extend", "repaint", "text2music"]
    document = metadata_of(statements[0])
    request = read_request(
        signer_pb.SignMintPermitRequest(
            envelopes=envelopes,
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


async def test_the_same_edit_gives_the_same_bytes(studio: Studio, kept: Kept) -> None:
    asked = order(repaint={"start_s": 0.5, "end_s": 1.5, "variance": 0.7}, seed=3)
    first, second = [await edit(studio.pod, asked, kept) for _ in range(2)]
    assert (first.audio, first.state, first.master) == (second.audio, second.state, second.master)


def tampered(kept: Kept, kind: str, song: Heard, studio: Studio) -> Kept:
    flipped = bytearray(kept.state)
    flipped[100] ^= 1
    silent = io.BytesIO()
    soundfile.write(silent, np.zeros((5 * RATE, 2), np.int16), RATE, "PCM_16", format="FLAC")
    statement = studio.statement(song)

    def by(key: AttestationKey, **changes: object) -> tuple[bytes, ...]:
        return (attest(replace(statement, **changes), key),)  # fields of any type

    foreign = {"weights_digest": OTHER_WEIGHTS}
    derived = {"task": "repaint", "source_audio_sha256": b"\1" * 32}
    return {
        "state": kept.with_(state=bytes(flipped)),
        "other master": kept.with_(master=silent.getvalue()),
        "no flac": kept.with_(master=b"RIFF" * 100),
        "cut master": kept.with_(master=kept.master[: len(kept.master) // 2]),
        "envelope": kept.with_(envelopes=(kept.envelopes[0].replace(b'"payload":"ey', b'"payload":"eZ'),)),
        "no json": kept.with_(envelopes=(b"{}",)),
        "unattested": kept.with_(envelopes=by(UNKNOWN_KEY)),
        "sketch": kept.with_(envelopes=by(STRANGER_KEY, engine="sketch", **foreign)),
        "other weights": kept.with_(envelopes=by(STRANGER_KEY, **foreign)),
        "wrong task": kept.with_(envelopes=by(studio.pod.key, task="cover")),
        "half a chain": kept.with_(envelopes=by(studio.pod.key, **derived)),
        "foreign chain": kept.with_(envelopes=(*by(studio.pod.key, **derived), *kept.envelopes)),
        "long chain": kept.with_(envelopes=kept.envelopes * 2),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "code", "reason", "where"),
    [
        ("state", "INVALID_ARGUMENT", "SOURCE_MISMATCH", "state"),
        ("other master", "INVALID_ARGUMENT", "SOURCE_MISMATCH", "master"),
        ("no flac", "INVALID_ARGUMENT", "SOURCE_MISMATCH", "master"),
        ("cut master", "INVALID_ARGUMENT", "SOURCE_MISMATCH", "master"),
        ("envelope", "FAILED_PRECONDITION", "SOURCE_NOT_ATTESTED", "ATTESTATION_INVALID"),
        ("no json", "FAILED_PRECONDITION", "SOURCE_NOT_ATTESTED", "ATTESTATION_INVALID"),
        ("unattested", "FAILED_PRECONDITION", "SOURCE_NOT_ATTESTED", "KEY_UNKNOWN"),
        ("wrong task", "FAILED_PRECONDITION", "SOURCE_NOT_ATTESTED", "TASK_NOT_ALLOWED"),
        ("sketch", "FAILED_PRECONDITION", "FOREIGN_ENGINE", "0"),
        ("other weights", "FAILED_PRECONDITION", "FOREIGN_ENGINE", "0"),
        ("half a chain", "INVALID_ARGUMENT", "SOURCE_MISMATCH", "envelope"),
        ("foreign chain", "INVALID_ARGUMENT", "SOURCE_MISMATCH", "envelope"),
        ("long chain", "INVALID_ARGUMENT", "SOURCE_MISMATCH", "envelope"),
    ],
)
async def test_a_source_that_is_not_what_is_attested_is_refused(
    studio: Studio, song: Heard, kept: Kept, kind: str, code: str, reason: str, where: str
) -> None:
    asked = pb.GenerateSongRequest(spec=order(variation={}))
    error = await refusal(studio.pod, [asked, *tampered(kept, kind, song, studio).parts()])
    assert (error.code.name, error.reason) == (code, reason)
    assert where in error.metadata.values()
    assert 'file "' not in studio.pod.log.read_text().lower()  # a refusal is no failure


@pytest.mark.parametrize(
    ("fields", "reason", "field", "limit"),
    [
        ({"variation": {"variance": 1.1}}, "OUT_OF_RANGE", "spec.variation.variance", "0 to 1"),
        ({"variation": {"variance": float("nan")}}, "OUT_OF_RANGE", "spec.variation.variance", "0 to 1"),
        ({"repaint": {"start_s": 1, "end_s": 2, "variance": -1}}, "OUT_OF_RANGE", "spec.repaint.variance",
         "0 to 1"),
        ({"repaint": {"start_s": -1, "end_s": 2}}, "OUT_OF_RANGE", "spec.repaint.start_s", "0 to 600"),
        ({"repaint": {"start_s": 2, "end_s": 2}}, "OUT_OF_RANGE", "spec.repaint.end_s", "behind start_s"),
        ({"repaint": {"start_s": 0, "end_s": float("inf")}}, "OUT_OF_RANGE", "spec.repaint.end_s", "600"),
        ({"repaint": {"start_s": 4, "end_s": 5.1}}, "OUT_OF_RANGE", "spec.repaint.end_s", "at most 5 s"),
        ({"lyric_edit": {}}, "REQUIRED", "spec.lyric_edit.mode", "MODE_REMIX"),
        ({"lyric_edit": {"mode": 9}}, "UNKNOWN_VALUE", "spec.lyric_edit.mode", "MODE_REMIX"),
        ({"lyric_edit": {"mode": 1}, "lyrics": {}}, "REQUIRED", "spec.lyrics", "at least one line"),
        ({"extend": {}}, "OUT_OF_RANGE", "spec.extend", "at least a sample"),
        ({"extend": {"left_s": -1, "right_s": 5}}, "OUT_OF_RANGE", "spec.extend.left_s", "0 to 240"),
        ({"extend": {"left_s": 200, "right_s": 41}}, "OUT_OF_RANGE", "spec.extend", "240"),
        ({"extend": {"right_s": 1.0}, "duration_s": 7.0}, "OUT_OF_RANGE", "spec.duration_s", "0, or 6"),
        ({"variation": {}, "duration_s": float("nan")}, "OUT_OF_RANGE", "spec.duration_s", "seconds"),
        ({"variation": {}, "prompt": "x" * 300}, "TOO_LONG", "spec.prompt", "256 tokens"),
        ({"repaint": {"start_s": 1, "end_s": 2}, "lyrics": {"language": "zu"}}, "UNSUPPORTED_LANGUAGE",
         "spec.lyrics.language", "one of"),
    ],
)  # fmt: skip
async def test_an_edit_out_of_its_limits_is_refused_by_field_and_limit(
    studio: Studio, kept: Kept, fields: dict[str, object], reason: str, field: str, limit: str
) -> None:
    error = await refusal(studio.pod, [pb.GenerateSongRequest(spec=order(**fields)), *kept.parts()])
    assert isinstance(error, InvalidField)
    assert (error.reason, error.field) == (reason, field)
    assert limit in error.limit


@pytest.mark.parametrize("missing", ["envelope", "state", "master", "end of master"])
async def test_a_source_that_is_not_whole_is_refused(studio: Studio, kept: Kept, missing: str) -> None:
    parts = list(kept.parts())
    sent = parts[:-1] if missing == "end of master" else [p for p in parts if p.WhichOneof("part") != missing]
    asked = pb.GenerateSongRequest(spec=order(variation={}))
    error = await refusal(studio.pod, [asked, *sent])
    assert isinstance(error, InvalidField)
    assert (error.reason, error.field) == ("SOURCE_REQUIRED", missing.rpartition(" ")[2])


def chunk(offset: int = 0, total: int = 8, data: bytes = b"12345678") -> pb.GenerateSongRequest:
    return pb.GenerateSongRequest(state=pb.BlobChunk(offset=offset, total_bytes=total, data=data))


@pytest.mark.parametrize(
    ("chunks", "reason", "field", "limit"),
    [
        ([chunk(offset=1)], "MALFORMED", "state.offset", "without a gap"),
        ([chunk(data=b"")], "OUT_OF_RANGE", "state.data", "65536"),
        ([chunk(data=b"x" * 65_537)], "OUT_OF_RANGE", "state.data", "65536"),
        ([chunk(total=4 * 1024**2 + 1)], "TOO_LONG", "state.total_bytes", "4194304"),
        ([chunk(), chunk(offset=8)], "TOO_LONG", "state.data", "8 bytes"),
        ([chunk(total=99), chunk(offset=8, total=98)], "MALFORMED", "state.total_bytes", "the same"),
        ([pb.GenerateSongRequest(master=pb.BlobChunk(total_bytes=2**40, data=b"x"))], "TOO_LONG",
         "master.total_bytes", "bytes"),
        ([pb.GenerateSongRequest(envelope=b"{}")] * 32, "TOO_LONG", "envelope", "31"),
        ([pb.GenerateSongRequest(envelope=b"x" * 65_537)], "TOO_LONG", "envelope", "65536"),
    ],
)  # fmt: skip
async def test_parts_out_of_order_or_over_their_limits_are_refused_as_they_come(
    studio: Studio, chunks: list[pb.GenerateSongRequest], reason: str, field: str, limit: str
) -> None:
    error = await refusal(studio.pod, [pb.GenerateSongRequest(spec=order(variation={})), *chunks])
    assert isinstance(error, InvalidField)
    assert (error.reason, error.field) == (reason, field)
    assert limit in error.limit


async def test_a_client_that_waits_is_refused_at_once_or_called_upon_to_send(
    studio: Studio, kept: Kept
) -> None:
    async with studio.pod.stub() as stub:
        wide = order(repaint={"start_s": 0.0, "end_s": 241.0})
        refused = stub.GenerateSong(timeout=20)
        await refused.write(pb.GenerateSongRequest(spec=wide, awaits_go_ahead=True))
        assert GO_AHEAD not in await refused.initial_metadata()
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await refused.read()
        assert error_from_rpc(refusal.value).reason == "OUT_OF_RANGE"

        taken = stub.GenerateSong(timeout=20)
        asked = order(repaint={"start_s": 0.0, "end_s": 1.0, "variance": 0.0})
        await taken.write(pb.GenerateSongRequest(spec=asked, awaits_go_ahead=True))
        assert GO_AHEAD in await taken.initial_metadata()
        for part in kept.with_(state=b"another").parts():
            await taken.write(part)
        await taken.done_writing()
        with pytest.raises(grpc.aio.AioRpcError) as mismatch:
            await taken.read()
        assert error_from_rpc(mismatch.value).reason == "SOURCE_MISMATCH"


async def test_a_source_without_an_edit_and_a_second_spec_are_refused(studio: Studio, kept: Kept) -> None:
    plain, edited = (pb.GenerateSongRequest(spec=s) for s in (order(duration_s=5.0), order(variation={})))
    assert (await refusal(studio.pod, [plain, *kept.parts()])).reason == "SOURCE_UNEXPECTED"
    assert (await refusal(studio.pod, [edited, edited])).reason == "SPEC_EXPECTED"
    assert (await refusal(studio.pod, list(kept.parts())[:1])).reason == "SPEC_EXPECTED"
