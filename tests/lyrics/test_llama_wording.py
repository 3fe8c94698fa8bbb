"""Which lines of a model are taken, and what the others go against."""

from dataclasses import replace

import pytest

from services.lyrics.engine import Brief
from services.lyrics.llama.wording import problem

BRIEF = Brief("rain on the sea", 0, 60.0, avoided_words=("love", "heart of gold"), clean=True)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("The harbour lights are going out", ""),
        ("Note the time upon the wall", ""),
        ("Here's the song your mother sang to me", "structure"),
        ("[Chorus]", "structure"),
        ("Verse 2:", "structure"),
        ("Here are the lyrics for your song", "structure"),
        ("Let me know if you want changes", "structure"),
        ("Write it with the rhyme scheme AABB", "structure"),
        ("...", "structure"),
        ("I was loving every day", "avoided_words"),
        ("She had a heart of gold", "avoided_words"),
        ("A glove upon the stair", ""),
        ("The fucking rain again", "clean"),
    ],
)
def test_line_goes_against(line: str, field: str) -> None:
    assert problem(line, BRIEF) == field


def test_what_is_not_forbidden_is_sung() -> None:
    free = replace(BRIEF, avoided_words=(), clean=False)
    assert problem("The fucking rain again", free) == problem("I was loving every day", free) == ""
