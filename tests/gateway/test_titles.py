"""What a song is called that was given no title, and that its name keeps the prompt private."""

import pytest

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from services.gateway.titles import title_of_prompt, title_of_words, title_without_words
from tests.gateway.mesh import Gateway, Mesh
from tests.gateway.pods import document

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("undisturbed")]

PROMPT = "wedding waltz for Ingrid and Jonas, 90 BPM"


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("melancholic jazz hop about rain, 84 bpm", "Melancholic Jazz Hop About Rain"),
        ("uplifting synth-pop with warm bass and bright keys", "Uplifting Synth-pop With Warm Bass"),
        ("slow piano strings drums and warm pads", "Slow Piano Strings Drums"),
        ("calm piano with", "Calm Piano"),
        ("song about rain in the city lights", "Song About Rain"),
        ("the", "The"),
        ("... !", ""),
        ("w" * 1000, "W" + "w" * 119),
    ],
)
async def test_a_prompts_title_ends_well(prompt: str, title: str) -> None:
    assert title_of_prompt(prompt) == title


@pytest.mark.parametrize(
    ("lines", "title"),
    [
        (["...", "rain on the roof,", "rain on the pane"], "rain on the roof"),
        (["hold on"], "hold on"),
        (["I walked along the river with nobody but the moon and the water below"],
         "I walked along the river with nobody but the moon"),
        (["la" * 100], "la" * 30),
        (["雨" * 100], "雨" * 60),
        ([], ""),
    ],
)  # fmt: skip
async def test_words_without_a_title_are_called_by_their_first_line(lines: list[str], title: str) -> None:
    assert title_of_words(document("", lines)) == title
    assert title_of_words(document(" Rain ", lines)) == "Rain"
    assert title_of_words(lyrics_pb.LyricDocument()) == ""


async def test_a_song_without_words_is_untitled_unless_its_prompt_is_public() -> None:
    assert title_without_words(PROMPT, revealed=False, seed=0xABC3F9A) == "Untitled 3F9A"
    assert title_without_words(PROMPT, revealed=True, seed=7) == "Wedding Waltz For Ingrid And Jonas"
    assert title_without_words("?!", revealed=True, seed=7) == "Untitled 0007"


async def test_an_instrumentals_title_keeps_its_prompt_private(shared_pods: Mesh, shared: Gateway) -> None:
    private = await shared.create(prompt=PROMPT, seed=7)
    public = await shared.create(prompt=PROMPT, seed=7, reveal_prompt=True)
    for song, title in ((private, "Untitled 0007"), (public, "Wedding Waltz For Ingrid And Jonas")):
        assert (song.title, (await shared.ended(song.id)).title) == (title, title)
    assert {s.song_id: s.title for s in shared_pods.music.specs} == {
        private.id: private.title,
        public.id: public.title,
    }


async def test_given_words_keep_their_prompt_private(shared_pods: Mesh, shared: Gateway) -> None:
    for words, revealed, title in (
        ("my own line,\nand another", False, "my own line"),
        ("my own line,\nand another", True, "my own line"),
        ("...", False, "Untitled 0007"),
        ("...", True, "Wedding Waltz For Ingrid And Jonas"),
    ):
        song = await shared.create(
            prompt=PROMPT, seed=7, instrumental=False, lyrics=words, reveal_prompt=revealed
        )
        song = await shared.ended(song.id)
        assert (song.title, shared_pods.music.specs.pop().title) == (title, title)
