"""Lyrics as ids of the lyric encoder: a start, then for every line its language, its pieces and an end.

The vocabulary comes with the weights (Hugging Face tokenizers, BPE). Nothing is dropped: a line that the
vocabulary cannot spell is refused by its place. Safe on several threads; no state but the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer

from services.common.errors import InvalidField
from services.music.acestep.lyrics.detection import detect_languages, find_unsupported
from services.music.acestep.lyrics.languages import LANGUAGES, known_language
from services.music.acestep.lyrics.lines import TAGS, LyricLine, Piece, pieces_of
from services.music.acestep.lyrics.normalise import normalise
from services.music.acestep.lyrics.reading import lost_in_romaji, make_readable

MAX_LYRIC_TOKENS = 4_096  # what the model was trained on; the released code cuts the rest
TAG_LANGUAGE = "en"  # as released

_START, _SPACE, _UNKNOWN = "[START]", "[SPACE]", "[UNK]"


class VocabularyError(ValueError):
    """A file is not a lyric vocabulary; says which and why."""


@dataclass(frozen=True)
class EncodedLyrics:
    """`ids` go to the lyric encoder as they are; no ids when there are no lyrics (an instrumental)."""

    ids: tuple[int, ...]
    lines: tuple[Piece, ...]  # in the order of `ids`; each with the language that it is sung in, "" if empty


class LyricTokenizer:
    def __init__(self, tokenizer: Tokenizer) -> None:
        """`tokenizer` holds the pieces that `load` asks for."""
        self._tokenizer = tokenizer
        pieces = tokenizer.get_vocab()
        self._start = pieces[_START]
        self._line_end = pieces[_SPACE]  # also what stands between words
        self.alphabet = frozenset(piece for piece in pieces if len(piece) == 1)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a vocabulary file.

        Raises:
            VocabularyError: there is none at `path`, or it is another kind of file or lacks a piece.
        """
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise VocabularyError(f"{path}: not a lyric vocabulary: {error}") from None
        needed = [_START, _SPACE, _UNKNOWN, *(language.token for language in LANGUAGES.values())]
        needed += [f"[{tag}]" for tag in TAGS]
        missing = [piece for piece in needed if tokenizer.token_to_id(piece) is None]
        if missing:
            raise VocabularyError(f"{path}: not a lyric vocabulary: no {', '.join(missing)}")
        return cls(tokenizer)

    @property
    def size(self) -> int:
        """Number of ids: what the lyric encoder's embedding must have."""
        return self._tokenizer.get_vocab_size()

    def encode(
        self, lines: Sequence[LyricLine], *, language: str = "", field: str = "lyrics"
    ) -> EncodedLyrics:
        """Ids of a whole song's lyrics.

        Args:
            lines: in song order; a line without a language takes `language` where it is written in that
                language's script, and is detected otherwise.
            language: ISO 639-1 code of the song, or "" to detect every line.
            field: the request's field, for errors; a line of a section is named behind it.

        Raises:
            InvalidField: UNSUPPORTED_LANGUAGE, UNSUPPORTED_CHARACTER or UNKNOWN_VALUE (a tag), or TOO_LONG
                beyond 4,096 ids, all with the line's place.
        """
        song_language = known_language(language, f"{field}.language") if language else ""
        pieces = _with_languages(pieces_of(lines, field), song_language, field)
        ids = [self._start] if pieces else []
        for piece in pieces:
            ids += [*self._ids_of(piece, field), self._line_end]
            if len(ids) > MAX_LYRIC_TOKENS:
                message = f"lyrics are longer than {MAX_LYRIC_TOKENS} tokens from {piece.place} on"
                limit = f"{MAX_LYRIC_TOKENS} tokens"
                raise InvalidField("TOO_LONG", piece.field(field), message, limit=limit)
        return EncodedLyrics(tuple(ids), tuple(pieces))

    def released_ids(self, lines: Sequence[LyricLine]) -> list[int]:
        """Ids by the released rules alone, each line in its own language: no tag is parsed, nothing refused.

        A character without a piece is [UNK].
        """
        ids = [self._start]
        for line in lines:
            if line.text:
                ids += self._spelled_ids(normalise(line.text, line.language), line.language)
            ids.append(self._line_end)
        return ids

    def _ids_of(self, piece: Piece, field: str) -> list[int]:
        if not piece.text:
            return []
        if piece.is_tag:
            return self._spelled_ids(piece.text, piece.language)
        readable = make_readable(piece.text, piece.language, self.alphabet)
        if piece.language == "ja" and (lost := lost_in_romaji(readable)):
            raise _unsingable(lost, piece, field)
        spelled = normalise(readable, piece.language)
        if unknown := [c for c in dict.fromkeys(spelled) if c not in self.alphabet and c != " "]:
            raise _unsingable(unknown, piece, field)
        return self._spelled_ids(spelled, piece.language)

    def _spelled_ids(self, spelled: str, language: str) -> list[int]:
        return self._tokenizer.encode((LANGUAGES[language].token + spelled).replace(" ", _SPACE)).ids


def _with_languages(pieces: Sequence[Piece], song_language: str, field: str) -> list[Piece]:
    """The pieces with the language that each is sung in."""
    words = [piece for piece in pieces if piece.text and not piece.is_tag]
    lines = [LyricLine(piece.text, _given_language(piece, field)) for piece in words]
    found = detect_languages(lines, song_language)
    guessed = [i for i, line in enumerate(lines) if not line.language and found[i] != song_language]
    unsupported = find_unsupported([lines[i].text for i in guessed])
    if unsupported is not None:
        piece = words[guessed[unsupported.index]]
        message = (
            f"{piece.place} looks like {unsupported.language!r}, which the model does not sing; "
            "name the language that it shall be sung in"
        )
        limit = f"one of {' '.join(LANGUAGES)}"
        raise InvalidField("UNSUPPORTED_LANGUAGE", piece.field(field), message, limit=limit)
    languages = iter(found)
    return [
        replace(piece, language="" if not piece.text else TAG_LANGUAGE if piece.is_tag else next(languages))
        for piece in pieces
    ]


def _given_language(piece: Piece, field: str) -> str:
    return known_language(piece.language, piece.field(field), f"{piece.place}: ") if piece.language else ""


def _unsingable(characters: Sequence[str], piece: Piece, field: str) -> InvalidField:
    named = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in characters[:5])
    language = LANGUAGES[piece.language].name
    message = f"{piece.place}, sung in {language}, has characters without a reading: {named}"
    limit = f"letters, digits and punctuation of {language}"
    return InvalidField("UNSUPPORTED_CHARACTER", piece.field(field), message, limit=limit)
