"""Lyrics as ids: the line format, what is refused and how, agreement with recorded ids."""

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.common.errors import InvalidField
from services.music.acestep.lyrics import (
    MAX_LYRIC_TOKENS,
    LyricLine,
    LyricTokenizer,
    VocabularyError,
    check_lyric_tokens,
    lines_of_sections,
    lines_of_text,
)
from tests.music_acestep.lyric_vocabulary import write_lyric_vocabulary

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "tests" / "goldens" / "ace_step_v1" / "lyric_tokens.json"
RELEASED_VOCABULARY = Path(
    os.environ.get("ACESTEP_LYRIC_VOCAB")
    or ROOT.parent / "shared" / "goldens" / "ace_step_v1" / "lyric_vocab.json"
)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lyric_vocabulary(tmp_path_factory.mktemp("lyrics") / "lyric_vocab.json")


@pytest.fixture(scope="module")
def tokenizer(vocabulary: Path) -> LyricTokenizer:
    return LyricTokenizer.load(vocabulary)


@pytest.fixture(scope="module")
def pieces(vocabulary: Path) -> Mapping[int, str]:
    ids = json.loads(vocabulary.read_text(encoding="utf-8"))["model"]["vocab"]
    return {i: piece for piece, i in ids.items()}


def spell(tokenizer: LyricTokenizer, pieces: Mapping[int, str], lyrics: str, **how: str) -> str:
    """The ids in letters; a space between words and at a line's end."""
    ids = tokenizer.encode(lines_of_text(lyrics), **how).ids
    return "".join(pieces[i] for i in ids).replace("[SPACE]", " ")


def refused(tokenizer: LyricTokenizer, lyrics: str, **how: str) -> InvalidField:
    with pytest.raises(InvalidField) as caught:
        tokenizer.encode(lines_of_text(lyrics), **how)
    return caught.value


def test_lyrics_are_a_start_then_lines_with_language_and_end(
    tokenizer: LyricTokenizer, pieces: Mapping[int, str]
) -> None:
    spelled = spell(tokenizer, pieces, "[verse]\nHold on to me\n\nIch liebe dich")
    assert spelled == "[START][en][verse] [en]hold on to me  [de]ich liebe dich "


def test_words_are_joined_from_the_vocabularys_pieces(
    tokenizer: LyricTokenizer, pieces: Mapping[int, str]
) -> None:
    ids = tokenizer.encode([LyricLine("the thing", "en")]).ids
    assert [pieces[i] for i in ids] == ["[START]", "[en]", "the", "[SPACE]", "th", "ing", "[SPACE]"]


def test_no_lyrics_are_no_ids_and_an_empty_line_is_its_end(
    tokenizer: LyricTokenizer, pieces: Mapping[int, str]
) -> None:
    assert tokenizer.encode([]).ids == ()
    assert spell(tokenizer, pieces, "") == ""
    assert spell(tokenizer, pieces, "   ") == "[START] "


@pytest.mark.parametrize(
    "written",
    [
        "[chorus] hold on",
        "[Chorus]\nhold on",
        "[Chorus 2:] hold on",
        "［CHORUS］hold on",
        "[chorus]\thold on",
    ],
)
def test_a_tag_stands_on_a_line_of_its_own(
    tokenizer: LyricTokenizer, pieces: Mapping[int, str], written: str
) -> None:
    assert spell(tokenizer, pieces, written) == "[START][en][chorus] [en]hold on "


def test_a_tag_inside_a_line_parts_it_and_each_part_has_its_language(tokenizer: LyricTokenizer) -> None:
    encoded = tokenizer.encode(lines_of_text("[Verse 1] Ich liebe dich [Instrumental] Take me home tonight"))
    assert [(line.number, line.text, line.language) for line in encoded.lines] == [
        (1, "[verse]", "en"),
        (1, "Ich liebe dich", "de"),
        (1, "[inst]", "en"),
        (1, "Take me home tonight", "en"),
    ]


