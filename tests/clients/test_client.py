"""The Python client of either kind, against real gateways that restart and attempts that end."""

import asyncio
import hashlib
import inspect
import subprocess
import sys
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import acesteps
from acesteps import AsyncClient, AudioPiece, Client, Extend, Tls, Variation
from acesteps.channel import destination
from acesteps.files import PartFile
from acesteps.gateway.v1 import account_service_pb2 as account_pb
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.gateway.v1.gateway_service_pb2_grpc import (
    GatewayServiceServicer,
    add_GatewayServiceServicer_to_server,
)
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from deploy.local.ports import free_ports
from services.common.errors import InvalidRequest, Unavailable
from tests.clients.conftest import Connect, Keyed, listed, target_of
from tests.clients.recorder import RPCS, Recorder, served
from tests.common.certificates import Authority
from tests.gateway.mesh import Gateway, Mesh
from tests.gateway.mesh import gateway as running
from tests.gateway.pods import PIECE, Script, rendered

PROMPT = "calm jazz hop, 84 bpm"


async def test_a_song_is_made_watched_and_downloaded(
    connect: Connect, gateway: Gateway, tmp_path: Path
) -> None:
    client = connect(target_of(gateway))
    seen: list[acesteps.Song] = []
    song = await client.make(PROMPT, duration_s=5.0, instrumental=True, seed=7, on_change=seen.append)
    assert acesteps.state_of(song) == "succeeded"
    assert [one.revision for one in seen] == sorted({one.revision for one in seen})
    assert song == await client.get(song.id)
    expected = rendered(song.id, 7, 5.0)
    for audio_format, content in (("mp3", expected.audio), ("flac", expected.master)):
        file = await client.download(song.id, tmp_path / "song", audio_format=audio_format)
        assert file.path.read_bytes() == content
        assert (file.sha256, file.restarts) == (hashlib.sha256(content).hexdigest(), 0)
    wav = await client.download(song.id, tmp_path / "song.wav", audio_format="wav")
    assert wav.path.read_bytes().endswith(expected.pcm)


async def test_a_request_id_makes_one_song_and_without_one_every_call_makes_its_own(
    connect: Connect, gateway: Gateway
) -> None:
    client = connect(target_of(gateway))
    fields: dict[str, Any] = {"duration_s": 5.0, "instrumental": True, "seed": 1}
    first, again = [(await client.create(PROMPT, request_id="once", **fields)).song.id for _ in range(2)]
    other, another = [(await client.create(PROMPT, **fields)).song.id for _ in range(2)]
    assert first == again
    assert len({first, other, another}) == 3


async def test_an_edit_names_its_source_and_what_is_done(connect: Connect, gateway: Gateway) -> None:
    client = connect(target_of(gateway))
    source = await client.make(PROMPT, duration_s=5.0, instrumental=True)
    song = await client.make(source_song_id=source.id, edit=Variation(variance=0.5))
    assert (song.source_song_id, song.WhichOneof("edit")) == (source.id, "variation")
    longer = (await client.create(source_song_id=source.id, edit=Extend(right_s=2.0))).song
    assert longer.duration_s == 7.0


async def test_a_list_goes_through_all_pages(connect: Connect, gateway: Gateway) -> None:
    client = connect(target_of(gateway))
    made = [(await client.create(PROMPT, duration_s=5.0, instrumental=True)).song.id for _ in range(5)]
    assert [song.id for song in await listed(client.list(page_size=2))] == made[::-1]


