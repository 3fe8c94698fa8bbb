"""How many words fit into how many seconds: the numbers that writing and reviewing share.

Knows seconds, beats and lines. Knows no words.
"""

import math

# Of a song's length, what is sung: the rest is intro, outro and instrumentals. Source: the music
# model's own examples keep 0.75 to 0.85 of a song vocal; long songs leave more to the instruments.
SUNG_SHARE = 0.8
_SUNG_SHARE_LONG = 0.7
_LONG_S = 240.0
# A line lasts 1/2, 1, 2 or 4 bars of 4/4, whichever comes nearest to this.
LINE_S = 4.0
# Singers breathe: no more than one line in this many seconds, however fast the song; and no song of whole
# lines leaves more than this to each.
MIN_LINE_S, MAX_LINE_S = 3.5, 5.0
_USUAL_LINE_S = 3.6  # what ordinary songs leave, at whatever tempo
_STEP_S = 5.0
_COUPLET_S = 8.0  # room for two lines at any tempo
# Sung syllables per second: more is hard to follow, still more cannot be sung.
WARN_SYLLABLES_PER_S = 4.0
MAX_SYLLABLES_PER_S = 6.0


def sung_seconds(duration_s: float) -> float:
    """Seconds of a song of `duration_s` that are sung."""
    return duration_s * (SUNG_SHARE if duration_s < _LONG_S else _SUNG_SHARE_LONG)


def line_seconds(tempo_bpm: float) -> float:
    """Seconds of one line: the number of bars in {1/2, 1, 2, 4} that comes nearest to four seconds."""
    bar_s = 240.0 / tempo_bpm
    return min((bar_s * bars for bars in (0.5, 1, 2, 4)), key=lambda s: abs(math.log(s / LINE_S)))


def lines_that_fit(duration_s: float, tempo_bpm: float) -> int:
    """Lines that a song has room for, at least one. 30 s: 4 to 6; 180 s at 120 BPM: 36."""
    lines = int(sung_seconds(duration_s) / max(line_seconds(tempo_bpm), MIN_LINE_S) + 1e-9)
    return max(lines, 2 if duration_s >= _COUPLET_S else 1)


def comfortable_line_seconds(tempo_bpm: float) -> float:
    """Seconds that each line is best given, breaths included; those of usual songs for a tempo of 0."""
    return min(max(line_seconds(tempo_bpm), MIN_LINE_S), MAX_LINE_S) if tempo_bpm else _USUAL_LINE_S


def duration_for(lines: int, tempo_bpm: float) -> float:
    """The length of song that as many lines fill comfortably, in seconds, rounded to a step of five."""
    sung_s = lines * comfortable_line_seconds(tempo_bpm)
    share = SUNG_SHARE if sung_s / SUNG_SHARE < _LONG_S else _SUNG_SHARE_LONG
    return max(_STEP_S, round(sung_s / share / _STEP_S) * _STEP_S)
