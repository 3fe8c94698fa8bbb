"""Gates: what makes lyrics unusable as they are, whatever their scores.

Knows tags, commentary, prompts, forbidden and missing words. Language and density are gates of their judges.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from services.lyrics import pronunciation
from services.lyrics.document import MAX_LINE_CHARS, SectionTag, is_heading
from services.lyrics.engine import Brief
from services.lyrics.inflections import forms
from services.lyrics.review import profanity
from services.lyrics.review.song import Song, SungLine
from services.lyrics.review.verdict import Finding

# What chat models say around lyrics. Matched against a line in lower case without punctuation. Songs sing of
# songs ("this song is for you", "I can't help falling"): only what no one sings is refused in their middle.
_COMMENTARY = re.compile(
    r"""
    (?:sure|certainly|of\ course|okay|ok|absolutely)?\ ?
        here(?:'s|\ is|\ are)\ (?:the|your|my|some|a|an)\ (?:\w+\ ){0,4}?lyrics?\b.*
    | (?:these|the|this|above|following)\ (?:are\ the\ )?lyrics?
        \ (?:is|are|was|were|should|tells?|uses?|captures?|explores?|reflects?|aims?|features?|follows?)\b.*
    | (?:this|the)\ (?:song|verse|chorus)
        \ (?:captures?|explores?|reflects?|aims|features?|follows|describes|expresses|evokes)\b.*
    | (?:i|we)\ hope\ (?:that\ )?you(?:'ll|\ will)?\ (?:like|love|enjoy)
        \ (?:these|this|the|your|my|those)\ (?:\w+\ )?(?:lyrics?|song|verses?|words|track)\b.*
    | (?:please\ )?(?:feel\ free|let\ me\ know|don't\ hesitate)\ .*
        \b(?:lyrics|changes|adjustments?|modifications?|edits|revisions?|tweaks?)\b.*
    | as\ an?\ (?:ai|language\ model|assistant)\b.*
    | (?:i've|i\ have|i\ just)\ (?:written|composed|created|wrote)\ (?:\w+\ ){0,4}?lyrics?\b.*
    | would\ you\ like\ me\ to\ (?:write|change|add|adjust|continue|make)\b.*
    | (?:i'm\ sorry\ (?:but\ )?)?i\ (?:can't|cannot)
        \ (?:assist\ with|fulfill?|help\ with\ (?:that|this)|(?:write|generate)\ (?:lyrics|content))\b.*
    | repeat\ (?:the\ )?(?:chorus|verse|hook|refrain|bridge)(?:\ .{0,12})?
    """,
    re.VERBOSE,
)
# A field of a form ("Genre: pop"); without its colon such a word can be sung.
_FIELD = re.compile(
    r"\W*(?:title|genre|tempo|mood|theme|bpm|song title|rhyme scheme|word count|note)\W*:", re.I
)
# A chat model's first and last words; in the middle of a song they may be sung.
_OPENING = re.compile(
    r"(?:sure|certainly|of course|absolutely)(?: thing)?(?: (?:here|i can|i'd be|let me|i'll)\b.*)?|"
    r"here(?:'s| is) (?:the|your|my|a|an) (?:\w+ ){0,4}?(?:song|verse|track)(?: (?:about|in|with|based)\b.*)?"
)
_CLOSING = re.compile(
    r"(?:i|we) hope (?:that )?you(?:'ll| will)? (?:like|love|enjoy) (?:it|this|them)(?: .{0,30})?|"
    r"enjoy(?: (?:the|your|this) (?:song|lyrics))?|let me know(?: what you think| if .*)?"
)
_EDGE = 2  # lines at either end of a document

# Words by which a prompt is told from a theme that is sung.
_INSTRUCTIONS = frozenset(
    ["write", "song", "lyrics", "lyric", "genre", "bpm", "generate", "compose", "create", "verse", "verses",
     "chorus", "about", "style", "lines", "rhyme", "minutes", "seconds"]
)  # fmt: skip
_ECHO_WORDS, _INSTRUCTION_WORDS = 8, 4  # in a row; fewer may well be a hook


def check(
    song: Song, unknown_headings: Sequence[str], brief: Brief | None, *, clean: bool
) -> Iterator[Finding]:
    """Every failed gate but those of language and density, and the headings that the parser left out."""
    yield from _form(song, unknown_headings)
    for index, message in out_of_order([section.tag for section in song.sections]):
        yield Finding("OUT_OF_ORDER", message, gate=True, section=index)
    yield from _commentary(song)
    if clean:
        yield from _profanity(song)
    if brief is not None:
        yield from _echo(song, brief.theme)
        yield from _avoided(song, brief.avoided_words)
        yield from _missing(song, brief.required_words)


def sings(words: Sequence[str], phrase: str) -> bool:
    """Whether a line has a word or phrase in any of its forms."""
    asked = _forms(phrase)
    starts = range(len(words) - len(asked) + 1)
    return bool(asked) and any(
        all(word in known for word, known in zip(words[i:], asked, strict=False)) for i in starts
    )


@lru_cache(maxsize=1024)
def _forms(phrase: str) -> tuple[frozenset[str], ...]:
    """The forms of each word of a phrase; asked for at every line."""
    return tuple(forms(word) for word in pronunciation.words(phrase))


def _at(line: SungLine, code: str, message: str) -> Finding:
    return Finding(code, message, gate=True, section=line.section, line=line.line)


def _form(song: Song, unknown_headings: Sequence[str]) -> Iterator[Finding]:
    if not any(c.isalnum() for line in song.lines for c in line.text):
        yield Finding("EMPTY", "there are no words to sing", gate=True)
    for heading in unknown_headings:
        # "[whispered]" says how to sing: nobody sings it, and the song is whole without it.
        message = f"[{heading[:40]}] names no section and was left out; its lines went to the one before"
        yield Finding("TAG_UNKNOWN", message)
    for section in song.sections:
        if section.tag.needs_words and not section.lines:
            message = f"{section.section.heading} has no lines"
            yield Finding("SECTION_EMPTY", message, gate=True, section=section.index)
    for line in song.lines:
        if len(line.text) > MAX_LINE_CHARS:
            message = f"{len(line.text)} characters; a line has at most {MAX_LINE_CHARS}"
            yield _at(line, "LINE_TOO_LONG", message)
        elif is_heading(line.text):
            yield _at(line, "LINE_IS_TAG", "this line reads as a section tag")


def out_of_order(tags: Sequence[SectionTag]) -> Iterator[tuple[int, str]]:
    """(section, what is wrong): start and intro come before everything sung, outro and end after it."""
    body = [i for i, tag in enumerate(tags) if tag.needs_words]
    first, last = (body[0], body[-1]) if body else (len(tags), -1)
    for index, tag in enumerate(tags):
        early = tag in (SectionTag.START, SectionTag.INTRO) and index > first
        late = tag in (SectionTag.OUTRO, SectionTag.END) and index < last
        if early or late or (tag is SectionTag.START and index > 0):
            place = "after the song has begun" if not late else "before the song has ended"
            yield index, f"the {tag.value} comes {place}"
    for (_, before), (index, after) in pairwise(enumerate(tags)):
        if before is SectionTag.END and after is not SectionTag.END and index > last:
            yield index, f"{after.value} follows the end"


def _commentary(song: Song) -> Iterator[Finding]:
    lines = list(song.lines)
    for number, line in enumerate(lines):
        spoken = _COMMENTARY.fullmatch(line.key) or _FIELD.match(line.text)
        opening = number < _EDGE and _OPENING.fullmatch(line.key)
        closing = number >= len(lines) - _EDGE and _CLOSING.fullmatch(line.key)
        if spoken or opening or closing:
            yield _at(line, "COMMENTARY", "this is said about the song, not sung in it")


def _echo(song: Song, theme: str) -> Iterator[Finding]:
    asked = pronunciation.words(theme)
    long = {tuple(asked[i : i + _ECHO_WORDS]) for i in range(len(asked) - _ECHO_WORDS + 1)}
    telling = {
        gram
        for i in range(len(asked) - _INSTRUCTION_WORDS + 1)
        if len(_INSTRUCTIONS.intersection(gram := tuple(asked[i : i + _INSTRUCTION_WORDS]))) > 1
    }
    for line in song.lines:
        grams = {
            line.words[i : i + size]
            for size in (_ECHO_WORDS, _INSTRUCTION_WORDS)
            for i in range(len(line.words))
        }
        if grams & (long | telling):
            yield _at(line, "PROMPT_ECHOED", "this line repeats what was asked for word by word")


def _profanity(song: Song) -> Iterator[Finding]:
    for line in song.lines:
        if profanity.found(line.text, line.language or song.language):
            yield _at(line, "PROFANITY", "this line has a word that clean lyrics do without")


def _avoided(song: Song, avoided: Sequence[str]) -> Iterator[Finding]:
    for line in song.lines:
        for word in avoided:
            if sings(line.words, word):
                yield _at(line, "WORD_AVOIDED", f'"{word}" was not to be sung')


def _missing(song: Song, required: Sequence[str]) -> Iterator[Finding]:
    lines = list(song.lines)
    for word in required:
        if not any(sings(line.words, word) for line in lines):
            yield Finding("WORD_MISSING", f'"{word}" is not sung anywhere', gate=True)
