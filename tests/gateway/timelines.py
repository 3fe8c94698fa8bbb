"""A timeline for songs of pods that a test leads, and a reader of LRC that takes nothing but LRC."""

import re
from dataclasses import dataclass

from acesteps.music.v1 import music_service_pb2 as music_pb
from tests.gateway.pods import LINES

TEMPO_BPM = 90.0
TICK_S = 60 / TEMPO_BPM / 480
# As `LINES` are sung: each syllable, and its second.
SYLLABLES = (
    [("rain ", 0.5), ("on ", 0.8), ("the ", 1.0), ("roof, ", 1.3), ("rain ", 1.8), ("on ", 2.0),
     ("the ", 2.2), ("pane", 2.4)],
    [("I ", 3.1), ("hum ", 3.3), ("a", 3.5), ("long ", 3.7), ("and ", 3.9), ("it ", 4.0), ("rains ", 4.1),
     ("a", 4.3), ("gain", 4.5)],
)  # fmt: skip
LINE_ENDS_S = (2.75, 4.875)


def timeline() -> music_pb.Timeline:
    """Of a song of five seconds with these lines, as an engine gives it: without the words."""
    made = music_pb.Timeline(duration_s=5.0, tempo_bpm=TEMPO_BPM, meter="4/4", key="F# minor", bars=1)
    made.sections.add(kind="intro", label="Intro", end_s=0.5)
    made.sections.add(kind="verse", label="Verse", start_s=0.5, end_s=5.0, first_bar=0, bars=1)
    made.chords.add(symbol="F#m7", start_s=0.0)
    made.chords.add(symbol="Dmaj7", start_s=2.6)
    voice = made.tracks.add(name="Voice", program=53, sung=True)
    for number, (parts, end_s) in enumerate(zip(SYLLABLES, LINE_ENDS_S, strict=True)):
        assert "".join(text for text, _ in parts) == LINES[number]
        line = made.lines.add(section=0, line=number, start_s=parts[0][1], end_s=end_s)
        ends = [*(start_s for _, start_s in parts[1:]), end_s]
        first = 0
        for (text, start_s), syllable_end_s in zip(parts, ends, strict=True):
            line.syllables.add(start_s=start_s, end_s=syllable_end_s, first_character=first)
            first += len(text)
            voice.notes.add(
                start_tick=round(start_s / TICK_S),
                ticks=max(round((syllable_end_s - start_s) / TICK_S), 1),
                pitch=66 + number,
                velocity=100,
            )
    bass = made.tracks.add(name="Bass", program=33)
    # twice the same pitch without a gap, and once to the very end
    for start_tick, ticks in ((0, 480), (480, 480), (960, 2640)):
        bass.notes.add(start_tick=start_tick, ticks=ticks, pitch=42, velocity=90)
    drums = made.tracks.add(name="Drums", percussion=True)
    for beat in range(7):
        drums.notes.add(start_tick=beat * 480, ticks=60, pitch=36 if beat % 2 == 0 else 38, velocity=127)
    return made


@dataclass(frozen=True)
class Lrc:
    tags: dict[str, str]
    # (seconds, text) of each line, and of each of its words with the line's end
    lines: list[tuple[float, str]]
    words: list[list[tuple[float, str]]]


_TAG = re.compile(r"\[([a-z]{2,6}):([^\[\]\n]*)\]")
_LINE = re.compile(r"\[(\d{2,}):([0-5]\d)\.(\d{2})\]([^\n]*)")
_WORD = re.compile(r"<(\d{2,}):([0-5]\d)\.(\d{2})>")


def read_lrc(file: bytes) -> Lrc:
    """Raises AssertionError for anything that is not LRC with the tags first and its lines in order."""
    text = file.decode("utf-8")
    assert text.endswith("\n")
    assert "\r" not in text
    read = Lrc({}, [], [])
    for row in text.removesuffix("\n").split("\n"):
        if (tag := _TAG.fullmatch(row)) and not read.lines:
            assert tag[1] not in read.tags
            read.tags[tag[1]] = tag[2]
            continue
        line = _LINE.fullmatch(row)
        assert line is not None, row
        at_s = _seconds(*line.groups()[:3])
        assert not read.lines or at_s >= read.lines[-1][0]
        pieces = _WORD.split(line[4])
        words = [(_seconds(*pieces[i : i + 3]), pieces[i + 3]) for i in range(1, len(pieces), 4)]
        read.lines.append((at_s, _WORD.sub("", line[4])))
        read.words.append(words)
    return read


def _seconds(minutes: str, seconds: str, hundredths: str) -> float:
    return int(minutes) * 60 + int(seconds) + int(hundredths) / 100
