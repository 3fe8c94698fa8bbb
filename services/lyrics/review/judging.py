"""The review: every gate and every score of one document, in order.

Knows which judges there are. Each has a file of its own.
"""

from collections.abc import Sequence

from services.lyrics.document import LyricDocument
from services.lyrics.engine import Brief
from services.lyrics.review import (
    brief_kept,
    cliches,
    fit,
    form,
    gates,
    languages,
    repetition,
    rhyming,
    syllables,
)
from services.lyrics.review.song import read
from services.lyrics.review.verdict import WEIGHTS, Judged, Review, not_assessed


def review(
    document: LyricDocument,
    duration_s: float = 0.0,
    unknown_headings: Sequence[str] = (),
    *,
    tempo_bpm: float = 0.0,
    brief: Brief | None = None,
    clean: bool = False,
) -> Review:
    """Judges a document.

    Args:
        document: Its language, when it says one, is what it has to be in.
        duration_s: Length of the song; 0 leaves the fit out.
        unknown_headings: Headings that the parser found and could not read.
        tempo_bpm: 0 takes one that is usual.
        brief: What was asked for; its own duration and tempo are not looked at.
        clean: Profanity is a gate; so it is when the brief asks for clean words.
    """
    song = read(document)
    found = [*gates.check(song, unknown_headings, brief, clean=clean or (brief is not None and brief.clean))]
    if not document.lines:
        nothing = not_assessed("there are no words").score
        return Review(dict.fromkeys(WEIGHTS, nothing), tuple(found))
    judges: dict[str, Judged] = {
        "structure": form.judge(song, strophic=brief is not None and bool(brief.structure or brief.form)),
        "rhyme": rhyming.judge(song, brief),
        "syllables": syllables.judge(song),
        "repetition": repetition.judge(song),
        "language": languages.judge(song),
        "fit": fit.judge(song, duration_s, tempo_bpm),
        "brief": brief_kept.judge(song, brief),
        "cliches": cliches.judge(song, brief),
    }
    for judged in judges.values():
        found.extend(judged.findings)
    return Review(
        {name: judges[name].score for name in WEIGHTS}, tuple(sorted(found, key=lambda f: not f.gate))
    )
