"""What crosses from process to process arrives as it was, and nothing else is taken for a message."""

from dataclasses import replace

import pytest

from services.music.engine import DeviceMemory, EngineInfo, LyricSection, Progress, Reading, RenderRequest
from services.music.production import (
    AudioBytes,
    MasterBytes,
    Opened,
    PreviewBytes,
    Produced,
    SongJob,
    SourceFiles,
    TimelineBytes,
)
from services.music.sampling import Sampling
from services.music.wire import LENGTHS, Cancel, Failed, Message, Ready, Refused, Render, decode, encode

REQUEST = RenderRequest(
    prompt="naïve 🎷",
    lyrics=(LyricSection("verse", ("one", "zwei"), ("", "de")), LyricSection("solo")),
    language="en",
    duration_s=7.25,
    seed=2**32 - 1,
    preview=True,
)
JOB = SongJob(request=REQUEST, song_id="id", title="t", reveal_prompt=True, audio_format="mp3")
SAMPLING = Sampling(steps=27, scheduler="heun", guidance="cfg_star", erg_text=False, omega=-0.5)
DONE = Produced(
    pcm_sha256="0" * 64,
    master_sha256="1" * 64,
    state_sha256="2" * 64,
    duration_s=7.25,
    render_s=0.5,
    reading=Reading("house", "calm", 124.0, "A minor", ("piano",)),
    timeline_sha256="3" * 64,
)


@pytest.mark.parametrize(
    "message",
    [
        Ready(EngineInfo("sketch", "1", ai=False, weights_digest="f" * 64)),
        DeviceMemory(allocated_bytes=7, reserved_bytes=9, total_bytes=80 << 30),
        Render(JOB),
        Render.of(JOB, SourceFiles(b"state", b"master"), "00-" + "1" * 32 + "-" + "2" * 16 + "-01"),
        Render(replace(JOB, request=replace(REQUEST, sampling=SAMPLING))),
        Render(replace(JOB, request=replace(REQUEST, stated=Reading("folk", key="C# minor", meter="6/8")))),
        Cancel(),
        Failed("OUT_OF_MEMORY"),
        Refused("TOO_LONG", "prompt", "the prompt has 300 tokens", "256 tokens"),
        Progress("rendering", 3, 9, 1.5),
        Opened("audio/mpeg", 12),
        PreviewBytes(6, b"ID3"),
        AudioBytes(b"\x00\xff raw"),
        MasterBytes(4, b"flac"),
        TimelineBytes(9, b"\x09line"),
        DONE,
    ],
)
def test_a_message_arrives_as_it_was(message: Message) -> None:
    frame = encode(message)
    head, body = LENGTHS.unpack_from(frame)
    rest = frame[LENGTHS.size :]
    assert len(rest) == head + body
    assert decode(rest[:head], rest[head:]) == message


@pytest.mark.parametrize("head", [b'["os.system", {}]', b'["Progress", {"stage": 1}]', b"{}", b"\x80\x04."])
def test_what_is_no_message_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json, pydantic and wire each have their own kind
        decode(head, b"")
