"""What a prompt states of the music, and where the statement goes."""

import random

import pytest

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from services.common.errors import Internal
from services.gateway.review import read_prompt
from services.gateway.review.reading import vocabulary
from tests.gateway.mesh import CALL_S, Mesh
from tests.gateway.pods import Script

GENRES = (
    "EDM, house, techno, trance, dubstep, ambient; trap, boom bap, lo-fi hip-hop, drill; alternative, indie,"
    " metal, punk, classic rock; synth-pop, K-pop, J-pop, dance pop; orchestral, piano, chamber, cinematic;"
    " Latin, Afrobeat, reggae, folk; jazz, R&B, soul, country, blues"
)
MOODS = (
    "energetic, calm, happy, sad, dark, uplifting, mysterious, aggressive, romantic, nostalgic, triumphant,"
    " melancholic, peaceful, intense"
)
INSTRUMENTS = (
    "piano, acoustic guitar, electric guitar, drums, bass, synthesizer, strings, brass, woodwinds,"
    " percussion, violin, cello, saxophone, trumpet, flute"
)


@pytest.mark.parametrize("genre", GENRES.replace(";", ",").split(", "))
def test_every_genre_is_read_by_its_name(genre: str) -> None:
    assert read_prompt(f"a {genre} song about the sea").genre == genre
    assert read_prompt(genre.upper()).genre == genre


def test_every_mood_and_instrument_is_read_by_its_name() -> None:
    for mood in MOODS.split(", "):
        assert read_prompt(f"{mood} song").mood == mood
    for instrument in INSTRUMENTS.split(", "):
        assert read_prompt(f"a song with {instrument}").instruments == [instrument]


@pytest.mark.parametrize(
    ("prompt", "stated"),
    [
        (
            "dark techno at 130 BPM in F# minor with synth and drums",
            {
                "genre": "techno",
                "mood": "dark",
                "tempo_bpm": 130,
                "key": "F# minor",
                "instruments": ["synthesizer", "drums"],
            },
        ),
        (
            "una balada triste con guitarra española en re menor",
            {"genre": "dance pop", "mood": "sad", "key": "D minor", "instruments": ["acoustic guitar"]},
        ),
        ("slow waltz for string quartet in Am", {"genre": "chamber", "key": "A minor", "meter": "3/4"}),
        (
            "K-pop, happy, sung in Korean, 6/8",
            {"genre": "K-pop", "mood": "happy", "language": "ko", "meter": "6/8"},
        ),
        (
            "落ち着いたローファイ、ピアノ",
            {"genre": "lo-fi hip-hop", "mood": "calm", "instruments": ["piano"]},
        ),
        ("ambient techno", {"genre": "techno"}),  # the second of two is the noun
        ("house with jazz piano", {"genre": "house", "instruments": ["piano"]}),
        ("jazz without drums, no saxophone", {"genre": "jazz"}),
        ("drum and bass", {"genre": "drum and bass"}),
        ("a song about a major hit in a minor role", {}),
        ("popular opinion, metallic folklorist", {}),
        ("tempo 900, 12 bpm", {}),
    ],
)
def test_what_is_stated_is_read_and_nothing_else(prompt: str, stated: dict[str, object]) -> None:
    assert read_prompt(prompt) == music_pb.MusicReading(**stated)


def test_every_word_of_the_vocabulary_is_found_by_itself() -> None:
    words = vocabulary()
    for kind in (words.genres, words.moods, words.instruments):
        for word, name in kind.meant.items():
            assert [(found, meant) for _, found, meant in kind.found(word)] == [(len(word), name)]


def test_any_text_can_be_read() -> None:
    letters = "ab #♭/:-0129 minor.bpm with no drums 混\n\u0301"
    choose = random.Random(3)
    for _ in range(500):
        reading = read_prompt("".join(choose.choice(letters) for _ in range(choose.randint(0, 200))))
        assert 0 <= reading.tempo_bpm <= 300


async def test_the_engine_is_told_and_told_the_same_when_the_song_is_retried(pods: Mesh) -> None:
    gateway = await pods.open(max_failures=1)
    pods.music.follow(Script(error=Internal("RENDER_FAILED", "it broke")))
    song = await gateway.ended((await gateway.create(prompt="sad folk at 92 BPM, violin")).id)
    assert song.failure.reason == "RENDER_FAILED"
    await gateway.grpc.RetrySong(pb.RetrySongRequest(song_id=song.id), timeout=CALL_S)
    await gateway.ended(song.id)
    stated = music_pb.MusicReading(genre="folk", mood="sad", tempo_bpm=92, instruments=["violin"])
    assert [spec.reading for spec in pods.music.specs] == [stated, stated]


async def test_a_prompt_that_states_nothing_tells_the_engine_nothing(pods: Mesh) -> None:
    gateway = await pods.open()
    await gateway.ended((await gateway.create(prompt="the letter that I never sent")).id)
    assert not pods.music.specs[-1].HasField("reading")


async def test_an_edit_is_read_by_its_own_prompt(pods: Mesh) -> None:
    gateway = await pods.open()
    source = await gateway.ended((await gateway.create(prompt="calm jazz, piano")).id)
    varied = {"source_song_id": source.id, "instrumental": False, "variation": {"variance": 0.3}}
    for prompt, genre in (("", "jazz"), ("loud punk", "punk")):
        asked = pb.CreateSongRequest(prompt=prompt, **varied)
        edit = (await gateway.grpc.CreateSong(asked, timeout=CALL_S)).song
        await gateway.ended(edit.id)
        assert pods.music.specs[-1].reading.genre == genre


async def test_both_faces_give_the_reading(pods: Mesh) -> None:
    gateway = await pods.open()
    prompt = "dark trap, 808s, 140 bpm"
    reviewed = await gateway.grpc.ReviewPrompt(pb.ReviewPromptRequest(prompt=prompt), timeout=CALL_S)
    answer = (await gateway.http.post("/v1/prompts:review", json={"prompt": prompt})).json()
    assert reviewed.reading == read_prompt(prompt)
    assert answer["reading"]["genre"] == reviewed.reading.genre == "trap"
    made = await gateway.grpc.CreateSong(
        pb.CreateSongRequest(prompt=prompt, instrumental=True, duration_s=5), timeout=CALL_S
    )
    assert made.reading == reviewed.reading
