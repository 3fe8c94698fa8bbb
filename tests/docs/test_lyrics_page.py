"""The briefs on the lyrics page are briefs that the service takes."""

import re
from pathlib import Path

from google.protobuf import json_format

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from services.lyrics import order, structure

PAGE = Path(__file__).parents[2] / "docs" / "lyrics.md"


def test_every_brief_on_the_page_is_taken_and_has_sections() -> None:
    examples = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    briefs = [order.brief_of(json_format.Parse(text, pb.GenerateLyricsRequest())) for text in examples]
    assert len(briefs) == 3
    sections = [structure.plan(brief, brief.tempo_bpm or 100.0) for brief in briefs]
    assert [section.label for section in sections[2]] == [
        "Intro", "Verse 1", "Chorus", "Verse 2", "Chorus", "Bridge", "Last Chorus"
    ]  # fmt: skip
    assert [section.rhyme_scheme for section in sections[2]] == [
        "", "AABBCCDD", "AABB", "AABBA", "AABB", "free", "AABB"
    ]  # fmt: skip
