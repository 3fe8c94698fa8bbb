"""Reads a theme in free words: what it is about, what of it can be sung, and which genre and mood it names.

Knows nothing of grammar beyond a few word lists, and so sings a theme's own words only where a noun
phrase is safe; what it cannot read is not sung, but still colours the song through its keywords.
"""

import re
from dataclasses import dataclass
from typing import TypeVar

from services.lyrics import pronunciation
from services.lyrics.builtin import bank
from services.lyrics.builtin.bank import Bank, Genre, Mood

_Kind = TypeVar("_Kind", Genre, Mood)

_MAX_WORDS, _MAX_SYLLABLES = 5, 7
_TEMPO = re.compile(r"\b(\d{2,3})\s*-?\s*(?:bpm|beats per minute)\b", re.IGNORECASE)
# A reference to somebody's style, which is not sung: "Nujabes-inspired", "in the style of X", "like X".
_STYLE = re.compile(
    r"\b[\w.&']+(?:\s[A-Z][\w.&']+)*[-\s](?:inspired|style|styled|esque|type beat)\b"
    r"|\b(?i:in the (?:style|vein|manner|spirit) of|inspired by|reminiscent of|sounds? like|similar to"
    r"|à la|for fans of)"
    r"\s+.+?"
    r"(?=\s+(?:about|with|for|on)\b|[,.;:]|$)"
    r"|\b(?:like|by|feat\.?|ft\.?)\s+[A-Z][\w.&']*(?:\s+(?:and\s+|the\s+)?[A-Z][\w.&']*)*",
    re.UNICODE,
)  # fmt: skip
_SUBJECT = re.compile(
    r"\b(?:about|on the subject of|dedicated to|celebrating|in memory of|story of|ode to|tribute to)\s+(.+)",
    re.IGNORECASE | re.DOTALL,
)
_FOR = re.compile(
    r"\b(?:song|ballad|lullaby|anthem|tune|track|hymn|serenade)\s+(?:for|to|of)\s+(.+)",
    re.IGNORECASE | re.DOTALL,
)
_CUT = re.compile(r"[,;:.!?()\[\]\n\"“”/|+&]| [-–—] ")
_NOT_NAME = re.compile(r"[^\w&'-]+")
_MASS_ENDING = re.compile(r"(?:ness|ship|hood|dom|ism|tion|sion|ence|ance|ment|ics|age|ity)$")
_NOUN_ENDING = re.compile(r"(?:ness|ship|hood|dom|ism|tion|sion|ence|ance|ment|ity|er|or|ist|s)$")


@dataclass(frozen=True)
class Theme:
    """What a theme says.

    `phrase` is a noun phrase or gerund that fits after a preposition ("the sea", "rainy Tokyo nights"),
    `call` the same as a form of address ("rainy Tokyo nights"); each empty when none is safe.
    """

    phrase: str
    call: str
    heavy: bool
    keywords: tuple[str, ...]
    tempo_bpm: float
    genre: Genre | None
    mood: Mood | None


def read(text: str, genre: str, mood: str, words: Bank) -> Theme:
    """Reads the theme; `genre` and `mood` are the request's own and win over what the theme names."""
    tempo = _TEMPO.search(text)
    bare = _STYLE.sub(" ", _TEMPO.sub(" ", text))
    phrase = _phrase(bare, words)
    orders = bank.words_of("order") - set(pronunciation.words(phrase))
    keywords = tuple(
        word
        for word in map(words.singular, pronunciation.words(bare))
        if word in words.keywords and word not in orders
    )
    return Theme(
        phrase=phrase,
        call=_call(phrase),
        heavy=not set(bank.words_of("heavy")).isdisjoint(pronunciation.words(text)),
        keywords=keywords,
        tempo_bpm=float(tempo[1]) if tempo and 40 <= float(tempo[1]) <= 220 else 0.0,
        genre=_named(words.genres, genre) or _named(words.genres, bare),
        mood=_named(words.moods, mood) or _named(words.moods, bare),
    )


def _named(kinds: tuple[_Kind, ...], text: str) -> _Kind | None:
    """The kind whose longest name stands in the text as whole words."""
    low = f" {_NOT_NAME.sub(' ', text.lower())} "
    best: tuple[int, _Kind] | None = None
    for kind in kinds:
        for name in kind.names:
            if f" {name} " in low and (best is None or len(name) > best[0]):
                best = len(name), kind
    return best[1] if best else None