async def test_songs_are_found_by_what_they_are(connect: Connect, pods: Mesh, gateway: Gateway) -> None:
    client = connect(target_of(gateway))
    fields: dict[str, Any] = {"duration_s": 5.0, "instrumental": True}
    night = await client.make(PROMPT, title="Night Train", **fields)
    noon = await client.make(PROMPT, title="Noon", **fields)
    pods.music.follow(Script(error=InvalidRequest("STEPS_UNKNOWN", "no such steps")))
    with pytest.raises(acesteps.SongFailed) as failure:
        await client.make(PROMPT, title="Night Bus", **fields)

    async def found(**filters: Any) -> list[str]:
        return [song.id for song in await listed(client.list(page_size=1, **filters))]

    failed = failure.value.song.id
    assert await found(states=["failed"]) == [failed]
    assert await found(states=["failed", "succeeded"]) == [failed, noon.id, night.id]
    assert await found(query="night") == [failed, night.id]
    assert (await client.update(noon.id, favourite=True)).favourite
    assert await found(favourite=True) == [noon.id]
    assert await found(favourite=False) == [failed, night.id]
    assert (await client.update(noon.id, hidden=True)).favourite
    assert (await found(), await found(hidden=True)) == ([failed, night.id], [noon.id])
    assert acesteps.has_ended(await client.finish((await client.retry(failed)).id))


async def test_a_shared_song_is_heard_by_anyone_until_it_is_taken_back(
    connect: Connect, gateway: Gateway
) -> None:
    client = connect(target_of(gateway))
    song = await client.make(PROMPT, title="Night Train", duration_s=5.0, instrumental=True)
    token = (await client.share(song.id)).song.share_token
    assert (await client.shared(token)).title == "Night Train"
    assert (await client.unshare(song.id)).share_token == ""
    with pytest.raises(acesteps.NotFound, match="SHARE_NOT_FOUND"):
        await client.shared(token)


async def test_a_family_outlives_a_song_that_is_deleted(connect: Connect, gateway: Gateway) -> None:
    client = connect(target_of(gateway))
    first = await client.make(PROMPT, duration_s=5.0, instrumental=True)
    second = await client.make(source_song_id=first.id, edit=Variation(variance=0.5))
    await client.delete(first.id)
    with pytest.raises(acesteps.NotFound):
        await client.get(first.id)
    members = (await client.family(second.id)).members
    assert [(one.song_id, one.deleted) for one in members] == [(first.id, True), (second.id, False)]


async def restarting(pods: Mesh, stack: AsyncExitStack, **settings: Any) -> tuple[str, AsyncExitStack]:
    """A gateway that makes no songs itself, and what ends it; the same port begins it again."""
    own = await stack.enter_async_context(AsyncExitStack())
    front = await own.enter_async_context(running(**{**pods.environment, "workers": 0, **settings}))
    return target_of(front), own


async def test_watching_goes_on_through_a_gateway_that_restarts(connect: Connect, pods: Mesh) -> None:
    script = Script(pause_after=2)
    pods.music.follow(script)
    await pods.open()  # makes the songs
    (port,) = free_ports(1)
    async with AsyncExitStack() as stack:
        target, front = await restarting(pods, stack, grpc_port=port)
        told: list[acesteps.AcestepsError] = []
        client = connect(target, note=told.append)
        song = (await client.create(PROMPT, duration_s=5.0, instrumental=True)).song
        revisions: list[int] = []

        async def watch() -> None:
            async with aclosing(client.watch(song.id)) as changes:
                async for change in changes:
                    revisions.append(change.revision)

        watching = asyncio.create_task(watch())
        await script.paused.wait()
        await front.aclose()
        script.go_on.set()
        await restarting(pods, stack, grpc_port=port)
        await watching
        assert told
        assert revisions == sorted(set(revisions))
        assert revisions[-1] == (await client.get(song.id)).revision


async def test_listening_goes_on_at_the_byte_that_was_reached(connect: Connect, pods: Mesh) -> None:
    script = Script(pause_after=2)
    pods.music.follow(script)
    await pods.open()
    (port,) = free_ports(1)
    async with AsyncExitStack() as stack:
        target, front = await restarting(pods, stack, grpc_port=port)
        client = connect(target)
        song = (await client.create(PROMPT, duration_s=5.0, instrumental=True)).song
        pieces: list[AudioPiece] = []
        reached = asyncio.Event()

        async def listen() -> None:
            async with aclosing(client.listen(song.id)) as audio:
                async for piece in audio:
                    pieces.append(piece)
                    if piece.offset + len(piece.data) >= 2 * PIECE:
                        reached.set()

        listening = asyncio.create_task(listen())
        await reached.wait()
        await front.aclose()
        script.go_on.set()
        await restarting(pods, stack, grpc_port=port)
        await listening
        assert b"".join(piece.data for piece in pieces) == rendered(song.id, song.seed, 5.0).audio
        assert {piece.attempt for piece in pieces} == {1}


