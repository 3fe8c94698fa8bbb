"""What a request asks for, as the service's own values, with every limit of the contract.

Knows the fields of a brief and of a review to order. Knows neither engines nor scores.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from acesteps.lyrics.v1 import lyrics_service_pb2 as pb
from services.common.errors import InvalidField
from services.lyrics import fields, inflections, wire
from services.lyrics.document import MAX_TEXT_CHARS, LyricDocument
from services.lyrics.engine import FREE, AskedSection, Brief, Form
from services.lyrics.review import gates, profanity
from services.lyrics.structure import has_words

MAX_THEME_CHARS, MAX_STYLE_CHARS = 500, 60
MIN_DURATION_S, MAX_DURATION_S, DEFAULT_DURATION_S = 5.0, 600.0, 120.0
MIN_TEMPO_BPM, MAX_TEMPO_BPM = 40.0, 220.0
MAX_SECTIONS, MAX_SECTION_LINES = 40, 16
MIN_SYLLABLES, MAX_SYLLABLES = 3, 20
MAX_REQUIRED, MAX_AVOIDED, MAX_WORD_CHARS = 8, 100, 40
MAX_CANDIDATES = 8

_SCHEME = re.compile(r"[A-Z]{1,16}", re.ASCII)
_SCHEME_LIMIT = "free, or 1 to 16 letters A to Z"
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

_FORMS = {pb.GenerateLyricsRequest.Form.Value(f"FORM_{form.name}"): form for form in Form}


@dataclass(frozen=True)
class ReviewOrder:
    """What is to be judged, and by what. `lyrics` is text where it is still to be parsed.

    `duration_s` and `tempo_bpm` are 0, `brief` is None and `language` is empty where they are not given.
    """

    lyrics: LyricDocument | str
    duration_s: float
    tempo_bpm: float
    brief: Brief | None
    clean: bool
    language: str


def brief_of(request: pb.GenerateLyricsRequest) -> Brief:
    """The brief of a request; draws a seed where none is given. Raises InvalidField."""
    return _brief(request, "", fields.required("theme", request.theme, MAX_THEME_CHARS))


def candidates_of(request: pb.GenerateLyricsRequest) -> int:
    """How many documents are to be written, 1 to 8. Raises InvalidField."""
    return fields.count("candidates", request.candidates, 0, MAX_CANDIDATES) or 1


def review_of(request: pb.ReviewLyricsRequest) -> ReviewOrder:
    """What a request asks to be judged. Raises InvalidField."""
    brief = None
    if request.HasField("brief"):
        theme = fields.optional("brief.theme", request.brief.theme, MAX_THEME_CHARS)
        brief = _brief(request.brief, "brief.", theme)
    return ReviewOrder(
        lyrics=_lyrics(request),
        duration_s=_duration_s("", request.duration_s),
        tempo_bpm=_tempo_bpm("", request.tempo_bpm),
        brief=brief,
        clean=request.clean,
        language=fields.language("language", request.language),
    )


def _brief(request: pb.GenerateLyricsRequest, at: str, theme: str) -> Brief:
    """`at` is where the message stands in the request: nothing, or a field's name with a dot."""
    structure = _structure(f"{at}structure", request.structure)
    form = _form(f"{at}form", request.form)
    if structure and form:
        message = "a form and a structure are not asked for together"
        raise InvalidField("OUT_OF_RANGE", f"{at}form", message, limit="unspecified when structure is given")
    required = _words(f"{at}required_words", request.required_words, MAX_REQUIRED)
    avoided = _words(f"{at}avoided_words", request.avoided_words, MAX_AVOIDED)
    for index, word in enumerate(required):
        if any(_sings(word, other) for other in avoided):
            field, limit = f"{at}required_words[{index}]", "no word that is avoided"
            raise InvalidField("OUT_OF_RANGE", field, f"{field} is among avoided_words too", limit=limit)
    for index, word in enumerate(required if request.clean else ()):
        if profanity.found(word, request.language.strip().lower()):
            field, limit = f"{at}required_words[{index}]", "no profanity in clean lyrics"
            raise InvalidField("OUT_OF_RANGE", field, f"{field} is no word of clean lyrics", limit=limit)
    return Brief(
        theme=theme,
        seed=request.seed if request.HasField("seed") else secrets.randbelow(2**32),
        duration_s=_duration_s(at, request.duration_s) or DEFAULT_DURATION_S,
        genre=fields.optional(f"{at}genre", request.genre, MAX_STYLE_CHARS),
        mood=fields.optional(f"{at}mood", request.mood, MAX_STYLE_CHARS),
        language=fields.language(f"{at}language", request.language) or "en",
        tempo_bpm=_tempo_bpm(at, request.tempo_bpm),
        rhyme_scheme=_scheme(f"{at}rhyme_scheme", request.rhyme_scheme),
        structure=structure,
        form=form,
        lines_per_section=fields.count(
            f"{at}lines_per_section", request.lines_per_section, 0, MAX_SECTION_LINES
        ),
        syllables=_syllables(f"{at}syllables_per_line", request.syllables_per_line),
        required_words=required,
        avoided_words=avoided,
        clean=request.clean,
    )