@pytest.mark.parametrize(
    "written", ["[guitar solo]", "[de] Hallo", "[STOP]", "x ] y", "[verse", "[]", "[[verse]]"]
)
def test_brackets_with_anything_but_a_tag_are_refused(tokenizer: LyricTokenizer, written: str) -> None:
    error = refused(tokenizer, f"first line\n{written}")
    assert (error.reason, error.field) == ("UNKNOWN_VALUE", "lyrics")
    assert error.message.startswith("line 2:")
    assert "[pre-chorus]" in error.limit


def test_sections_become_tags_and_lines_with_an_empty_line_between(tokenizer: LyricTokenizer) -> None:
    sections = [("intro", []), ("verse", [LyricLine("hold on"), LyricLine("ik hou van jou", "nl")])]
    as_text = "[intro]\n\n[verse]\nhold on\nik hou van jou"
    assert [line.text for line in lines_of_sections(sections)] == as_text.split("\n")
    assert tokenizer.encode(lines_of_sections(sections)).ids == tokenizer.encode(lines_of_text(as_text)).ids


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LyricLine("\u2603"), "UNSUPPORTED_CHARACTER"),
        (LyricLine("la", "zu"), "UNSUPPORTED_LANGUAGE"),
        (LyricLine("[guitar solo]"), "UNKNOWN_VALUE"),
        (LyricLine("Regnet faller över gamla tak, jag väntar på dig vid stationen"), "UNSUPPORTED_LANGUAGE"),
        (LyricLine("b" * 5_000, "en"), "TOO_LONG"),
    ],
)
def test_a_line_of_a_section_is_refused_by_its_place_in_the_request(
    tokenizer: LyricTokenizer, line: LyricLine, reason: str
) -> None:
    sections = [("intro", []), ("verse", [LyricLine("hold on", "en"), line])]
    with pytest.raises(InvalidField) as caught:
        tokenizer.encode(lines_of_sections(sections))
    assert (caught.value.reason, caught.value.field) == (reason, "lyrics.sections[1].lines[1]")
    assert "section 2, line 2" in caught.value.message


def test_a_given_language_is_used(tokenizer: LyricTokenizer, pieces: Mapping[int, str]) -> None:
    assert spell(tokenizer, pieces, "hold on", language="cs").startswith("[START][cs]")
    lines = [LyricLine("5", "pt-BR"), LyricLine("5", "zh-CN")]
    assert (
        "".join(pieces[i] for i in tokenizer.encode(lines).ids) == "[START][pt]cinco[SPACE][zh-cn]wu3[SPACE]"
    )


def test_a_language_that_the_model_does_not_sing_is_refused(tokenizer: LyricTokenizer) -> None:
    error = refused(tokenizer, "hej", language="sv")
    assert (error.reason, error.field) == ("UNSUPPORTED_LANGUAGE", "lyrics.language")
    assert "hu" in error.limit.split(" ")
    with pytest.raises(InvalidField, match="line 2: language 'xx'"):
        tokenizer.encode([LyricLine("hold on"), LyricLine("hold on", "xx")])


def test_lyrics_that_look_like_such_a_language_are_refused_until_one_is_named(
    tokenizer: LyricTokenizer,
) -> None:
    swedish = "Regnet faller över gamla tak\nJag väntar på dig vid stationen\nKom tillbaka till mig"
    error = refused(tokenizer, swedish)
    assert error.reason == "UNSUPPORTED_LANGUAGE"
    assert "'sv'" in error.message
    assert error.message.startswith("line ")
    assert tokenizer.encode(lines_of_text(swedish), language="de").lines[0].language == "de"


