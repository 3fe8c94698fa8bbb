"""What a song's stream holds: order, bytes, hashes, and a proof that others can check."""

import base64
import hashlib
import io
import json
from datetime import UTC, datetime

import av
import numpy as np
import pytest
import soundfile
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from numpy.typing import NDArray

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.music.v1 import music_service_pb2 as pb
from services.common.cid import unixfs_cid
from services.common.provenance import version_digest
from services.common.trust import TrustBundle, TrustedKey, verify
from tests.music.pod import Heard, Pod, spec


def decoded(file: bytes) -> tuple[NDArray[np.float32], av.AudioStream]:
    """(n, 2) samples by FFmpeg's decoder, which is not the encoder's."""
    with av.open(io.BytesIO(file), "r") as container:
        stream = container.streams.audio[0]
        frames = [frame.to_ndarray() for frame in container.decode(stream)]
        return np.concatenate(frames, axis=1).T.astype(np.float32), stream


def pcm_of(song: Heard) -> NDArray[np.int16]:
    samples, rate_hz = soundfile.read(io.BytesIO(song.master), dtype="int16")
    assert rate_hz == 44_100
    return np.asarray(samples)


async def test_messages_come_in_the_order_that_the_contract_gives(song: Heard) -> None:
    order = [kind for kind in song.kinds if kind not in ("progress", "audio")]
    assert order == ["header", "master", "state", "timeline", "result"]
    assert song.kinds.index("audio") < song.kinds.index("master")
    assert "audio" not in song.kinds[song.kinds.index("master") :]


async def test_sound_leaves_before_the_song_is_done(song: Heard) -> None:
    # audio between two messages of progress: the first bar was sent before the second was made
    first = song.kinds.index("audio")
    assert song.kinds[first + 1 : first + 3] == ["progress", "audio"]
    assert 0 < song.result.first_audio_s < song.result.render_s


async def test_progress_counts_real_steps_to_the_end(song: Heard) -> None:
    stages = list(dict.fromkeys(p.stage for p in song.progress))
    assert stages == ["composing", "rendering", "mastering"]
    rendering = [p for p in song.progress if p.stage == "rendering"]
    assert [p.step for p in rendering] == list(range(rendering[0].steps + 1))


async def test_the_first_chunk_is_small_and_none_is_over_64_kib(song: Heard) -> None:
    assert song.chunk_sizes[0] <= 8 * 1024
    assert max(song.chunk_sizes) <= 64 * 1024


async def test_the_header_knows_the_length_of_the_file(song: Heard) -> None:
    header = song.header
    assert header.total_bytes == len(song.audio) == song.result.audio_bytes
    assert (header.media_type, header.format) == ("audio/mpeg", pb.AUDIO_FORMAT_MP3)
    assert (header.sample_rate_hz, header.channels, header.seed, header.engine) == (44_100, 2, 7, "sketch")


async def test_hashes_are_those_of_the_bytes(song: Heard) -> None:
    result = song.result
    assert result.audio_sha256 == song.sha256
    assert result.audio_cid == unixfs_cid(bytes(song.audio))
    assert result.master_sha256 == hashlib.sha256(song.master).digest()
    assert result.state_sha256 == hashlib.sha256(song.state).digest()


async def test_the_master_holds_the_attested_samples(song: Heard) -> None:
    pcm = pcm_of(song)
    assert pcm.shape == (12 * 44_100, 2)
    assert hashlib.sha256(pcm.astype("<i2").tobytes()).digest() == song.result.pcm_sha256
    assert song.result.duration_s == 12.0


async def test_the_mp3_is_320_kbit_and_decodes_to_the_same_music_sample_for_sample(song: Heard) -> None:
    samples, stream = decoded(bytes(song.audio))
    assert (stream.codec_context.name, stream.sample_rate, stream.channels) == ("mp3float", 44_100, 2)
    assert stream.bit_rate == 320_000
    pcm = pcm_of(song) / 32_768
    assert samples.shape == pcm.shape
    error = np.sqrt(np.mean((samples - pcm) ** 2)) / np.sqrt(np.mean(pcm**2))
    assert error < 0.1  # a shift by one sample makes it 0.3


async def test_a_wav_file_is_the_samples_themselves(pod: Pod, song: Heard) -> None:
    wav = await pod.song(spec(format=pb.AUDIO_FORMAT_WAV))
    mp3 = await pod.song(spec())
    assert (wav.header.media_type, wav.header.total_bytes) == ("audio/wav", len(wav.audio))
    samples, rate_hz = soundfile.read(io.BytesIO(wav.audio), dtype="int16")
    assert rate_hz == 44_100
    assert np.array_equal(samples, pcm_of(wav))
    assert wav.result.pcm_sha256 == mp3.result.pcm_sha256


async def test_the_same_seed_gives_the_same_samples_and_the_same_id_the_same_bytes(pod: Pod) -> None:
    first = await pod.song(spec(song_id="00000000-0000-4000-8000-000000000001"))
    again = await pod.song(spec(song_id="00000000-0000-4000-8000-000000000001"))
    other = await pod.song(spec(song_id="00000000-0000-4000-8000-000000000002"))
    assert first.audio == again.audio
    assert first.result.pcm_sha256 == other.result.pcm_sha256
    assert first.result.audio_sha256 != other.result.audio_sha256


