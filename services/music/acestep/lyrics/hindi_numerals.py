"""Digits to Hindi words, which num2words lacks: whole numbers by lakh and crore, decimals digit by digit."""

import re

# Every number below a hundred has a word of its own.
_WORDS = """
शून्य एक दो तीन चार पाँच छह सात आठ नौ
दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस
बीस इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस सत्ताईस अट्ठाईस उनतीस
तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस
चालीस इकतालीस बयालीस तैंतालीस चौवालीस पैंतालीस छियालीस सैंतालीस अड़तालीस उनचास
पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ
साठ इकसठ बासठ तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर
सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर अठहत्तर उन्यासी
अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अट्ठासी नवासी
नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे अट्ठानवे निन्यानवे
"""
_BELOW_HUNDRED = tuple(_WORDS.split())
_UNITS = ((10**9, "अरब"), (10**7, "करोड़"), (10**5, "लाख"), (10**3, "हज़ार"), (100, "सौ"))
_LONGEST = 12  # digits of a number that is read by its value; no one counts further in a song

_NUMBER = re.compile(r"\d+(?:,\d{2,3})*(?:\.\d+)?")


def spell_hindi_numbers(text: str) -> str:
    """`text` with its digits in words. Commas between groups, a point before decimals."""
    return _NUMBER.sub(lambda m: _spoken(m[0].replace(",", "")), text)


def _spoken(number: str) -> str:
    whole, _, fraction = number.partition(".")
    words = _by_digit(whole) if len(whole) > _LONGEST else [_whole(int(whole))]
    return " ".join([*words, "दशमलव", *_by_digit(fraction)] if fraction else words)


def _by_digit(digits: str) -> list[str]:
    return [_BELOW_HUNDRED[int(digit)] for digit in digits]


def _whole(number: int) -> str:
    if number < 100:
        return _BELOW_HUNDRED[number]
    unit, name = next((unit, name) for unit, name in _UNITS if number >= unit)
    above, below = divmod(number, unit)
    return " ".join([_whole(above), name] + ([_whole(below)] if below else []))
