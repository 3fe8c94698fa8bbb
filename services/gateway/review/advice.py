"""What would make a prompt better: what is missing, vague, contradictory or hard for the models.

Enforces nothing. Goes by the reading of the prompt and the words in advice.toml.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from acesteps.music.v1 import music_service_pb2 as music_pb
from services.gateway.review.reading import vocabulary

# What the model's authors say of its structure over time; the parts of a word that its text encoder takes.
DRIFTS_AFTER_S, ROOM_FOR_WORDS_S = 120.0, 20.0
FEW_WORDS, LONG_PROMPT = 3, 700
# A tempo that nobody calls slow, and one that nobody calls fast.
NOT_SLOW_BPM, NOT_FAST_BPM = 125.0, 85.0
LITTLE_KNOWN_TIER = 3


@dataclass(frozen=True)
class _Data:
    messages: Mapping[str, str]
    words: Mapping[str, re.Pattern[str]]


@cache
def _data() -> _Data:
    data: dict[str, Any] = tomllib.loads(Path(__file__).with_name("advice.toml").read_text("utf-8"))
    words = {
        name: re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)
        for name, pattern in data["words"].items()
    }
    return _Data(data["messages"], words)


def advice(
    prompt: str, reading: music_pb.MusicReading, *, duration_s: float | None = None, sung: bool = False
) -> tuple[tuple[str, str], ...]:
    """(rule, message) of all that there is to advise. `duration_s`: None where it is not known yet."""
    messages = _data().messages
    return tuple((rule, messages[rule]) for rule in _rules(prompt, reading, duration_s, sung))


def _rules(
    prompt: str, reading: music_pb.MusicReading, duration_s: float | None, sung: bool
) -> Iterator[str]:
    words = _data().words
    if not reading.genre:
        yield "GENRE_MISSING"
    elif any(g.name == reading.genre and g.tier >= LITTLE_KNOWN_TIER for g in vocabulary().supported_genres):
        yield "GENRE_LESS_SUPPORTED"
    if not reading.mood:
        yield "MOOD_MISSING"
    if not reading.instruments:
        yield "INSTRUMENTS_MISSING"
    slow, fast = words["slow"].search(prompt), words["fast"].search(prompt)
    if not reading.tempo_bpm and not words["tempo"].search(prompt):
        yield "TEMPO_MISSING"
    elif (slow and reading.tempo_bpm >= NOT_SLOW_BPM) or (fast and 0 < reading.tempo_bpm <= NOT_FAST_BPM):
        yield "TEMPO_CONTRADICTION"
    if words["bright"].search(prompt) and words["heavy"].search(prompt):
        yield "MOODS_CONTRADICT"
    if words["vague"].search(prompt) or words["vague_alone"].fullmatch(prompt.strip(" .!")):
        yield "VAGUE_WORDS"
    if len(prompt.split()) < FEW_WORDS and prompt.isascii():
        yield "PROMPT_SHORT"
    elif len(prompt) > LONG_PROMPT:
        yield "PROMPT_LONG"
    if duration_s is not None and duration_s > DRIFTS_AFTER_S:
        yield "LONG_SONG"
    if duration_s is not None and sung and duration_s < ROOM_FOR_WORDS_S:
        yield "SHORT_WITH_WORDS"
