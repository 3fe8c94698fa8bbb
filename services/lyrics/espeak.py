"""How words of other languages sound: through espeak-ng, an optional program, asked once per review.

Knows its IPA and where a rhyme begins in it. Without the program, or when it does not answer in time, words
are without sound and nothing is claimed of them.
"""

import logging
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Iterable
from functools import cache
from threading import Lock

from services.lyrics.likeness import NONE, SAME, likeness

PROGRAM = "espeak-ng"
# Languages in which poems and songs rhyme by the last stressed vowel, and the program's name for each.
VOICES = {
    code: code
    for code in [
        "ca",
        "cs",
        "da",
        "de",
        "el",
        "es",
        "et",
        "fi",
        "fr",
        "hr",
        "hu",
        "id",
        "it",
        "lt",
        "lv",
        "mk",
        "nb",
        "nl",
        "pl",
        "pt",
        "ro",
        "ru",
        "sk",
        "sl",
        "sq",
        "sr",
        "sv",
        "tr",
        "uk",
    ]
} | {"no": "nb", "fr": "fr-fr", "pt": "pt-br"}
_TIMEOUT_S = 3.0
_MAX_WORDS = 800  # of one call; a song has some fifty line ends
_CACHE_WORDS = 50_000

_log = logging.getLogger(__name__)

_SWITCH = re.compile(r"\([a-z-]+\)")  # "(en)" where the program reads a word as another language's
_VOWELS = frozenset("iɪyʏɨʉeɛøœəɘɵaɑɐɒoɔɤuʊʌæɜɯɶ")

# (what stands before the rhyme, the rhyme), in IPA symbols
Sound = tuple[tuple[str, ...], tuple[str, ...]]

_known: dict[tuple[str, str], Sound | None] = {}
_lock = Lock()


@cache
def is_installed() -> bool:
    """Whether the program is there; looked for once."""
    return shutil.which(PROGRAM) is not None


def sounds(words: Iterable[str], language: str) -> dict[str, Sound]:
    """Onset and rhyme of each word (lower case) that can be read; all new ones in one process.

    Empty without the program, for a language not in `VOICES`, and when the program fails or takes more
    than three seconds.
    """
    if language not in VOICES or not is_installed():
        return {}
    asked = list(dict.fromkeys(word for word in words if word))[:_MAX_WORDS]
    with _lock:
        missing = [word for word in asked if (language, word) not in _known]
    if missing:
        said = _ask(missing, VOICES[language])
        with _lock:
            if len(_known) > _CACHE_WORDS:
                _known.clear()
            _known.update(((language, word), sound) for word, sound in zip(missing, said, strict=False))
    with _lock:
        found = {word: _known.get((language, word)) for word in asked}
    return {word: sound for word, sound in found.items() if sound}


def strength(a: Sound | None, b: Sound | None) -> float:
    """How well two sounds rhyme, as `likeness` says; 0 when one is not known."""
    if a is None or b is None:
        return NONE
    return SAME if a == b else likeness(a[1], a[0], b[1], b[0])


def sound_of(ipa: str) -> Sound | None:
    """Onset and rhyme of a word in espeak-ng's IPA ("ʃtɾˈɑːsə" is ʃtɾ and ɑsə); None without a vowel.

    Length and tone are left out: singing does not keep them.
    """
    if _SWITCH.search(ipa):
        return None
    plain = "".join(
        c for c in unicodedata.normalize("NFD", ipa.split()[-1] if ipa.split() else "") if _counts(c)
    )
    stress = max(plain.rfind("ˈ"), plain.rfind("ˌ"), 0)
    symbols = plain[stress:].replace("ˈ", "").replace("ˌ", "")
    start = next((i for i, c in enumerate(symbols) if c in _VOWELS), None)
    if start is None:
        return None
    before = re.split("[ˈˌ]", plain)
    lead = symbols[:start] or before[0] if stress else symbols[:start]
    onset = lead[len(lead) - _consonants_at_end(lead) :]
    return tuple(onset), tuple(symbols[start:])


def _counts(symbol: str) -> bool:
    return symbol in "ˈˌ" or unicodedata.category(symbol) in ("Ll", "Lo")


def _consonants_at_end(text: str) -> int:
    return next((i for i, c in enumerate(reversed(text)) if c in _VOWELS), len(text))


def _ask(words: list[str], voice: str) -> list[Sound | None]:
    # A word per line: the program says a line per line. Letters only: it reads punctuation as pauses.
    lines = "\n".join(re.sub(r"[^\w'’-]", "", word) or "-" for word in words) + "\n"
    command = [PROGRAM, "--ipa", "-q", "-v", voice]
    try:
        done = subprocess.run(
            command, input=lines.encode(), capture_output=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("espeak-ng gave no answer", extra={"kind": type(error).__name__})
        return []
    said = done.stdout.decode("utf-8", "replace").splitlines()
    # Lines that were joined or split cannot be told apart any more: nothing is claimed then.
    return [sound_of(ipa) for ipa in said] if len(said) == len(words) else []
