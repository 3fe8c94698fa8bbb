"""Lists with filters: held to a second implementation, page by page."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from tests.gateway.mesh import CALL_S, Gateway, Mesh, made, problem_of
from tests.gateway.pods import Script

pytestmark = pytest.mark.asyncio(loop_scope="module")

TITLES = ["Rain on tin", "Señor Ångström", "100% rain_y", "a\\b", "RAIN", "nothing"]
WORDS = ["rain", "RAIN", "señor", "ÅNG", "%", "_", "\\", "calm", "JAZZ hop", "tin rain", "xyzzy", ""]


@pytest.fixture(scope="module")
def songs() -> list[pb.Song]:
    return []


async def all_songs(gateway: Gateway, songs: list[pb.Song]) -> list[pb.Song]:
    """Made once: of every title a plain one, a favourite and a hidden one."""
    if not songs:
        for title in TITLES:
            for change in ({}, {"favourite": True}, {"hidden": True}):
                song, _ = await made(gateway, title=title)
                if change:
                    request = pb.UpdateSongRequest(song_id=song.id, **change)
                    song = (await gateway.grpc.UpdateSong(request, timeout=CALL_S)).song
                songs.append(song)
        songs.reverse()
    return songs


def wanted(song: pb.Song, states: list[int], query: str, favourite: bool | None, hidden: bool) -> bool:
    text = f"{song.title}\n{song.prompt}".lower()
    return (
        (not states or song.state in states)
        and all(word.lower() in text for word in query.split())
        and (favourite is None or song.favourite == favourite)
        and song.hidden == hidden
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    states=st.lists(st.sampled_from([pb.SONG_STATE_SUCCEEDED, pb.SONG_STATE_FAILED]), max_size=2),
    query=st.sampled_from(WORDS),
    favourite=st.sampled_from([None, True, False]),
    hidden=st.booleans(),
    size=st.integers(1, 7),
)
async def test_every_filter_gives_what_a_second_implementation_gives(
    shared: Gateway, songs: list[pb.Song], states: Any, query: str, favourite: Any, hidden: bool, size: int
) -> None:
    expected = [s.id for s in await all_songs(shared, songs) if wanted(s, states, query, favourite, hidden)]
    found, token = [], ""
    while True:
        request = pb.ListSongsRequest(
            states=states, query=query, favourite=favourite, hidden=hidden, page_size=size, page_token=token
        )
        page = await shared.grpc.ListSongs(request, timeout=CALL_S)
        found += [song.id for song in page.songs]
        assert len(page.songs) <= size
        if not (token := page.next_page_token):
            break
    assert found == expected


async def test_rest_takes_the_same_filters(shared: Gateway, songs: list[pb.Song]) -> None:
    made_songs = await all_songs(shared, songs)
    answer = await shared.http.get(
        "/v1/songs",
        params=[
            ("states", "SONG_STATE_SUCCEEDED"), ("states", "SONG_STATE_FAILED"), ("query", "señor"),
            ("favourite", "true"),
        ],
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    expected = [s.id for s in made_songs if s.favourite and "Señor" in s.title]
    assert [s["id"] for s in answer.json()["songs"]] == expected


async def test_songs_in_the_making_are_found_by_their_state(
    shared_pods: Mesh, shared: Gateway, songs: list[pb.Song]
) -> None:
    await all_songs(shared, songs)
    script = Script(pause_after=1)
    shared_pods.music.follow(script)
    song = await shared.create()
    await script.paused.wait()
    request = pb.ListSongsRequest(states=[pb.SONG_STATE_RUNNING])
    listed = await shared.grpc.ListSongs(request, timeout=CALL_S)
    assert [s.id for s in listed.songs] == [song.id]
    await shared.grpc.CancelSong(pb.CancelSongRequest(song_id=song.id), timeout=CALL_S)
    await shared.grpc.DeleteSong(pb.DeleteSongRequest(song_id=song.id), timeout=CALL_S)
    shared_pods.music.forget()


async def test_a_token_of_other_filters_is_refused(shared: Gateway, songs: list[pb.Song]) -> None:
    await all_songs(shared, songs)
    page = await shared.grpc.ListSongs(pb.ListSongsRequest(page_size=1), timeout=CALL_S)
    request = pb.ListSongsRequest(page_size=1, page_token=page.next_page_token, query="rain")
    error = await shared.refusal("ListSongs", request)
    assert (error.reason, error.metadata["field"]) == ("MALFORMED", "page_token")


@pytest.mark.parametrize(
    ("params", "reason", "field"),
    [
        ({"query": "x" * 201}, "TOO_LONG", "query"),
        ({"query": "a\x00b"}, "MALFORMED", "query"),
        ({"states": "SONG_STATE_UNSPECIFIED"}, "UNKNOWN_VALUE", "states[0]"),
        ({"states": "DONE"}, "UNKNOWN_VALUE", "states[0]"),
        ({"batch_id": "nonsense"}, "BATCH_NOT_FOUND", "batch_id"),
        ({"page_size": "101"}, "OUT_OF_RANGE", "page_size"),
        ({"favourite": "perhaps"}, "MALFORMED", "favourite"),
    ],
)
async def test_a_filter_out_of_its_limits_is_refused(
    shared: Gateway, params: dict[str, str], reason: str, field: str
) -> None:
    problem = problem_of(await shared.http.get("/v1/songs", params=params))
    assert (problem["reason"], problem["field"]) == (reason, field)
