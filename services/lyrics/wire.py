"""Between the lyrics protos and the service's own values, with every limit of the contract.

Knows fields, limits and their errors. Knows neither engines nor scores.
"""

import math
import re
import secrets

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from services.common.errors import InvalidField
from services.lyrics.document import (
    MAX_LINE_CHARS,
    MAX_TEXT_CHARS,
    Line,
    LyricDocument,
    Section,
    SectionTag,
    clean,
)
from services.lyrics.engine import RHYME_SCHEMES, Brief, Event, Finished, LineWritten, Planned, SectionWritten
from services.lyrics.review import Review

MAX_THEME_CHARS, MAX_STYLE_CHARS = 500, 60
MIN_DURATION_S, MAX_DURATION_S, DEFAULT_DURATION_S = 5.0, 600.0, 120.0
MIN_TEMPO_BPM, MAX_TEMPO_BPM = 40.0, 220.0
# A song of 600 s has some thirty sections and a hundred lines; beyond these it is no song.
MAX_SECTIONS, MAX_LINES = 100, 600
MAX_LABEL_CHARS, MAX_TITLE_CHARS, MAX_ENGINE_CHARS = 60, 200, 60

_LANGUAGE = re.compile(r"[a-z]{2}")

_TAGS = {tag: pb.SectionTag.Value(f"SECTION_TAG_{tag.name}") for tag in SectionTag}
_TAGS_BACK = {value: tag for tag, value in _TAGS.items()}


def brief_of(request: pb.GenerateLyricsRequest) -> Brief:
    """The brief of a request; draws a seed where none is given. Raises InvalidField."""
    scheme = request.rhyme_scheme.strip().upper()
    if scheme and scheme not in RHYME_SCHEMES:
        known = ", ".join(RHYME_SCHEMES)
        message = f"rhyme_scheme is not known; it is one of {known}"
        raise InvalidField("UNKNOWN_VALUE", "rhyme_scheme", message, limit=known)
    return Brief(
        theme=_required("theme", request.theme, MAX_THEME_CHARS),
        seed=request.seed if request.HasField("seed") else secrets.randbelow(2**32),
        duration_s=duration_of(request.duration_s) or DEFAULT_DURATION_S,
        genre=_text("genre", request.genre, MAX_STYLE_CHARS),
        mood=_text("mood", request.mood, MAX_STYLE_CHARS),
        language=_language("language", request.language) or "en",
        tempo_bpm=_number("tempo_bpm", request.tempo_bpm, MIN_TEMPO_BPM, MAX_TEMPO_BPM),
        rhyme_scheme=scheme,
    )


def duration_of(duration_s: float) -> float:
    """A duration in seconds, or 0 for none. Raises InvalidField."""
    return _number("duration_s", duration_s, MIN_DURATION_S, MAX_DURATION_S)


def lyrics_of(request: pb.ReviewLyricsRequest) -> LyricDocument | str:
    """What is to be reviewed: a document, or text that is still to be parsed. Raises InvalidField."""
    match request.WhichOneof("lyrics"):
        case "document":
            return document_of(request.document)
        case "text":
            return _required("text", request.text, MAX_TEXT_CHARS)
        case _:
            message = "lyrics are required: document or text"
            raise InvalidField("REQUIRED", "lyrics", message, limit="document or text")


def document_of(message: pb.LyricDocument, field: str = "document") -> LyricDocument:
    """The document of a message; `field` is where it stands in the request. Raises InvalidField."""
    _at_most(f"{field}.sections", len(message.sections), MAX_SECTIONS, "sections")
    _at_most(f"{field}.sections", sum(len(s.lines) for s in message.sections), MAX_LINES, "lines")
    return LyricDocument(
        sections=tuple(_section(f"{field}.sections[{i}]", s) for i, s in enumerate(message.sections)),
        language=_language(f"{field}.language", message.language),
        title=_text(f"{field}.title", message.title, MAX_TITLE_CHARS),
        engine=_text(f"{field}.engine", message.engine, MAX_ENGINE_CHARS),
        seed=message.seed,
    )


def document_to(document: LyricDocument) -> pb.LyricDocument:
    """The message of a document."""
    return pb.LyricDocument(
        sections=map(_section_to, document.sections),
        language=document.language,
        title=document.title,
        engine=document.engine,
        seed=document.seed,
    )