async def test_a_download_begins_anew_when_the_attempt_ends_in_the_middle(
    connect: Connect, pods: Mesh, gateway: Gateway, tmp_path: Path
) -> None:
    broken = Script(pause_after=2, error=Unavailable("POD_LOST", "the pod is gone"))
    pods.music.follow(broken)
    client = connect(target_of(gateway))
    song = (await client.create(PROMPT, duration_s=5.0, instrumental=True)).song
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_piece(piece: AudioPiece) -> None:
        assert not (tmp_path / "song.mp3").exists()
        loop.call_soon_threadsafe(heard.set)

    downloading = asyncio.create_task(client.download(song.id, tmp_path / "song.mp3", on_piece=on_piece))
    await heard.wait()
    broken.go_on.set()
    file = await downloading
    assert file.restarts == 1
    assert file.path.read_bytes() == rendered(song.id, song.seed, 5.0).audio
    assert list(tmp_path.glob("*.part")) == []


async def test_a_song_that_fails_is_an_error_with_its_reason_and_leaves_no_file(
    connect: Connect, pods: Mesh, gateway: Gateway, tmp_path: Path
) -> None:
    pods.music.follow(Script(error=InvalidRequest("STEPS_UNKNOWN", "no such steps")))
    client = connect(target_of(gateway))
    with pytest.raises(acesteps.SongFailed) as failure:
        await client.make(PROMPT, duration_s=5.0, instrumental=True)
    song = failure.value.song
    assert (failure.value.reason, acesteps.state_of(song)) == (song.failure.reason, "failed")
    with pytest.raises(acesteps.FailedPrecondition, match="SONG_FAILED"):
        await client.download(song.id, tmp_path / "song.mp3")
    assert list(tmp_path.glob("song*")) == []


async def test_audio_of_another_song_is_not_kept(connect: Connect, gateway: Gateway, tmp_path: Path) -> None:
    client = connect(target_of(gateway))
    song = await client.make(PROMPT, duration_s=5.0, instrumental=True)
    for path in Path(gateway.settings.objects_url.removeprefix("file://")).rglob("*"):
        if path.is_file():
            path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(acesteps.AudioMismatch):
        await client.download(song.id, tmp_path / "song.mp3")
    assert list(tmp_path.glob("song*")) == []


async def test_errors_are_typed_and_name_reason_field_and_limit(connect: Connect, gateway: Gateway) -> None:
    client = connect(target_of(gateway))
    with pytest.raises(acesteps.InvalidArgument) as bad:
        await client.create(PROMPT, duration_s=4.0)
    assert (bad.value.reason, bad.value.field) == ("OUT_OF_RANGE", "duration_s")
    assert bad.value.limit in str(bad.value)
    assert "240" in bad.value.limit
    with pytest.raises(acesteps.InvalidArgument) as large:
        await client.create(PROMPT, seed=2**32)
    assert (large.value.field, large.value.limit) == ("seed", "0 to 4294967295")
    with pytest.raises(acesteps.NotFound) as missing:
        await client.get("00000000-0000-4000-8000-000000000000")
    assert missing.value.reason == "SONG_NOT_FOUND"
    with pytest.raises(acesteps.FailedPrecondition) as refused:
        await client.create("a song in the voice of Taylor Swift")
    assert (refused.value.reason, bool(refused.value.metadata["rule"])) == ("PROMPT_REFUSED", True)


