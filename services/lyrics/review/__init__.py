"""Judges a lyric document: gates that make it unusable, scores from 0 to 1, findings per line.

Pure functions of the document and of what was asked. Knows form, sound and seconds; whether the words are
good, it does not.
"""

from services.lyrics.review.judging import review
from services.lyrics.review.verdict import Finding, Review, Score

__all__ = ["Finding", "Review", "Score", "review"]
