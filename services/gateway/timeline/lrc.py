"""A timeline as LRC: a line of text for each sung line, behind the time at which it begins.

Knows the format as players read it: tags in brackets, minutes:seconds.hundredths, and times of words in
angle brackets as A2 Media Player brought them in ("enhanced LRC"). There is no standard.
"""

import re

from acesteps.music.v1 import music_service_pb2 as music_pb

_IDEOGRAPHS = 0x2E80  # and all that follows: written without spaces


def lrc_file(timeline: music_pb.Timeline, title: str, made_by: str, *, words: bool = False) -> bytes:
    """UTF-8. `words`: with the time of each word, and of the line's end."""
    tags = {"ti": title, "length": _time(timeline.duration_s)[:-3], "by": made_by, "re": "AceSteps"}
    lines = [f"[{name}:{_plain(value)}]" for name, value in tags.items() if value]
    for line in timeline.lines:
        text = _with_times(line) if words else line.text
        lines.append(f"[{_time(line.start_s)}]{text}")
    return ("\n".join(lines) + "\n").encode()


def _with_times(line: music_pb.TimelineLine) -> str:
    out, before = "", " "
    for syllable in line.syllables:
        if before[-1:].isspace() or ord(syllable.text[:1] or " ") >= _IDEOGRAPHS:
            out += f"<{_time(syllable.start_s)}>"
        out += syllable.text
        before = syllable.text
    return f"{out}<{_time(line.end_s)}>"


def _time(seconds: float) -> str:
    minutes, hundredths = divmod(round(seconds * 100), 6000)
    return f"{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}"


def _plain(value: str) -> str:
    """Nothing that would end the tag."""
    return re.sub(r"[\x00-\x1f\x7f\u2028\u2029]", " ", value).replace("[", "(").replace("]", ")")