async def test_a_gateway_that_stays_away_is_given_up_and_told_of_once(connect: Connect) -> None:
    told: list[acesteps.AcestepsError] = []
    client = connect("127.0.0.1:9", patience_s=0.5, note=told.append)
    with pytest.raises(acesteps.Unavailable):
        await client.get("x")
    with pytest.raises(acesteps.Unavailable):
        await listed(client.watch("x"))
    assert len(told) == 2


async def test_an_api_key_says_whose_songs_these_are_and_without_one_nothing_is_open(
    connect: Connect, keyed: Keyed
) -> None:
    with pytest.raises(acesteps.Unauthenticated):
        await connect(keyed.target).get("00000000-0000-4000-8000-000000000000")
    with pytest.raises(acesteps.Unauthenticated):
        await connect(keyed.target, api_key="ace_" + "A" * 43).get("00000000-0000-4000-8000-000000000000")
    scopes = (account_pb.SCOPE_READ, account_pb.SCOPE_WRITE)
    first, second = [connect(keyed.target, api_key=await keyed.secret(*scopes)) for _ in range(2)]
    song = await first.make(PROMPT, duration_s=5.0, instrumental=True)
    assert [one.id for one in await listed(second.list())] == [song.id]


async def test_every_call_that_there_is_can_be_made_and_has_a_deadline_and_the_key(connect: Connect) -> None:
    recorder = Recorder()
    async with served(recorder) as target:
        await _call_everything(connect(target, api_key="ace_test-key"))
    assert set(recorder.calls) == {method.name for method in RPCS}
    for metadata, remaining_s in recorder.calls.values():
        assert metadata["authorization"] == "Bearer ace_test-key"
        assert remaining_s is not None
        assert remaining_s < 1000


async def _call_everything(client: Any) -> None:
    for name in ("get", "cancel", "retry", "delete", "share", "unshare", "family", "save", "mint_order"):
        await getattr(client, name)("id")
    for name in ("sign_url", "peaks", "spectrogram", "shared", "get_batch", "cancel_batch", "review"):
        await getattr(client, name)("id")
    await client.update("id", title="new")
    await client.create(PROMPT)
    await client.create_batch([PROMPT], variations=2)
    await client.review_lyrics(lyrics_pb.ReviewLyricsRequest())
    for stream in (client.list(), client.watch("id"), client.watch_batch("id"), client.listen("id")):
        assert await listed(stream) == []
    await listed(client.write_lyrics(lyrics_pb.GenerateLyricsRequest()))


class Interrupted(GatewayServiceServicer):
    """A gateway that goes away in the middle of its first answers."""

    def __init__(self, *, after: int) -> None:
        self._left = after
        self.asked: list[Any] = []

    async def WriteLyrics(self, request: pb.WriteLyricsRequest, context: Any) -> Any:
        self.asked.append(request)
        for text in ("rain on the roof", "rain on the pane"):
            await self._go_away(context)
            line = lyrics_pb.LyricsLine(text=text)
            yield pb.WriteLyricsResponse(lyrics=lyrics_pb.GenerateLyricsResponse(line=line))

    async def WatchBatch(self, request: pb.WatchBatchRequest, context: Any) -> Any:
        self.asked.append(request.cursor)
        for number in range(int(request.cursor or 0), 3):
            await self._go_away(context)
            yield pb.WatchBatchResponse(song=pb.Song(id=str(number)), cursor=str(number + 1))

    async def _go_away(self, context: Any) -> None:
        self._left -= 1
        if self._left == -1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")


async def test_a_batch_is_watched_on_from_the_last_cursor(connect: Connect) -> None:
    gateway = Interrupted(after=2)
    async with served(gateway) as target:
        answers = await listed(connect(target).watch_batch("batch"))
    assert [answer.song.id for answer in answers] == ["0", "1", "2"]
    assert gateway.asked == ["", "2"]


