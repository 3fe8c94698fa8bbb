"""Songs sampled as their requests say: other samples, attested, the same beside others, and varied."""

import asyncio
from collections.abc import Iterator, Mapping

import pytest

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.music.v1 import music_service_pb2 as pb
from services.music.acestep.making import Making
from services.music.acestep.options import SamplingOptions
from services.music.acestep.state import SongState
from tests.music.editing import Kept, Studio, edit, trusted, write_bundle
from tests.music.pod import Heard, spec
from tests.music_acestep.editing import editing_pod, pod_digest

STEPS = 4
S = pb.Sampling
OWN = {"steps": 3, "scheduler": S.SCHEDULER_HEUN, "guidance": S.GUIDANCE_CFG, "guidance_scale": 5.0}
OWN_OPTIONS = SamplingOptions(steps=3, scheduler="heun", cfg_type="cfg", guidance_scale=5.0)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    pod, bundle_file = editing_pod(folder, slots=2, steps=STEPS)
    write_bundle(bundle_file, 1, trusted(pod.key, "acestep", pod_digest(folder)))
    with pod.running():
        yield Studio(pod, bundle_file)


def order(sampling: Mapping[str, object] | None = None, **fields: object) -> pb.SongSpec:
    lyrics = {"sections": [{"tag": lyrics_pb.SECTION_TAG_VERSE, "lines": [{"text": "over the water"}]}]}
    usual: dict[str, object] = {
        "song_id": "00000000-0000-4000-8000-00000000000e",
        "prompt": "dream pop",
        "lyrics": {"language": "en", **lyrics},
        "sampling": sampling,
    }
    return spec(**{**usual, **fields})


_SONGS: dict[str, Heard] = {}


@pytest.fixture
async def plain(studio: Studio) -> Heard:
    """As the pod is set; made once and looked at by many tests, as is `own`."""
    if "plain" not in _SONGS:
        _SONGS["plain"] = await studio.pod.song(order())
    return _SONGS["plain"]


@pytest.fixture
async def own(studio: Studio) -> Heard:
    if "own" not in _SONGS:
        _SONGS["own"] = await studio.pod.song(order(OWN))
    return _SONGS["own"]


def options_of(song: Heard) -> SamplingOptions:
    return Making.from_bytes(SongState.from_bytes(bytes(song.state)).making).options


def steps_of(song: Heard) -> list[int]:
    return [p.step for p in song.progress if p.stage == "rendering"]


async def test_a_song_with_options_of_its_own_is_another_song_and_attested_as_such(
    studio: Studio, plain: Heard, own: Heard
) -> None:
    assert own.result.pcm_sha256 != plain.result.pcm_sha256
    assert (steps_of(plain), steps_of(own)) == ([0, 1, 2, 3, 4], [0, 1, 2, 3])
    assert (options_of(plain), options_of(own)) == (SamplingOptions(steps=STEPS), OWN_OPTIONS)
    first, second = studio.statement(plain), studio.statement(own)
    assert first.request_digest != second.request_digest
    assert first.engine_version == second.engine_version == f"1.0.0+steps.{STEPS}"  # the pod's


async def test_the_same_options_give_the_same_bytes(studio: Studio, own: Heard) -> None:
    again = await studio.pod.song(order(OWN))
    assert (again.audio, again.master, again.state) == (own.audio, own.master, own.state)


async def test_what_is_said_as_the_pod_is_set_changes_no_sample(studio: Studio, plain: Heard) -> None:
    same = {"steps": STEPS, "scheduler": S.SCHEDULER_EULER, "guidance_scale": 15.0, "erg_text": True}
    again = await studio.pod.song(order(same))
    assert again.result.pcm_sha256 == plain.result.pcm_sha256
    assert studio.statement(again).request_digest != studio.statement(plain).request_digest


@pytest.mark.parametrize(
    "sampling",
    [
        {"steps": 5},
        {"scheduler": S.SCHEDULER_PINGPONG},
        {"guidance": S.GUIDANCE_CFG},
        {"guidance": S.GUIDANCE_CFG_ZERO_STAR},
        {"guidance_scale": 3.0},
        {"guidance_scale": 1.0},
        {"guidance_interval": 1.0},
        {"guidance_interval_decay": 1.0},
        {"guidance_scale_text": 5.0, "guidance_scale_lyric": 2.0},
        {"erg_text": False},
        {"erg_lyric": False},
        {"erg_diffusion": False},
        {"omega": -50.0},
    ],
)
async def test_every_option_reaches_the_model(
    studio: Studio, plain: Heard, sampling: Mapping[str, object]
) -> None:
    song = await studio.pod.song(order(sampling))
    assert song.result.pcm_sha256 != plain.result.pcm_sha256


async def test_songs_with_other_options_at_once_are_those_made_alone(
    studio: Studio, plain: Heard, own: Heard
) -> None:
    beside = await asyncio.gather(studio.pod.song(order()), studio.pod.song(order(OWN)))
    assert [song.audio for song in beside] == [plain.audio, own.audio]
    assert [song.state for song in beside] == [plain.state, own.state]


async def test_a_variation_is_sampled_as_its_source_was(studio: Studio, own: Heard) -> None:
    varied = await edit(studio.pod, order(variation={"variance": 0.3}, duration_s=0.0, seed=9), Kept.of(own))
    assert varied.result.pcm_sha256 != own.result.pcm_sha256
    assert (steps_of(varied), options_of(varied)) == ([0, 1, 2, 3], OWN_OPTIONS)
    near = await edit(studio.pod, order(variation={"variance": 1e-12}, duration_s=0.0), Kept.of(own))
    assert steps_of(near) == [0, 1, 2, 3]  # made anew, from all but the same noise
    assert near.result.pcm_sha256 == own.result.pcm_sha256


async def test_at_variance_0_a_song_with_options_of_its_own_comes_back(studio: Studio, own: Heard) -> None:
    same = await edit(studio.pod, order(variation={"variance": 0.0}, duration_s=0.0), Kept.of(own))
    assert (same.result.pcm_sha256, same.state) == (own.result.pcm_sha256, own.state)


@pytest.mark.parametrize("end_s", [2.0, 5.0])
async def test_a_repaint_is_sampled_as_it_says_and_a_variation_of_it_likewise(
    studio: Studio, plain: Heard, end_s: float
) -> None:
    asked = order(OWN, repaint={"start_s": 0.0, "end_s": end_s, "variance": 0.7}, duration_s=0.0)
    painted = await edit(studio.pod, asked, Kept.of(plain))
    assert options_of(painted) == OWN_OPTIONS
    assert steps_of(painted) == [0, 1, 2, 3]
    assert studio.statement(painted).task == "repaint"
    again = order(variation={"variance": 0.5}, duration_s=0.0, seed=9)
    varied = await edit(studio.pod, again, Kept.of(painted, Kept.of(plain)))
    assert options_of(varied) == OWN_OPTIONS
    assert steps_of(varied) == [0, 1, 2]  # from its latents: the last two of three