def review_to(review: Review) -> pb.LyricsReview:
    """The message of a review."""
    return pb.LyricsReview(
        passed=review.passed,
        score=review.score,
        scores=[
            pb.LyricsScore(name=name, value=score.value, assessed=score.assessed, reason=score.reason)
            for name, score in review.scores.items()
        ],
        findings=[
            pb.LyricsFinding(
                code=finding.code,
                gate=finding.gate,
                message=finding.message,
                section_index=finding.section,
                line_index=finding.line,
            )
            for finding in review.findings
        ],
    )


def event_to(event: Event, review: Review | None = None) -> pb.GenerateLyricsResponse:
    """The response of an event; `review` belongs to the `Finished` one."""
    match event:
        case Planned():
            progress = pb.LyricsProgress(lines_done=0, lines_total=event.lines_total)
            return pb.GenerateLyricsResponse(progress=progress)
        case LineWritten():
            line = pb.LyricsLine(
                section_index=event.section_index,
                tag=_tag_to(event.tag),
                label=event.label,
                line_index=event.line_index,
                text=event.text,
            )
            return pb.GenerateLyricsResponse(line=line)
        case SectionWritten():
            section = pb.SectionFinal(section_index=event.section_index, section=_section_to(event.section))
            return pb.GenerateLyricsResponse(section=section)
        case Finished():
            result = pb.LyricsResult(
                document=document_to(event.document), review=review_to(review) if review else None
            )
            return pb.GenerateLyricsResponse(result=result)


def _section(field: str, message: pb.LyricSection) -> Section:
    tag = _TAGS_BACK.get(message.tag)
    if tag is None:
        names = ", ".join(tag.value for tag in SectionTag)
        raise InvalidField("UNKNOWN_VALUE", f"{field}.tag", f"{field}.tag names no section tag", limit=names)
    scheme = message.rhyme_scheme
    if scheme and not (scheme.isascii() and scheme.isalpha() and len(scheme) == len(message.lines)):
        limit = "one letter per line"
        raise InvalidField(
            "MALFORMED", f"{field}.rhyme_scheme", f"{field}.rhyme_scheme has {limit}", limit=limit
        )
    return Section(
        tag=tag,
        lines=tuple(_line(f"{field}.lines[{i}]", line) for i, line in enumerate(message.lines)),
        label=_text(f"{field}.label", message.label, MAX_LABEL_CHARS),
        rhyme_scheme=scheme,
    )


def _section_to(section: Section) -> pb.LyricSection:
    return pb.LyricSection(
        tag=_tag_to(section.tag),
        label=section.label,
        lines=[pb.LyricLine(text=line.text, language=line.language) for line in section.lines],
        rhyme_scheme=section.rhyme_scheme,
    )


def _line(field: str, message: pb.LyricLine) -> Line:
    if len(message.text.splitlines()) > 1:
        raise InvalidField(
            "MALFORMED", f"{field}.text", f"{field}.text is more than one line", limit="one line"
        )
    return Line(
        text=_required(f"{field}.text", message.text, MAX_LINE_CHARS, one_line=True),
        language=_language(f"{field}.language", message.language),
    )


def _required(field: str, value: str, limit: int, *, one_line: bool = False) -> str:
    text = clean(value) if one_line else value.strip()
    _at_most(field, len(text), limit, "characters", reason="TOO_LONG")
    if not clean(text):
        message = f"{field} is required, 1 to {limit} characters"
        raise InvalidField("REQUIRED", field, message, limit=f"1 to {limit} characters")
    return text


def _text(field: str, value: str, limit: int) -> str:
    text = clean(value)
    _at_most(field, len(text), limit, "characters", reason="TOO_LONG")
    return text


def _at_most(field: str, count: int, limit: int, unit: str, *, reason: str = "OUT_OF_RANGE") -> None:
    if count > limit:
        message = f"{field} has {count} {unit}; at most {limit}"
        raise InvalidField(reason, field, message, limit=f"{limit} {unit}")


def _language(field: str, value: str) -> str:
    code = value.strip().lower()
    if code and not _LANGUAGE.fullmatch(code):
        limit = "an ISO 639-1 code of two letters"
        raise InvalidField("UNKNOWN_VALUE", field, f"{field} is not {limit}", limit=limit)
    return code


def _number(field: str, value: float, low: float, high: float) -> float:
    if value != 0 and not (math.isfinite(value) and low <= value <= high):
        limit = f"0 or {low:g} to {high:g}"
        raise InvalidField("OUT_OF_RANGE", field, f"{field} is {value:g}; it is {limit}", limit=limit)
    return value


def _tag_to(tag: SectionTag) -> pb.SectionTag.ValueType:
    return _TAGS[tag]