async def test_words_are_asked_for_again_only_while_none_has_come(connect: Connect) -> None:
    brief = lyrics_pb.GenerateLyricsRequest(theme="rain")
    early = Interrupted(after=0)
    async with served(early) as target:
        lines = await listed(connect(target).write_lyrics(brief))
    assert [event.line.text for event in lines] == ["rain on the roof", "rain on the pane"]
    assert len(early.asked) == 2
    late = Interrupted(after=1)
    async with served(late) as target:
        with pytest.raises(acesteps.Unavailable, match="INTERRUPTED"):
            await listed(connect(target).write_lyrics(brief))
    assert len(late.asked) == 1


async def test_over_tls_the_gateway_is_checked_and_may_check_the_client(
    connect: Connect, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    recorder, server = Recorder(), grpc.aio.server()
    add_GatewayServiceServicer_to_server(recorder, server)
    gateway, own = authority.issue("localhost"), authority.issue("someone")
    credentials = grpc.ssl_server_credentials(
        [(gateway.key.read_bytes(), gateway.certificate.read_bytes())],
        gateway.ca.read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    tls = Tls(own.ca, own.certificate, own.key)
    await connect(f"localhost:{port}", tls=tls, api_key="k").get("id")
    assert recorder.calls["GetSong"][0]["authorization"] == "Bearer k"
    for strangers in (Tls(own.ca), True, False):
        with pytest.raises(acesteps.Unavailable):
            await connect(f"localhost:{port}", tls=strangers, patience_s=0.2).get("id")
    await server.stop(0)


@pytest.mark.parametrize(
    ("target", "encrypted"),
    [
        ("127.0.0.1:50050", False), ("localhost:50050", False), ("[::1]:50050", False),
        ("gateway.example:443", True), ("dns:///gateway.example:443", True), ("10.0.0.7:50050", True),
        ("127.0.0.1.example:443", True), ("localhost.example:1", True),
    ],
)  # fmt: skip
def test_a_key_crosses_no_network_in_the_clear_unless_asked_to(target: str, encrypted: bool) -> None:
    assert (destination(target, None).credentials is not None) is encrypted
    assert destination(target, False).credentials is None


@pytest.mark.parametrize("target", ["", "gateway", "gateway:", "http://gateway:80"])
def test_a_target_without_a_port_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Client(target)


@pytest.mark.parametrize("key", ["two words", "käse", "line\nbreak"])
def test_a_key_that_fits_into_no_header_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as error:
        Client("127.0.0.1:1", api_key=key)
    assert key not in str(error.value)


@given(st.lists(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4), min_size=1, max_size=4))
def test_of_any_attempts_the_last_is_the_file(tmp_path_factory: Any, attempts: list[list[bytes]]) -> None:
    path = tmp_path_factory.mktemp("file") / "song.mp3"
    with PartFile(path) as file:
        for number, pieces in enumerate(attempts, 1):
            offset = 0
            for data in pieces:
                file.add(AudioPiece(data, offset, number, 0))
                offset += len(data)
        assert not path.exists()
        kept = file.keep()
    whole = b"".join(attempts[-1])
    assert path.read_bytes() == whole
    assert kept.sha256 == hashlib.sha256(whole).hexdigest()
    assert kept.restarts == len(attempts) - 1
    assert [entry.name for entry in path.parent.iterdir()] == ["song.mp3"]


def test_both_clients_have_the_same_methods_and_parameters() -> None:
    def surface(kind: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {n: list(inspect.signature(m).parameters) for n, m in methods if not n.startswith("_")}

    assert surface(Client) == surface(AsyncClient)


def test_the_synchronous_client_is_the_twin_of_the_other() -> None:
    twin = Path(acesteps.__file__).parents[2] / "twin.py"
    done = subprocess.run([sys.executable, str(twin), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_generated_modules_load_no_client() -> None:
    code = (
        "import sys, acesteps.gateway.v1.gateway_service_pb2_grpc\n"
        "assert not {'acesteps.aio', 'acesteps.sync', 'acesteps.cli'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in acesteps.__all__:
        assert getattr(acesteps, name)
