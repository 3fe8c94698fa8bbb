"""A song's timeline from Python and from a shell."""

import io
import json

import mido
import pytest

import acesteps
from tests.clients.conftest import Connect, target_of
from tests.clients.shell import Shell
from tests.gateway.mesh import Gateway, Mesh, made
from tests.gateway.pods import LINES
from tests.gateway.timelines import read_lrc, timeline


async def test_a_timeline_is_had_as_a_message_and_as_files(
    connect: Connect, pods: Mesh, gateway: Gateway
) -> None:
    pods.music.timeline = timeline().SerializeToString()
    song, _ = await made(gateway, instrumental=False)
    client = connect(target_of(gateway))
    told = await client.timeline(song.id)
    assert [line.text for line in told.lines] == list(LINES)
    assert read_lrc(await client.timeline_file(song.id)).lines[0] == (0.5, LINES[0])
    worded = read_lrc(await client.timeline_file(song.id, words=True))
    assert len(worded.words[0]) == len(LINES[0].split()) + 1
    midi = mido.MidiFile(file=io.BytesIO(await client.timeline_file(song.id, file_format="midi")))
    assert len(midi.tracks) == 1 + len(timeline().tracks)
    token = (await client.share(song.id)).song.share_token
    assert await client.timeline(share_token=token) == told
    pods.music.timeline = b""
    other, _ = await made(gateway)
    with pytest.raises(acesteps.NotFound) as refused:
        await client.timeline(other.id)
    assert refused.value.reason == "TIMELINE_UNKNOWN"


async def test_a_timeline_is_written_by_a_command(shell: Shell, pods: Mesh, gateway: Gateway) -> None:
    pods.music.timeline = timeline().SerializeToString()
    song, _ = await made(gateway, instrumental=False, title="Rain On Tin")
    status, out, err = await shell.run("timeline", song.id)
    assert status == 0, err
    assert [line["text"] for line in json.loads(out)["lines"]] == list(LINES)
    status, out, _ = await shell.run("timeline", song.id, "--format", "lrc", "--words")
    assert status == 0
    assert read_lrc(out.encode()).words[1][0] == (3.1, "I ")
    told = await shell.ask("timeline", song.id, "--format", "midi", "-o", ".")
    assert told["path"].startswith("rain-on-tin-")
    assert mido.MidiFile(shell.folder / told["path"]).type == 1
    named = await shell.ask("timeline", song.id, "--format", "lrc", "-o", "words.lrc")
    assert (shell.folder / "words.lrc").stat().st_size == named["bytes"]
    pods.music.timeline = b""
    other, _ = await made(gateway)
    status, _, err = await shell.run("timeline", other.id)
    assert (status, "TIMELINE_UNKNOWN" in err or "told nothing" in err) == (3, True)