@pytest.mark.parametrize(
    ("text", "language", "named"),
    [
        ("😀 smile", "", "U+1F600"),
        ("σ'αγαπώ", "", "U+03C3"),
        ("ฉันรักเธอ", "", "U+0E09"),
        ("hold 사랑 on", "en", "U+C0AC"),
        ("君と♪歩いた", "", "U+266A"),
        ("너를 愛", "", "U+611B"),
        ("hold \x00 on", "", "U+0000"),
        ("hold \ud800 on", "", "U+D800"),
    ],
)
def test_a_character_without_a_reading_is_refused_with_its_line(
    tokenizer: LyricTokenizer, text: str, language: str, named: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        tokenizer.encode([LyricLine("hold on", "en"), LyricLine(text, language)], field="spec.lyrics")
    assert (caught.value.reason, caught.value.field) == ("UNSUPPORTED_CHARACTER", "spec.lyrics")
    assert caught.value.message.startswith("line 2,")
    assert named in caught.value.message


def test_lyrics_up_to_the_limit_are_whole_and_beyond_it_refused(tokenizer: LyricTokenizer) -> None:
    lines = [LyricLine("b" * 19, "en")] * 195  # 21 ids each
    assert len(tokenizer.encode(lines).ids) == MAX_LYRIC_TOKENS
    with pytest.raises(InvalidField, match="from line 196 on") as caught:
        tokenizer.encode([*lines, LyricLine("")])
    assert (caught.value.reason, caught.value.limit) == ("TOO_LONG", "4096 tokens")


def test_many_threads_encode_what_one_encodes(tokenizer: LyricTokenizer) -> None:
    texts = [
        "夜空に輝く3つの星",
        "I owe $20.50 at 3rd",
        "너를 사랑해 5번째",
        "2024年我爱你",
        "15 साल",
        "7 Träume",
    ]
    songs = [lines_of_text(text) for text in texts] * 10
    one_by_one = [tokenizer.encode(song) for song in songs]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(tokenizer.encode, songs)) == one_by_one


def test_a_file_that_is_no_lyric_vocabulary_is_refused(tmp_path: Path, vocabulary: Path) -> None:
    with pytest.raises(VocabularyError, match="not a lyric vocabulary"):
        LyricTokenizer.load(tmp_path / "missing.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(VocabularyError, match=r"other\.json"):
        LyricTokenizer.load(tmp_path / "other.json")
    poorer = vocabulary.read_text(encoding="utf-8").replace("[hook]", "[hock]")
    (tmp_path / "poorer.json").write_text(poorer, encoding="utf-8")
    with pytest.raises(VocabularyError, match=r"no \[hook\]$"):
        LyricTokenizer.load(tmp_path / "poorer.json")


def test_the_check_finds_what_agrees_and_where_the_rest_parts(
    tokenizer: LyricTokenizer, vocabulary: Path, tmp_path: Path
) -> None:
    right = tokenizer.released_ids(
        [LyricLine("[verse]", "en"), LyricLine("hold on", "de"), LyricLine("", "")]
    )
    case = {"lyrics": "[verse]\n hold on \n", "languages": ["zh", "de", None]}
    record = {
        "a": [{**case, "ids": right}],
        "b": [{**case, "ids": [*right[:3], 0]}, {**case, "ids": right[:-1]}],
    }
    (tmp_path / "record.json").write_text(json.dumps(record))
    rows = check_lyric_tokens(tmp_path / "record.json", vocabulary)
    assert [(row.case, row.agrees, row.first_difference) for row in rows] == [
        ("a/0", True, None),
        ("b/0", False, 3),
        ("b/1", False, len(right) - 1),
    ]


@pytest.mark.parametrize("content", ["[]", "{", '{"a": [{"lyrics": "x", "ids": []}]}', '{"a": 3}'])
def test_a_record_that_is_none_is_refused(vocabulary: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(ValueError, match="not a record of lyric tokens"):
        check_lyric_tokens(tmp_path / "record.json", vocabulary)


@pytest.mark.skipif(not RELEASED_VOCABULARY.is_file(), reason="ACESTEP_LYRIC_VOCAB names no vocabulary")
def test_ids_agree_with_the_released_tokenizer() -> None:
    rows = check_lyric_tokens(RECORD, RELEASED_VOCABULARY)
    assert len(rows) == 57
    assert [(row.case, row.first_difference) for row in rows if not row.agrees] == []
    assert rows[0].found[0] == 261
