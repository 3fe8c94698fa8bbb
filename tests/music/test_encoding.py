"""Files of any length: as long as announced, and exact to the sample in somebody else's decoder."""

import io

import av
import numpy as np
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.music.encoding import FileEncoder, FlacMaster, open_encoder, open_preview_encoder
from services.music.id3 import SongTags

TAGS = SongTags(song_id="id", title="Täg", engine="sketch", engine_version="1", ai=False, seed=1, prompt=None)


def noise(samples: int) -> NDArray[np.int16]:
    return np.random.default_rng(samples).integers(-9_000, 9_000, (samples, 2)).astype(np.int16)


def whole(encoder: FileEncoder, pcm: NDArray[np.int16], block: int) -> bytes:
    file = encoder.opening
    for at in range(0, len(pcm), block):
        file += encoder.encode(pcm[at : at + block])
    return file + encoder.finish()


@settings(max_examples=12, deadline=None)
@given(samples=st.integers(1, 60_000), block=st.integers(300, 50_000))
def test_an_mp3_of_any_length_is_gapless_and_as_long_as_announced(samples: int, block: int) -> None:
    for encoder in (open_encoder("mp3", samples, TAGS), open_preview_encoder(samples, TAGS)):
        file = whole(encoder, noise(samples), block)
        assert len(file) == encoder.total_bytes
        with av.open(io.BytesIO(file), "r") as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) == samples


@settings(max_examples=12, deadline=None)
@given(samples=st.integers(1, 60_000), block=st.integers(1_000, 50_000))
def test_a_wav_and_a_flac_of_any_length_hold_the_samples(samples: int, block: int) -> None:
    pcm = noise(samples)
    encoder, master = open_encoder("wav", samples, TAGS), FlacMaster(TAGS.disclosure)
    wav = whole(encoder, pcm, block)
    for at in range(0, samples, block):
        master.write(pcm[at : at + block])
    assert len(wav) == encoder.total_bytes
    for file in (wav, master.finish()):
        read, _ = soundfile.read(io.BytesIO(file), dtype="int16", always_2d=True)
        assert np.array_equal(read, pcm)


def test_the_block_size_changes_no_byte_of_the_file() -> None:
    pcm = noise(44_100)
    files = {whole(open_encoder("mp3", 44_100, TAGS), pcm, block) for block in (777, 10_000, 44_100)}
    assert len(files) == 1
