"""How a line is spelled for the lyric encoder, and what is made readable before the released rules see it."""

import json
import re
from pathlib import Path

import pytest

from services.music.acestep.lyrics import LANGUAGES
from services.music.acestep.lyrics.normalise import normalise
from services.music.acestep.lyrics.reading import lost_in_romaji, make_readable
from tests.music_acestep.lyric_vocabulary import CHARACTERS

HERE = Path(__file__).parent
RECORD = HERE.parent / "goldens" / "ace_step_v1" / "lyric_tokens.json"
# The recorded ids in letters, by case; U+FFFD where they have no piece.
SPELLED: dict[str, list[str]] = json.loads((HERE / "spelled_lyrics.json").read_text(encoding="utf-8"))
ALPHABET = frozenset(CHARACTERS)


def recorded_lines() -> list[tuple[str, str, str]]:
    """(text, language, spelled) of every line of the record."""
    rows = []
    groups = json.loads(RECORD.read_text(encoding="utf-8"))
    for case, spelled in SPELLED.items():
        group, index = case.split("/")
        recorded = groups[group][int(index)]
        texts = [line.strip() for line in recorded["lyrics"].split("\n")]
        languages = [code for text, code in zip(texts, recorded["languages"], strict=True) if text]
        for text, language, letters in zip(filter(None, texts), languages, spelled, strict=True):
            english = text.startswith("[") or language not in LANGUAGES
            rows.append((text, "en" if english else language, letters))
    return rows


@pytest.mark.parametrize(("text", "language", "spelled"), recorded_lines())
def test_a_line_is_spelled_as_the_released_code_spells_it(text: str, language: str, spelled: str) -> None:
    pattern = re.escape(spelled).replace("\ufffd", ".")
    assert re.fullmatch(pattern, normalise(text, language).strip())


# Recorded with the released normalisation.
@pytest.mark.parametrize(
    ("language", "text", "spelled"),
    [
        ("en", "Mr. X paid $1,000.50", "mister x paid one thousand dollars, fifty cents"),
        ("en", 'He said "3rd" @ 10.5%', "he said third at ten point five percent"),
        ("de", "Am 1. Mai 20,15€ & Dr. No", "am erste mai zwanzig Euro und fünfzehn Cent und doktor no"),
        ("fr", "Le 1er jour, 100.000,5", "le premier jour, cent mille virgule cinq"),
        ("es", "Sra. Díaz: 2 días y 1.000 noches", "señora díaz: dos días y mil noches"),
        ("it", "30° all'ombra", "trentesimo all'ombra"),
        ("pt", "Dra. Ana, 5€", "doutora ana, cinco euros"),
        ("pl", "P. Nowak ma 15 lat", "pani nowak ma piętnaście lat"),
        ("tr", "İstanbul'da 12 gün, 1. kat", "istanbul'da oniki gün, birinci kat"),
        ("ru", "Г-н Х ждёт 3-й день", "господин х ждёт третий день"),
        ("nl", "Dhr. Bos zag de 2de ster", "de heer bos zag de tweede ster"),
        ("hu", "Az 5. nap és 20%", "az ötödik nap és húsz százalék"),
        ("ar", "عندي 5 أحلام", "عندي خمسة أحلام"),
        ("ko", "1번째 밤 & 너", "cheos beon-jjae bam geuligo neo"),
        ("cs", "Dr. Novák má 5 psů", "doktor novák má 5 psů"),
        ("hi", "Baby  मेरे 5 साल", "baby मेरे 5 साल"),
        ("ja", "カード、５人で君と", "card, 5nin de kimi to"),
        (
            "zh",
            "2024年12月31日，3/4的人",
            "er4ling2er4si4nian2shi2er4yue4san1shi2yi1ri4,si4fen1zhi1san1de5ren2",
        ),
        (
            "zh",
            "2000个梦，打13800138000",
            "liang3qian1ge4meng4,da3yi1san1ba1ling2ling2yi1san1ba1ling2ling2ling2",
        ),
        ("zh", "花了3万5，剩20%", "hua1le5san1wan4wu3,sheng4bai3fen1zhi1er4shi2"),
    ],
)
def test_numbers_signs_and_abbreviations_are_read_as_released(language: str, text: str, spelled: str) -> None:
    assert normalise(text, language) == spelled


def test_a_chinese_number_is_read_where_it_stands() -> None:
    assert normalise("12和2个", "zh") == "shi2er4he2er4ge4"


@pytest.mark.parametrize(
    ("language", "text", "spelled"),
    [
        ("cs", "Mám 5 hvězd, 1 000 snů, 3,5 €", "mám pět hvězd, tisíc snů, tři celá pět euro"),
        ("hi", "15 साल, ₹1,00,000 और ३.५%", "पंद्रह साल, एक लाख रुपये और तीन दशमलव पाँच प्रतिशत"),
        ("ja", "5人で café に100円", "gonin de cafe ni hyaku en"),
        ("ja", "30° & 5€", "sanjuu do to go euro"),
        ("ja", "愛してるゥ", "aishiteru u"),
        ("ja", "ァ なァ ファイト", "a na a fight"),
        ("zh", "1,000个梦 10:00", "yi1qian1ge4meng4 shi2,ling2ling2"),
        ("tr", "Işık 3,5", "ışık üç virgül beş"),
        ("hu", "$5", "öt dollár"),
        ("ar", "٥€", "خمسة يورو"),
        ("ko", "5$", "o dalleo"),
        ("fr", "1 000 baisers", "mille baisers"),
        ("en", "Ｌｏｖｅ ① ~ oﬀ Ňß soft\u00adly", "love one - off ňß softly"),
        ("en", "Åse, Ōta and ẑ", "ase, ōta and z"),
    ],
)  # fmt: skip
def test_what_the_released_rules_leave_unread_is_made_readable(
    language: str, text: str, spelled: str
) -> None:
    readable = make_readable(text, language, ALPHABET)
    assert re.sub(" +", " ", normalise(readable, language)).strip() == spelled


def test_what_is_already_readable_is_not_touched() -> None:
    lines = [
        line.split(" ", 1) for line in (HERE / "labelled_lyrics.txt").read_text(encoding="utf-8").splitlines()
    ]
    sung = [(tag.rstrip("~"), text) for tag, text in (line for line in lines if len(line) == 2) if tag != "#"]
    assert len(sung) > 600
    assert [text for language, text in sung if make_readable(text, language, ALPHABET) != text] == []


def test_a_number_beyond_all_tables_stays_in_digits() -> None:
    digits = "9" * 400
    assert normalise(f"I counted {digits} stars", "en") == f"i counted {digits} stars"
    assert make_readable(digits, "hi", ALPHABET).split(" ") == ["नौ"] * 400


def test_japanese_that_cutlet_cannot_read_is_found() -> None:
    assert lost_in_romaji("君と歩いた！「夜」…") == []
    assert lost_in_romaji("君と♪歩いた") == ["♪"]
    assert lost_in_romaji("君は사랑") == ["사", "랑"]
    assert lost_in_romaji("か\u3098") == ["\u3098"]
    assert lost_in_romaji("龘") == ["龘"]
    assert lost_in_romaji("歌います⓯") == ["⓯"]
    assert lost_in_romaji("ゃ") == ["ゃ"]
    assert lost_in_romaji("々 ヾ") == ["々", "ヾ"]
    assert lost_in_romaji("人々の一〇〇") == []
