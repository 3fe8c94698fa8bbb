"""Every field out of its limits is an error that names field and limit, before any sound is made."""

from typing import Any

import grpc
import pytest

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.music.v1 import music_service_pb2 as pb
from services.common.errors import InvalidField, error_from_rpc
from tests.music.pod import Pod, spec

WRONG_CHECKSUM = "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
VERSE = lyrics_pb.SECTION_TAG_VERSE


def words(*lines: str, tag: int = VERSE, **fields: Any) -> dict[str, Any]:
    return {"sections": [{"tag": tag, "lines": [{"text": line} for line in lines], **fields}]}


@pytest.mark.parametrize(
    ("fields", "reason", "field", "limit"),
    [
        ({"song_id": ""}, "REQUIRED", "spec.song_id", "UUID"),
        ({"song_id": "6F1F2A52-9A4E-4F0C-8F4C-3A3C7F1F2A52"}, "MALFORMED", "spec.song_id", "lower case"),
        ({"song_id": "6f1f2a529a4e4f0c8f4c3a3c7f1f2a52"}, "MALFORMED", "spec.song_id", "36"),
        ({"prompt": ""}, "REQUIRED", "spec.prompt", "1 to 1000"),
        ({"prompt": " \n "}, "REQUIRED", "spec.prompt", "1 to 1000"),
        ({"prompt": "a" * 1_001}, "TOO_LONG", "spec.prompt", "1000"),
        ({"prompt": "null\0"}, "MALFORMED", "spec.prompt", "control"),
        ({"title": "t" * 256}, "TOO_LONG", "spec.title", "255"),
        ({"title": "two\nlines"}, "MALFORMED", "spec.title", "line breaks"),
        ({"duration_s": 0.0}, "OUT_OF_RANGE", "spec.duration_s", "5 to 240"),
        ({"duration_s": 4.99}, "OUT_OF_RANGE", "spec.duration_s", "5 to 240"),
        ({"duration_s": 240.01}, "OUT_OF_RANGE", "spec.duration_s", "5 to 240"),
        ({"duration_s": float("nan")}, "OUT_OF_RANGE", "spec.duration_s", "5 to 240"),
        ({"duration_s": float("inf")}, "OUT_OF_RANGE", "spec.duration_s", "5 to 240"),
        ({"format": 9}, "UNKNOWN_VALUE", "spec.format", "MP3"),
        ({"creator_address": "0x123"}, "MALFORMED", "spec.creator_address", "40 hex"),
        ({"creator_address": WRONG_CHECKSUM}, "MALFORMED", "spec.creator_address", "EIP-55"),
        ({"instrumental": True, "lyrics": words("la")}, "OUT_OF_RANGE", "spec.lyrics", "absent"),
        ({"lyrics": words("a" * 201)}, "TOO_LONG", "spec.lyrics.sections[0].lines[0].text", "200"),
        ({"lyrics": words("ok", "")}, "REQUIRED", "spec.lyrics.sections[0].lines[1].text", "1 to 200"),
        ({"lyrics": words("a\nb")}, "MALFORMED", "spec.lyrics.sections[0].lines[0].text", "line breaks"),
        ({"lyrics": words("a\u2028b")}, "MALFORMED", "spec.lyrics.sections[0].lines[0].text", "line breaks"),
        ({"lyrics": words("la", tag=99)}, "UNKNOWN_VALUE", "spec.lyrics.sections[0].tag", "twelve"),
        ({"lyrics": words("la", tag=0)}, "UNKNOWN_VALUE", "spec.lyrics.sections[0].tag", "twelve"),
        ({"lyrics": {"sections": [{"tag": VERSE}] * 65}}, "TOO_LONG", "spec.lyrics.sections", "64"),
        ({"lyrics": words(*["a" * 200] * 101)}, "TOO_LONG", "spec.lyrics", "20000"),
        ({"lyrics": {"language": "english"}}, "MALFORMED", "spec.lyrics.language", "ISO 639-1"),
        ({"lyrics": {"title": "t" * 256}}, "TOO_LONG", "spec.lyrics.title", "255"),
        ({"reading": {"genre": "g" * 101}}, "TOO_LONG", "spec.reading.genre", "100"),
        ({"reading": {"key": "A\nminor"}}, "MALFORMED", "spec.reading.key", "line breaks"),
        ({"reading": {"tempo_bpm": 19.9}}, "OUT_OF_RANGE", "spec.reading.tempo_bpm", "20 to 400"),
        ({"reading": {"tempo_bpm": float("nan")}}, "OUT_OF_RANGE", "spec.reading.tempo_bpm", "20 to 400"),
        ({"reading": {"instruments": ["flute"] * 33}}, "TOO_LONG", "spec.reading.instruments", "32"),
        ({"reading": {"instruments": ["ok", "i" * 101]}}, "TOO_LONG", "spec.reading.instruments[1]", "100"),
        ({"reading": {"language": "english"}}, "MALFORMED", "spec.reading.language", "ISO 639-1"),
    ],
)  # fmt: skip
async def test_a_field_out_of_its_limits_is_named(
    pod: Pod, fields: dict[str, object], reason: str, field: str, limit: str
) -> None:
    error = await pod.refusal(spec(**fields))
    assert isinstance(error, InvalidField)
    assert (error.reason, error.field) == (reason, field)
    assert limit in error.limit


@pytest.mark.parametrize("count", [0, 2])
async def test_a_stream_of_anything_but_one_spec_is_refused(pod: Pod, count: int) -> None:
    error = await pod.refusal(*[spec()] * count)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SPEC_EXPECTED")


async def test_a_message_without_a_spec_is_refused(pod: Pod) -> None:
    async with pod.stub() as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in stub.GenerateSong(iter([pb.GenerateSongRequest()]), timeout=5):
                pass
    assert error_from_rpc(caught.value).reason == "SPEC_EXPECTED"


async def test_a_call_without_a_deadline_is_refused(pod: Pod) -> None:
    async with pod.stub() as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.DescribeEngine(pb.DescribeEngineRequest())
    assert error_from_rpc(caught.value).reason == "DEADLINE_REQUIRED"


async def test_the_limits_themselves_are_allowed(pod: Pod) -> None:
    song = await pod.song(
        spec(prompt="ä" * 1_000, title="t" * 255, lyrics=words("a " * 99 + "a"), instrumental=False)
    )
    assert song.result.audio_bytes
