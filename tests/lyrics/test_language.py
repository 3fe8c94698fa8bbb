"""Which language lyrics are in: whole sections of every language that is known."""

import pytest

from services.lyrics import language

SECTIONS = {
    "en": ["The kettle sings upon the stove", "And I am not the one you love"],
    "de": ["Ich habe dich so lange nicht gesehen", "Die Nacht ist kalt und ich bin hier allein"],
    "fr": ["Je rêve encore de toi la nuit", "Et tu n'es pas ici avec moi"],
    "es": ["Te canto mi canción en la noche", "Y no quiero que te vayas de aquí"],
    "it": ["Non so più dove andare con te", "Ma sento solo il mare nella notte"],
    "pt": ["Eu não sei mais onde você está", "E a noite cai sobre o meu coração"],
    "nl": ["Ik weet niet meer waar jij nu bent", "En het is koud hier zonder jou"],
    "pl": ["Nie wiem już gdzie jesteś teraz", "Ale ja czekam na ciebie w nocy"],
    "sv": ["Jag vet inte var du är nu", "Och det är kallt här utan dig"],
    "tr": ["Ben sana her gece bir şarkı söylerim", "Ama sen yine benim için yoksun"],
    "ru": ["Я помню тёмную ночь", "И нашу первую любовь"],
    "uk": ["Я пам'ятаю ту ніч", "І нашу першу любов"],
    "ja": ["あなたを待って", "夜の中で"],
    "ko": ["너를 기다려", "밤새도록"],
    "zh": ["我在夜里等你", "春天不再来"],
    "el": ["Σε περιμένω τη νύχτα"],
    "he": ["אני מחכה לך בלילה"],
    "hi": ["मैं रात में तुम्हारा इंतज़ार करता हूँ"],
}


@pytest.mark.parametrize("code", SECTIONS)
def test_section_is_told(code: str) -> None:
    assert language.tell(SECTIONS[code]) == code


@pytest.mark.parametrize("text", ["", "la la la oh oh yeah", "1 2 3", "Zorbl frumm kwizzt"])
def test_nothing_is_told_of_what_is_in_no_language(text: str) -> None:
    assert language.tell([text]) == ""