def _lyrics(request: pb.ReviewLyricsRequest) -> LyricDocument | str:
    match request.WhichOneof("lyrics"):
        case "document":
            return wire.document_of(request.document)
        case "text":
            return fields.required("text", request.text, MAX_TEXT_CHARS)
        case _:
            message = "lyrics are required: document or text"
            raise InvalidField("REQUIRED", "lyrics", message, limit="document or text")


def _duration_s(at: str, value: float) -> float:
    return fields.number(f"{at}duration_s", value, MIN_DURATION_S, MAX_DURATION_S)


def _tempo_bpm(at: str, value: float) -> float:
    return fields.number(f"{at}tempo_bpm", value, MIN_TEMPO_BPM, MAX_TEMPO_BPM)


def _form(field: str, value: pb.GenerateLyricsRequest.Form.ValueType) -> Form | None:
    if value and value not in _FORMS:
        limit = ", ".join(pb.GenerateLyricsRequest.Form.keys()[1:])
        raise InvalidField("UNKNOWN_VALUE", field, f"{field} names no form", limit=limit)
    return _FORMS.get(value)


def _scheme(field: str, value: str) -> str:
    """Letters in capitals, "free", or nothing."""
    given = value.strip()
    scheme = given.upper()
    if scheme == FREE.upper():
        return FREE
    # asked of what was given: the capitals of "ß" are letters A to Z
    if scheme and not (given.isascii() and _SCHEME.fullmatch(scheme)):
        raise InvalidField("UNKNOWN_VALUE", field, f"{field} is {_SCHEME_LIMIT}", limit=_SCHEME_LIMIT)
    return scheme


def _structure(field: str, sections: Sequence[pb.SectionPlan]) -> tuple[AskedSection, ...]:
    fields.at_most(field, len(sections), MAX_SECTIONS, "sections")
    asked = tuple(_section(f"{field}[{i}]", section) for i, section in enumerate(sections))
    if asked and not any(has_words(section.tag) for section in asked):
        limit = "at least one section with words"
        raise InvalidField("OUT_OF_RANGE", field, f"{field} has nothing to sing", limit=limit)
    for index, told in gates.out_of_order([section.tag for section in asked]):
        limit = "start and intro before what is sung, outro and end after it"
        message = f"{field}[{index}] cannot be there: {told}"
        raise InvalidField("OUT_OF_RANGE", f"{field}[{index}].tag", message, limit=limit)
    return asked


def _section(field: str, message: pb.SectionPlan) -> AskedSection:
    tag = wire.tag_of(f"{field}.tag", message.tag)
    lines = fields.count(f"{field}.lines", message.lines, 0, MAX_SECTION_LINES)
    scheme = _scheme(f"{field}.rhyme_scheme", message.rhyme_scheme)
    if lines and not has_words(tag):
        message_ = f"{field} is {tag.value}, which has no words"
        raise InvalidField("OUT_OF_RANGE", f"{field}.lines", message_, limit="0 for a section without words")
    if lines and scheme != FREE and len(scheme) > lines:
        limit = f"{lines} letters"
        message_ = f"{field}.rhyme_scheme has {len(scheme)} letters for {lines} lines"
        raise InvalidField("OUT_OF_RANGE", f"{field}.rhyme_scheme", message_, limit=limit)
    label = wire.label_of(f"{field}.label", tag, message.label)
    return AskedSection(tag, lines, "" if label == tag.display else label, scheme)


def _syllables(field: str, message: pb.SyllableRange) -> tuple[int, int] | None:
    if not message.least and not message.most:
        return None
    least = fields.count(f"{field}.least", message.least, MIN_SYLLABLES, MAX_SYLLABLES)
    return least, fields.count(f"{field}.most", message.most, least, MAX_SYLLABLES)


def _words(field: str, words: Sequence[str], most: int) -> tuple[str, ...]:
    """Words or short phrases, each once."""
    fields.at_most(field, len(words), most, "words")
    kept: dict[str, str] = {}
    for index, word in enumerate(words):
        text = fields.required(f"{field}[{index}]", word, MAX_WORD_CHARS, one_line=True)
        if not _WORD.search(text):
            limit = "at least one letter or digit"
            raise InvalidField("MALFORMED", f"{field}[{index}]", f"{field}[{index}] is no word", limit=limit)
        kept.setdefault(text.casefold(), text)
    return tuple(kept.values())


def _sings(phrase: str, avoided: str) -> bool:
    """Whether whoever sings `phrase` sings `avoided`, in whatever form."""
    sung, bad = ([word.casefold() for word in _WORD.findall(text)] for text in (phrase, avoided))
    starts = range(len(sung) - len(bad) + 1)
    return any(all(_same(a, b) for a, b in zip(sung[start:], bad, strict=False)) for start in starts)


def _same(one: str, other: str) -> bool:
    one, other = one.replace("’", "'"), other.replace("’", "'")
    return other in inflections.forms(one) or one in inflections.forms(other)