async def test_an_engine_without_previews_leaves_one_out(pod: Pod) -> None:
    song_id = "00000000-0000-4000-8000-000000000001"
    asked, plain = [await pod.song(spec(song_id=song_id, preview=preview)) for preview in (True, False)]
    assert "preview" not in asked.kinds
    assert asked.audio == plain.audio


async def test_another_seed_gives_another_song(pod: Pod) -> None:
    songs = [await pod.song(spec(seed=seed, prompt="piano, 80 BPM")) for seed in (1, 2)]
    a, b = (pcm_of(song).astype(float).mean(axis=1) for song in songs)
    assert abs(float(np.corrcoef(a, b)[0, 1])) < 0.3


async def test_without_a_seed_one_is_drawn_and_returned(pod: Pod) -> None:
    order = spec()
    order.ClearField("seed")
    songs = [await pod.song(order) for _ in range(2)]
    assert songs[0].result.seed != songs[1].result.seed
    assert all(song.header.seed == song.result.seed for song in songs)
    assert songs[0].result.pcm_sha256 != songs[1].result.pcm_sha256


async def test_the_result_says_what_was_understood(song: Heard) -> None:
    reading = song.result.reading
    assert (reading.genre, reading.mood, list(reading.instruments)) == (
        "synth-pop",
        "mysterious",
        ["saxophone"],
    )
    assert 80 < reading.tempo_bpm < 130
    assert reading.key.split()[1] in ("major", "minor")


async def test_the_state_names_its_engine_and_holds_no_words(pod: Pod) -> None:
    lyrics = lyrics_pb.LyricDocument(
        language="en",
        sections=[
            lyrics_pb.LyricSection(
                tag=lyrics_pb.SECTION_TAG_VERSE,
                lines=[lyrics_pb.LyricLine(text="Zebra lanterns burning low")],
            )
        ],
    )
    song = await pod.song(spec(lyrics=lyrics, duration_s=8.0, prompt="quixotic folk"))
    state = json.loads(bytes(song.state))
    assert (state["engine"], state["seed"]) == ("sketch", 7)
    (sung,) = [line for section in state["sections"] for line in section["lines"]]
    assert sung["syllables"] == 7
    assert b"Zebra" not in song.state
    assert b"quixotic" not in song.state


async def test_the_envelope_counts_with_a_bundle_that_trusts_the_pod(pod: Pod, song: Heard) -> None:
    now = datetime.now(UTC)
    key = TrustedKey(
        key_id=pod.key.key_id,
        public_key=base64.b64encode(pod.key.public_key).decode(),
        not_before=now.replace(year=now.year - 1),
        not_after=now.replace(year=now.year + 1),
        engines=("sketch",),
        weights_digests=(version_digest(song.result.engine_version),),
        tasks=("text2music",),
    )
    statement = verify(song.result.envelope, TrustBundle(version=1, keys=(key,)), now)
    assert statement.song_id == "6f1f2a52-9a4e-4f0c-8f4c-3a3c7f1f2a52"
    assert statement.audio_sha256 == song.sha256
    assert statement.pcm_sha256 == song.result.pcm_sha256
    assert statement.state_sha256 == song.result.state_sha256
    assert statement.creator_address == "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # EIP-55's own example
    assert (statement.pod_id, statement.media_type) == ("pod-a", "audio/mpeg")
    assert (statement.audio_bytes, statement.duration_s, statement.seed) == (len(song.audio), 12.0, 7)
    assert statement.started_at < statement.finished_at <= now


async def test_the_envelope_is_dsse_that_anybody_can_check(pod: Pod, song: Heard) -> None:
    envelope = json.loads(song.result.envelope)
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    (signature,) = envelope["signatures"]
    key = Ed25519PublicKey.from_public_bytes(pod.key.public_key)
    key.verify(base64.b64decode(signature["sig"]), signed)
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0]["digest"]["sha256"] == song.sha256.hex()


async def test_the_request_digest_tells_requests_apart_and_equal_ones_not(pod: Pod) -> None:
    def digest(song: Heard) -> str:
        payload = json.loads(base64.b64decode(json.loads(song.result.envelope)["payload"]))
        return str(payload["predicate"]["request_digest"])

    order = spec()
    trimmed = pb.SongSpec()
    trimmed.CopyFrom(order)
    trimmed.prompt = f"  {order.prompt} "
    other = pb.SongSpec()
    other.CopyFrom(order)
    other.reveal_prompt = True
    first, same, different = [digest(await pod.song(o)) for o in (order, trimmed, other)]
    assert first == same != different


async def test_the_pod_describes_itself(pod: Pod) -> None:
    async with pod.stub() as stub:
        info = await stub.DescribeEngine(pb.DescribeEngineRequest(), timeout=5)
    assert (info.engine, info.ai, info.slots, info.pod_id) == ("sketch", False, 2, "pod-a")
    assert (info.min_duration_s, info.max_duration_s) == (5.0, 240.0)
    assert info.attestation_key_id == pod.key.key_id
    assert info.weights_digest == version_digest(info.engine_version)


@pytest.mark.parametrize("duration_s", [5.0, 5.00001, 7.7777])
async def test_a_song_is_as_long_as_asked_to_the_sample(pod: Pod, duration_s: float) -> None:
    song = await pod.song(spec(duration_s=duration_s))
    assert len(pcm_of(song)) == round(duration_s * 44_100)
    samples, _ = decoded(bytes(song.audio))
    assert len(samples) == round(duration_s * 44_100)
