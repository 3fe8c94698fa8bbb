"""Between the lyrics protos and the service's own values: documents with their limits, reviews, events.

Knows messages. What a request asks for is read by `order`.
"""

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from services.common.errors import InvalidField
from services.lyrics import fields
from services.lyrics.document import (
    MAX_LINE_CHARS,
    Line,
    LyricDocument,
    Section,
    SectionTag,
    canonical_label,
)
from services.lyrics.engine import Event, Finished, LineWritten, Planned, SectionWritten
from services.lyrics.review import Review

# A song of 600 s has some thirty sections and a hundred lines; beyond these it is no song.
MAX_SECTIONS, MAX_LINES = 100, 600
MAX_LABEL_CHARS, MAX_TITLE_CHARS, MAX_ENGINE_CHARS = 60, 200, 60

_TAGS = {tag: pb.SectionTag.Value(f"SECTION_TAG_{tag.name}") for tag in SectionTag}
_TAGS_BACK = {value: tag for tag, value in _TAGS.items()}


def document_of(message: pb.LyricDocument, field: str = "document") -> LyricDocument:
    """The document of a message; `field` is where it stands in the request. Raises InvalidField."""
    fields.at_most(f"{field}.sections", len(message.sections), MAX_SECTIONS, "sections")
    fields.at_most(f"{field}.sections", sum(len(s.lines) for s in message.sections), MAX_LINES, "lines")
    return LyricDocument(
        sections=tuple(_section(f"{field}.sections[{i}]", s) for i, s in enumerate(message.sections)),
        language=fields.language(f"{field}.language", message.language),
        title=fields.optional(f"{field}.title", message.title, MAX_TITLE_CHARS),
        engine=fields.optional(f"{field}.engine", message.engine, MAX_ENGINE_CHARS),
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


def progress_to(lines_done: int, lines_total: int) -> pb.GenerateLyricsResponse:
    """The response that says how far a song is."""
    return pb.GenerateLyricsResponse(
        progress=pb.LyricsProgress(lines_done=lines_done, lines_total=lines_total)
    )


def event_to(event: Event, review: Review | None = None) -> pb.GenerateLyricsResponse:
    """The response of an event; `review` belongs to the `Finished` one."""
    match event:
        case Planned():
            return progress_to(0, event.lines_total)
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


def tag_of(field: str, value: pb.SectionTag.ValueType) -> SectionTag:
    """The tag of an enum's value; `field` is where it stands in the request. Raises InvalidField."""
    tag = _TAGS_BACK.get(value)
    if tag is None:
        names = ", ".join(tag.value for tag in SectionTag)
        raise InvalidField("UNKNOWN_VALUE", field, f"{field} names no section tag", limit=names)
    return tag


def label_of(field: str, tag: SectionTag, value: str) -> str:
    """A section's label as it is read back from print. Raises InvalidField."""
    label = fields.optional(field, value, MAX_LABEL_CHARS)
    if any(bracket in label for bracket in "[]{}"):
        limit = "no brackets"
        raise InvalidField("MALFORMED", field, f"{field} has brackets", limit=limit)
    return canonical_label(tag, label)


def _section(field: str, message: pb.LyricSection) -> Section:
    tag = tag_of(f"{field}.tag", message.tag)
    scheme = message.rhyme_scheme
    if scheme and not (scheme.isascii() and scheme.isalpha() and len(scheme) == len(message.lines)):
        limit = "one letter per line"
        raise InvalidField(
            "MALFORMED", f"{field}.rhyme_scheme", f"{field}.rhyme_scheme has {limit}", limit=limit
        )
    return Section(
        tag=tag,
        lines=tuple(_line(f"{field}.lines[{i}]", line) for i, line in enumerate(message.lines)),
        label=label_of(f"{field}.label", tag, message.label),
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
        text=fields.required(f"{field}.text", message.text, MAX_LINE_CHARS, one_line=True),
        language=fields.language(f"{field}.language", message.language),
    )


def _tag_to(tag: SectionTag) -> pb.SectionTag.ValueType:
    return _TAGS[tag]
