"""Digits to Chinese words by the released rules: years and long numbers digit by digit, amounts by value.

Knows Chinese number words and what stands beside digits in a text; knows nothing of pinyin.
"""

import re
import string
from collections.abc import Callable

_DIGITS = "零一二三四五六七八九"
_UNITS = {1: "十", 2: "百", 3: "千"} | {
    4 * i: unit for i, unit in enumerate("万亿兆京垓秭穰沟涧正载", start=1)
}  # by power

_NUMBER = r"\d+(?:\.\d+)?"
_YEAR = r"(?:(?P<year>[089]\d|(?:19|20)\d{2})年)"
_SCALE = "(?:亿|千万|百万|万|千|百)"
_MONEY_UNIT = rf"(?:{_SCALE}?(?:元|块)|{_SCALE}|角|毛|分)"
# Measure words that make the number before them a quantity.
_MEASURES = (
    "匹张座回场尾条个首阙阵网炮顶丘棵只支袭辆挑担颗壳窠曲墙群腔砣客贯扎捆刀令打手罗坡山岭江溪钟队单双"
    "对出口头脚板跳枝件贴针线管名位身堂课本页家户层丝毫厘分钱两斤铢石钧锱忽寸尺丈里寻常铺程撮勺合升斗"
    "盘碗碟叠桶笼盆盒杯斛锅簋篮罐瓶壶卮盏箩箱煲啖袋钵年月日季刻时周天秒旬纪岁世更夜春夏秋冬代伏辈丸泡"
    "粒幢堆根道面片块"
)
_MEASURE = rf"(?:[千毫微]克|[千分厘毫微]米|[{_MEASURES}])"
# A sign of Chinese or ASCII punctuation is a pause.
_PUNCTUATION = (
    "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃《》"
    "「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏·〈〉" + string.punctuation
)
_PAUSES = str.maketrans(_PUNCTUATION, "," * len(_PUNCTUATION))


def by_digit(number: str) -> str:
    """Every digit's name, in order; all else is left out."""
    return "".join(_DIGITS[int(digit)] for digit in number if digit.isdigit())


def by_value(number: str) -> str:
    """A number by its value, "2010.5" → 两千零一十点五. Several zeros alone have no words, as released."""
    whole, _, fraction = number.partition(".")
    symbols = _symbols(whole) if len(whole) > 1 else [by_digit(whole)]
    words = "".join(_liang(symbols))
    if fraction:
        words = f"{words or '零'}点{by_digit(fraction)}"
    return words.removeprefix("一") if words.startswith("一十") else words


def _symbols(number: str) -> list[str]:
    """Digit names and units, most significant first; a run of zeros inside is one 零."""
    digits = number.lstrip("0")
    if not digits:
        return []
    if len(digits) == 1:
        return ["零"] * (digits != number) + [by_digit(digits)]
    power = max(power for power in _UNITS if power < len(digits))
    return [*_symbols(number[:-power]), _UNITS[power], *_symbols(digits[-power:])]


def _liang(symbols: list[str]) -> list[str]:
    """二 before a unit of hundred or more is 两, unless it follows a ten or a zero."""
    spoken = list(symbols)
    for i, symbol in enumerate(symbols[:-1]):
        before, after = symbols[i - 1] if i else "", symbols[i + 1]
        if symbol == "二" and after in _UNITS.values() and after != "十" and before not in (*_DIGITS, "十"):
            spoken[i] = "两"
    return spoken


def _date(match: re.Match[str]) -> str:
    year, month, day = match["year"], match["month"], match["day"]
    parts = [f"{by_digit(year)}年" if year else "", f"{by_value(month)}月" if month else ""]
    return "".join(parts) + (by_value(day[:-1]) + day[-1] if day else "")


def _every_value(match: re.Match[str]) -> str:
    return re.sub(_NUMBER, lambda m: by_value(m[0]), match[0])


def _fraction(match: re.Match[str]) -> str:
    above, below = match[0].split("/")
    return f"{by_value(below)}分之{by_value(above)}"


# In the released order: what an earlier rule read, a later one no longer sees.
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (rf"(?<!\d)(?=\d){_YEAR}?(?:(?P<month>\d{{1,2}})月(?P<day>\d{{1,2}}[日号])?)?", _date),
        (rf"(?<!\d){_NUMBER}[多余几]?{_MONEY_UNIT}(?:\d{_MONEY_UNIT}?)?", _every_value),
        # mobile and fixed telephones
        (r"(?<!\d)(?:\+?86 ?)?1(?:[38]\d|5[0-35-9]|7[678]|9[89])\d{8}(?!\d)", lambda m: by_digit(m[0])),
        (r"(?<!\d)(?:0(?:10|2[1-3]|[3-9]\d{2})-?)?[1-9]\d{6,7}(?!\d)", lambda m: by_digit(m[0])),
        (r"\d+/\d+", _fraction),
        (rf"{_NUMBER}%", lambda m: "百分之" + by_value(m[0][:-1])),
        (rf"{_NUMBER}(?=[多余几]?{_MEASURE})", lambda m: by_value(m[0])),
        (r"\d{4,32}", lambda m: by_digit(m[0])),
        (_NUMBER, lambda m: by_value(m[0])),
        # B2B stays what it is
        (r"([a-zA-Z]+)二([a-zA-Z]+)", lambda m: f"{m[1]}2{m[2]}"),
    )
)  # fmt: skip


def spell_chinese_numbers(text: str) -> str:
    """`text` with its digits in Chinese words and its punctuation as commas."""
    # The released code marks a line's ends with these and takes them away again, with any of the line's.
    text = text.lstrip("^").rstrip("$").replace("％", "%")
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return text.translate(_PAUSES)
