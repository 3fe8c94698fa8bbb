"""What a request says of sampling: how it is read, what is refused, and that it is attested."""

import dataclasses
from typing import Any

import grpc
import pytest

from acesteps.music.v1 import music_service_pb2 as pb
from services.common.errors import InvalidField
from services.music.edit_spec import read_edit
from services.music.sampling import Sampling
from services.music.spec import SongOrder, read_spec
from tests.music.pod import Pod, spec

SONG_ID = "00000000-0000-4000-8000-00000000000d"
DIGEST_BEFORE_SAMPLING = "dbbe70ee549ec2adb9b11be061a45e96cf5672eb49e40730d422168f6b735416"
S = pb.Sampling


def ordered(**fields: object) -> SongOrder:
    asked = spec(song_id=SONG_ID, **fields)
    return read_spec(asked, read_edit(asked))


def sampling(**fields: object) -> Sampling | None:
    return ordered(sampling=fields).job.request.sampling


def test_every_field_of_the_message_is_read() -> None:
    names = {field.name for field in S.DESCRIPTOR.fields}
    assert names - {"preset"} == {field.name for field in dataclasses.fields(Sampling)}


def test_what_is_given_is_read_and_the_rest_is_the_engines() -> None:
    asked = sampling(
        steps=30, scheduler=S.SCHEDULER_HEUN, guidance=S.GUIDANCE_CFG_ZERO_STAR, erg_text=False, omega=0.0
    )
    assert asked == Sampling(steps=30, scheduler="heun", guidance="cfg_star", erg_text=False, omega=0.0)
    assert sampling(preset=S.PRESET_FAST) == Sampling(steps=27)
    assert sampling(preset=S.PRESET_QUALITY) == Sampling(steps=60)
    assert sampling(scheduler=S.SCHEDULER_PINGPONG, guidance=S.GUIDANCE_CFG) == Sampling(
        scheduler="pingpong", guidance="cfg"
    )
    assert sampling(scheduler=S.SCHEDULER_EULER, guidance=S.GUIDANCE_APG) == Sampling(
        scheduler="euler", guidance="apg"
    )


def test_a_message_that_says_nothing_is_none() -> None:
    assert sampling() is None
    assert sampling(preset=0, scheduler=0, guidance=0) is None
    assert ordered(variation={}, duration_s=0.0, sampling={}).job.request.sampling is None


@pytest.mark.parametrize(
    "fields",
    [
        {"steps": 1},
        {"steps": 200},
        {"guidance_scale": 0.0},
        {"guidance_scale": 100.0},
        {"guidance_interval": 1.0, "guidance_interval_decay": 1.0, "min_guidance_scale": 0.0},
        {"guidance_scale_text": 0.0},
        {"guidance_scale_text": 100.0, "guidance_scale_lyric": 1.1},
        {"omega": -100.0},
    ],
)
def test_the_limits_themselves_are_allowed(fields: dict[str, Any]) -> None:
    assert sampling(**fields) == Sampling(**fields)


@pytest.mark.parametrize(
    ("fields", "reason", "field", "limit"),
    [
        ({"steps": 0}, "OUT_OF_RANGE", "steps", "1 to 200"),
        ({"steps": 201}, "OUT_OF_RANGE", "steps", "1 to 200"),
        ({"steps": 27, "preset": S.PRESET_FAST}, "OUT_OF_RANGE", "preset", "absent where steps"),
        ({"preset": 9}, "UNKNOWN_VALUE", "preset", "PRESET_FAST, PRESET_QUALITY"),
        ({"scheduler": 9}, "UNKNOWN_VALUE", "scheduler", "SCHEDULER_HEUN"),
        ({"guidance": -1}, "UNKNOWN_VALUE", "guidance", "GUIDANCE_CFG_ZERO_STAR"),
        ({"guidance_scale": -0.1}, "OUT_OF_RANGE", "guidance_scale", "0 to 100"),
        ({"guidance_scale": float("nan")}, "OUT_OF_RANGE", "guidance_scale", "0 to 100"),
        ({"guidance_interval": 1.1}, "OUT_OF_RANGE", "guidance_interval", "0 to 1"),
        ({"guidance_interval_decay": -1.0}, "OUT_OF_RANGE", "guidance_interval_decay", "0 to 1"),
        ({"min_guidance_scale": 101.0}, "OUT_OF_RANGE", "min_guidance_scale", "0 to 100"),
        ({"guidance_scale_text": float("inf")}, "OUT_OF_RANGE", "guidance_scale_text", "0 to 100"),
        ({"guidance_scale_lyric": 101.0}, "OUT_OF_RANGE", "guidance_scale_lyric", "0 to 100"),
        ({"guidance_scale_text": 5.0}, "OUT_OF_RANGE", "guidance_scale_lyric", "both of them or neither"),
        ({"guidance_scale_text": 1.0, "guidance_scale_lyric": 2.0}, "OUT_OF_RANGE", "guidance_scale_text",
         "above 1"),
        ({"omega": 101.0}, "OUT_OF_RANGE", "omega", "-100 to 100"),
    ],
)  # fmt: skip
async def test_a_field_out_of_its_limits_is_named_before_anything_is_sent(
    pod: Pod, fields: dict[str, object], reason: str, field: str, limit: str
) -> None:
    error, heard = await pod.refused(spec(sampling=fields))
    assert not heard
    assert isinstance(error, InvalidField)
    assert (error.reason, error.field) == (reason, f"spec.sampling.{field}")
    assert limit in error.limit


def test_a_variation_takes_no_sampling_of_its_own() -> None:
    with pytest.raises(InvalidField) as caught:
        ordered(variation={}, duration_s=0.0, sampling={"steps": 27})
    assert (caught.value.reason, caught.value.field) == ("OUT_OF_RANGE", "spec.sampling")
    assert caught.value.limit == "absent with a variation: it takes its source's"


async def test_an_engine_that_does_not_sample_refuses_it(pod: Pod) -> None:
    error, heard = await pod.refused(spec(sampling={"preset": S.PRESET_FAST}))
    assert (error.code, error.reason) == (grpc.StatusCode.UNIMPLEMENTED, "SAMPLING_UNSUPPORTED")
    assert not heard
    assert (await pod.song(spec(sampling={}))).result.audio_bytes


def test_the_digest_of_a_request_tells_sampling_apart_and_is_the_old_one_without() -> None:
    said = [{}, {"steps": 27}, {"omega": 0.0}, {"erg_text": True}, {"erg_lyric": True}, {"steps": 60}]
    digests = [ordered(sampling=fields).request_digest for fields in said]
    assert digests[0] == ordered().request_digest == DIGEST_BEFORE_SAMPLING
    assert len(set(digests)) == len(said)
    assert ordered(sampling={"preset": S.PRESET_FAST}).request_digest == digests[1]


def test_a_reading_is_attested_where_it_says_something_and_nowhere_else() -> None:
    silent = [ordered(), ordered(reading={}), ordered(reading={"genre": " "})]
    assert {order.request_digest for order in silent} == {DIGEST_BEFORE_SAMPLING}
    said = [{"genre": "folk"}, {"mood": "folk"}, {"tempo_bpm": 92.0}, {"instruments": ["a", "b"]}]
    digests = {ordered(reading=reading).request_digest for reading in said}
    assert len(digests | {DIGEST_BEFORE_SAMPLING}) == len(said) + 1