def _phrase(text: str, words: Bank) -> str:
    """The first phrase of the text that can be sung, else the first keyword that is a noun, else ""."""
    for candidate, explicit in _candidates(text, words):
        if sung := _trimmed(candidate, words, explicit=explicit):
            return sung
    not_sung = {name for genre in words.genres for name in genre.names} | bank.words_of("order")
    not_sung |= {name for mood in words.moods for name in mood.names} | bank.words_of("unsung")
    for word in pronunciation.words(text):
        known = words.keywords.get(word)
        if known and known.noun and word not in not_sung:
            return {"count": f"the {word}", "mass": word, "name": word.title()}[known.noun]
    return ""


def _candidates(text: str, words: Bank) -> list[tuple[str, bool]]:
    """Pieces of the text, likeliest subject first, and whether the text says that it is the subject."""
    explicit = [_CUT.split(m[1])[0] for m in (_SUBJECT.search(text), _FOR.search(text)) if m]
    music = {name for kind in words.genres for name in kind.names} | bank.words_of("music")
    found = [(piece, True) for piece in explicit]
    for piece in _CUT.split(text):
        tokens = piece.split()
        dropped = ""
        while tokens and _plain(tokens[0]) in bank.words_of("order") and not " ".join(tokens[:2]).istitle():
            dropped = tokens.pop(0)
        if dropped.lower() in bank.words_of("determiner"):
            tokens.insert(0, dropped)  # it belongs to what follows: "a | lighthouse"
        if tokens and not _has_name(tokens, music):
            found.append((" ".join(tokens), False))
    return found


def _has_name(tokens: list[str], names: frozenset[str] | set[str]) -> bool:
    plain = [_plain(token) for token in tokens]
    spans = ((i, j) for i in range(len(plain)) for j in range(i + 1, min(len(plain), i + 3) + 1))
    return any(" ".join(plain[i:j]) in names for i, j in spans)


def _trimmed(candidate: str, words: Bank, *, explicit: bool) -> str:
    """The candidate cut to a phrase that is short, known and safe after a preposition; else ""."""
    tokens = re.sub(r"[*_#~<>{}=\\^%$@`]", " ", candidate.replace("’", "'")).split()
    tokens = [token for i, token in enumerate(tokens) if i == 0 or token.lower() != tokens[i - 1].lower()]
    if _plain(" ".join(tokens)) in bank.words_of("place"):
        return " ".join(token.capitalize() for token in tokens)
    plain = [_plain(token) for token in tokens]
    for i, word in enumerate(plain):
        # A clause begins: "my cat | who sleeps", "my cat Luna | knocked over a cup".
        if i and (word in bank.words_of("stop") or (i >= 2 and word.endswith("ed") and i + 1 < len(plain))):
            tokens, plain = tokens[:i], plain[:i]
            break
    while tokens and not _fits(tokens):
        last = max((i for i, word in enumerate(plain) if i and _begins_detail(word)), default=0)
        tokens, plain = tokens[:last], plain[:last]
    no_end = bank.words_of("preposition") | bank.words_of("determiner") | {"and", "or"}
    while len(plain) > 1 and plain[-1] in no_end:
        tokens, plain = tokens[:-1], plain[:-1]
    if (
        not tokens
        or plain[0] in bank.words_of("clause") | bank.words_of("preposition") | {"about"}
        or not set(plain).isdisjoint(bank.words_of("unsung"))
    ):
        return ""
    if not all(_is_word(token, inside=i > 0) for i, token in enumerate(tokens)):
        return ""
    cased = _cased(tokens, words, explicit=explicit)
    named = any(token[0].isupper() and _plain(token) not in words.keywords for token in cased)
    if named and not explicit and plain[0] not in bank.words_of("determiner"):
        return ""  # "Miles Davis and rain": a name that is not said to be the subject is a style
    return _with_article(cased, words)


def _fits(tokens: list[str]) -> bool:
    return len(tokens) <= _MAX_WORDS and pronunciation.syllables(" ".join(tokens)) <= _MAX_SYLLABLES


