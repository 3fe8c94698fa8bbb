"""Lines of lyrics as syllables: how many, on which vowel, after which consonant, stressed or not.

Good enough to sing by; knows spelling, not pronunciation. Latin, Cyrillic and Greek letters by vowel groups,
Chinese, Japanese and Korean by character, other scripts by length.
"""

import re
import unicodedata
from dataclasses import dataclass, replace

_VOWELS = "aeiouyаеёиоуыэюяіїєαεηιουω"
_GROUPS = re.compile(f"[{_VOWELS}]+")
_SPOKEN_E = re.compile(r"(?:[^aeiouy]le|[cszxg]es|[td]ed)$")
# Words of one syllable that lean on the next, and words and endings that are not stressed on the first.
_WEAK = re.compile(
    r"a|an|the|and|or|but|nor|of|to|in|on|at|by|for|from|with|as|is|am|are|was|"
    r"were|be|been|it|its|he|she|we|me|my|you|your|they|them|their|our|us|his|her|"
    r"him|i|that|this|than|then|so|if|do|does|did|has|have|had|can|will|would|"
    r"could|should|must|shall|not|no|there|what|when|who"
)
_SECOND = re.compile(
    r"a(?:bout|bove|cross|fraid|gain|gainst|go|head|live|lone|long|mong|part|round|sleep|wake|way|ware)"
    r"|be(?:come|fore|gan|gin|gun|hind|lieve|long|low|neath|side|tween|yond|cause)[a-z]*"
    r"|(?:re|de)[cfglmnptv][a-z]{2,}|to(?:day|night|morrow|gether|ward)|for(?:ever|get|give|got)[a-z]*"
    r"|un(?:til|der)|in(?:side|to)|with(?:in|out)|my(?:self)|your(?:self)|hel(?:lo)|good(?:bye)"
)
_BEFORE_LAST = re.compile(r"(?:tion|sion|cian|cious|tious|ic)s?$")
_THIRD_LAST = re.compile(r"(?:ity|ical|ify|ogy)s?$")
# Vowel group → colour; the first that matches.
_COLOURS = (
    ("ee|ea|ie|ei|y$|^i|и|і|ι|η|ї", "i"), ("oo|ou|ew|^u|у|ю|υ", "u"),
    ("^o|о|ё|ω", "o"), ("^e|е|э|є|ε", "e"), ("", "a"),
)  # fmt: skip


@dataclass(frozen=True)
class Syllable:
    vowel: str  # one of "aeiou"
    onset: str  # the consonant letters before it, lower case; "" when there are none
    stressed: bool = False


def syllables(line: str) -> tuple[Syllable, ...]:
    """The syllables of one sung line; empty only when nothing in it can be sung."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", line.lower()) if not unicodedata.combining(c))
    out: list[Syllable] = []
    for word in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d", unicodedata.normalize("NFC", plain)):
        bare = word.replace("'", "").replace("’", "")
        of_word = _of_word(bare)
        stressed = _stress(bare, len(of_word))
        out.extend(replace(syllable, stressed=i == stressed) for i, syllable in enumerate(of_word))
    return tuple(out)


def _stress(word: str, count: int) -> int:
    """Which of a word's syllables is stressed, or -1: by the rules of English, for want of a dictionary."""
    if count == 1:
        return -1 if _WEAK.fullmatch(word) else 0
    if _THIRD_LAST.search(word):
        return max(count - 3, 0)
    if _BEFORE_LAST.search(word):
        return count - 2
    return 1 if _SECOND.fullmatch(word) else 0


def _of_word(word: str) -> list[Syllable]:
    if word.isdigit():
        return [Syllable("aiueoaieoa"[int(word)], "t")]
    if ord(word[0]) > 0x2E80:  # CJK: a character is a syllable
        return [Syllable("aeiou"[ord(c) % 5], "k" if ord(c) % 3 == 0 else "n") for c in word]
    groups = list(_GROUPS.finditer(word))
    silent = word.endswith(("e", "es", "ed")) and not _SPOKEN_E.search(word)
    if len(groups) > 1 and groups[-1].group() == "e" and silent:
        groups.pop()  # "time", "times", "loved"
    if not groups:
        known = bool(re.search("[a-zа-яα-ω]", word))
        return [Syllable("a", word[0])] * (1 if known else max((len(word) + 1) // 3, 1))
    out, before = [], 0
    for group in groups:
        colour = next(colour for pattern, colour in _COLOURS if re.search(pattern, group.group()))
        out.append(Syllable(colour, word[before : group.start()][-2:]))
        before = group.end()
    return out
