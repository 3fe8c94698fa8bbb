"""Numbers as English words, as they are sung: 27 is "twenty seven", 1999 is "nineteen ninety nine".

Knows whole numbers up to 999,999,999.
"""

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spoken(number: int) -> list[str]:
    """The words of a number, 0 to 999,999,999; years of the second millennium are read in pairs."""
    if 1100 <= number < 2000 and number % 100:
        tail = spoken(number % 100)
        return [*_below_hundred(number // 100), *(tail if number % 100 > 9 else ["oh", *tail])]
    return _counted(number) if number else ["zero"]


def _counted(number: int) -> list[str]:
    for size, name in ((1_000_000, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = number % size
            return [*_counted(number // size), name, *(_counted(rest) if rest else ())]
    return _below_hundred(number)


def _below_hundred(number: int) -> list[str]:
    if number < 20:
        return [_ONES[number]]
    tens, ones = divmod(number, 10)
    return [_TENS[tens - 2], *([_ONES[ones]] if ones else ())]