def _is_word(token: str, *, inside: bool) -> bool:
    """Letters only, and a word of the dictionary or, inside a phrase, a capitalised name."""
    if not re.fullmatch(r"[A-Za-z]+(?:['-][A-Za-z]+)*'?", token):
        return False
    return all(
        pronunciation.is_known(word.removesuffix("'s"))
        or (inside and token[0].isupper() and bool(pronunciation.pronunciations(word)))
        for word in pronunciation.words(token)
    )


def _cased(tokens: list[str], words: Bank, *, explicit: bool) -> list[str]:
    """Lower case but for names: known ones, and capitals inside a text that is not all capitals."""
    shouting = all(token[:1].isupper() for token in tokens) and len(tokens) > 1
    cased = []
    for i, token in enumerate(tokens):
        known = words.keywords.get(_plain(token))
        # At the start of a text a capital says nothing, but for "Ana and the wolves".
        sure = i > 0 or explicit or [_plain(other) for other in tokens[1:2]] == ["and"]
        capital = (
            token[:1].isupper() and sure and not shouting and _plain(token) not in bank.words_of("other")
        )
        name = known.noun == "name" if known else capital and _plain(token) not in bank.words_of("determiner")
        acronym = token.isupper() and 1 < len(token) <= 4 and not shouting
        cased.append(token if acronym else token.capitalize() if name else token.lower())
    return cased


def _with_article(tokens: list[str], words: Bank) -> str:
    """The phrase as an object, with "the" before a counted singular noun that has no determiner."""
    phrase, first = " ".join(tokens), tokens[0].lower()
    details = (i for i, word in enumerate(tokens) if i and _begins_detail(word))
    head = next(details, len(tokens))
    noun = tokens[head - 1].lower()
    known = words.keywords.get(noun)
    plural = noun.endswith("s") and not noun.endswith(("ss", "us", "is"))
    is_noun = bool(known and known.noun)
    if first in bank.words_of("determiner") or first.endswith("'s"):
        return phrase if len(tokens) > 1 and (is_noun or noun not in bank.words_of("other")) else ""
    if _is_gerund(first):
        # "losing hope", "driving home"; but "dancing queen" lacks an article that is not ours to choose.
        object_ = words.keywords.get(tokens[-1].lower())
        if len(tokens) == 2 and not plural and (object_ is None or object_.noun == "count"):
            return phrase if tokens[1].lower() in bank.words_of("other") else ""
        return phrase if len(tokens) > 1 or is_noun else ""
    if tokens[0][:1].isupper() and (tokens[1:2] == ["and"] or all(t[:1].isupper() for t in tokens)):
        return phrase
    if (known is not None and not is_noun) or (noun in bank.words_of("other") and not is_noun):
        return ""
    if head < len(tokens) and _is_gerund(tokens[head]):
        return phrase  # "robots falling in love", "street racing at night"
    if noun in bank.words_of("kin") and len(tokens) == 1:
        return f"my {phrase}"
    if known is not None:
        bare = known.noun in ("mass", "name")
    elif noun in bank.words_of("mass") or (noun.endswith("s") and not noun.endswith(("ss", "us", "is"))):
        bare = True
    elif len(tokens) > 1 or _NOUN_ENDING.search(noun):
        bare = bool(_MASS_ENDING.search(noun))
    else:
        return ""
    return phrase if bare else f"the {phrase}"


def _begins_detail(word: str) -> bool:
    """Whether a detail begins that may go: "the train | from Prague", "robots | falling in love"."""
    return word.lower() in bank.words_of("preposition") or _is_gerund(word.lower())


def _is_gerund(word: str) -> bool:
    return word.endswith("ing") and len(word) > 4 and word not in bank.words_of("ing_noun")


def _call(phrase: str) -> str:
    """The phrase as a form of address; "" for what cannot be called (a gerund, "a ...", "the ...")."""
    tokens = phrase.split()
    if not tokens or _is_gerund(tokens[0].lower()):
        return ""
    if tokens[0].lower() in bank.words_of("determiner") - {"my", "our"}:
        return ""
    call = " ".join(tokens)
    return call if pronunciation.syllables(call) <= 6 else ""


def _plain(token: str) -> str:
    return token.lower().strip("'’\"“”.,;:!?()[]")
