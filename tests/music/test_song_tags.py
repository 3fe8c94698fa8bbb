"""What the file says of itself, read by mutagen."""

import io
from dataclasses import replace
from typing import Any

from mutagen import flac, id3, mp3, wave

from acesteps.music.v1 import music_service_pb2 as pb
from services.music.id3 import SongTags, id3_tag
from tests.music.pod import Heard, Pod, spec

# mutagen is typed in part
ID3: Any = id3.ID3
MP3: Any = mp3.MP3
WAVE: Any = wave.WAVE
FLAC: Any = flac.FLAC


async def test_tags_name_song_title_engine_and_seed(song: Heard) -> None:
    tags = ID3(io.BytesIO(song.audio))
    assert tags.version == (2, 4, 0)
    assert str(tags["TIT2"]) == "Night Walk"
    assert str(tags["TXXX:SONG_ID"]) == "6f1f2a52-9a4e-4f0c-8f4c-3a3c7f1f2a52"
    assert str(tags["TXXX:ENGINE"]) == f"sketch {song.result.engine_version}"
    assert str(tags["TXXX:SEED"]) == "7"


async def test_tags_say_that_the_song_is_procedural_and_not_ai(song: Heard) -> None:
    tags = ID3(io.BytesIO(song.audio))
    assert "procedural" in str(tags["COMM::eng"])
    assert "not by AI" in str(tags["COMM::eng"])
    assert str(tags["TXXX:DIGITAL_SOURCE_TYPE"]).endswith("/algorithmicMedia")


def test_tags_of_an_ai_engine_say_so() -> None:
    song = SongTags(song_id="x", title="", engine="acestep", engine_version="1", ai=True, seed=1, prompt=None)
    tags = ID3(io.BytesIO(id3_tag(song)))
    assert "made by AI" in str(tags["COMM::eng"])
    assert str(tags["TXXX:DIGITAL_SOURCE_TYPE"]).endswith("/trainedAlgorithmicMedia")
    assert "TIT2" not in tags


def test_tags_of_a_preview_say_that_it_is_one() -> None:
    song = SongTags(
        song_id="x", title="Rain", engine="acestep", engine_version="1", ai=True, seed=1, prompt=None
    )
    preview = replace(song, preview=True)
    tags = ID3(io.BytesIO(id3_tag(preview)))
    assert str(tags["TIT2"]) == "Rain (preview)"
    assert str(tags["COMM::eng"]).startswith("This preview of an unfinished song was made by AI")
    assert str(tags["TXXX:SONG_ID"]) == "x"
    assert str(ID3(io.BytesIO(id3_tag(replace(preview, title=""))))["TIT2"]) == "(preview)"


async def test_the_prompt_stays_out_of_the_file_unless_it_is_revealed(pod: Pod, song: Heard) -> None:
    assert b"dreamy" not in song.audio
    shown = await pod.song(spec(prompt="dreamy synthwave für Köln", reveal_prompt=True))
    assert str(ID3(io.BytesIO(shown.audio))["TXXX:PROMPT"]) == "dreamy synthwave für Köln"


async def test_an_independent_reader_agrees_on_length_and_bit_rate(song: Heard) -> None:
    info = MP3(io.BytesIO(song.audio)).info
    assert abs(info.length - 12.0) < 0.1
    assert (info.bitrate, info.sample_rate, info.channels) == (320_000, 44_100, 2)
    assert info.encoder_info.startswith("LAME 3.100")


async def test_the_master_says_how_the_song_came_to_be_and_nothing_else(song: Heard) -> None:
    comments = FLAC(io.BytesIO(song.master)).tags
    assert [(name.lower(), text) for name, text in comments] == [
        ("comment", "This song was made by a procedural engine (sketch), not by AI.")
    ]


async def test_a_wav_file_carries_the_same_tags(pod: Pod) -> None:
    song = await pod.song(spec(format=pb.AUDIO_FORMAT_WAV, title="Odd length!"))
    tags = WAVE(io.BytesIO(song.audio)).tags
    assert str(tags["TIT2"]) == "Odd length!"
    assert "procedural" in str(tags["COMM::eng"])


async def test_the_title_of_the_lyrics_is_taken_where_the_song_has_none(pod: Pod) -> None:
    song = await pod.song(spec(lyrics={"title": "From the words"}))
    assert str(ID3(io.BytesIO(song.audio))["TIT2"]) == "From the words"
