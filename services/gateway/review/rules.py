"""Holds a text against the rules in rules.toml: what the platform does not make.

Knows how a rule is matched; which there are is data. Reads with `folding` and `names`; gives no advice.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from services.gateway.review.folding import legible, tokens
from services.gateway.review.names import lexicon, marked

Field = Literal["prompt", "title", "lyrics"]
_FIELDS: tuple[Field, ...] = ("prompt", "title", "lyrics")


@dataclass(frozen=True)
class Refusal:
    # stable, UPPER_SNAKE_CASE
    rule: str
    field: Field
    # what is refused, and what would be made in its place
    message: str
    instead: str


@dataclass(frozen=True)
class _Rule:
    name: str
    message: str
    instead: str
    fields: frozenset[str]
    names: re.Pattern[str] | None
    words: re.Pattern[str] | None
    letters: re.Pattern[str] | None
    alone: re.Pattern[str] | None

    def applies(self, text: "_Text") -> bool:
        return bool(
            (self.words and self.words.search(text.words))
            or (self.names and text.names and self.names.search(text.names))
            or (self.letters and text.letters and self.letters.search(text.letters))
            or (self.alone and text.alone and self.alone.fullmatch(text.alone))
        )


@dataclass(frozen=True)
class _Text:
    """One text, as each kind of pattern reads it; "" where that kind is not for it."""

    words: str
    names: str
    letters: str
    alone: str


@dataclass(frozen=True)
class _Rules:
    rules: tuple[_Rule, ...]
    welcome: re.Pattern[str]
    harmless: re.Pattern[str]


def refusals(field: Field, text: str) -> tuple[Refusal, ...]:
    """Every rule that refuses a text, once, in the order of rules.toml."""
    rules, read = _rules(), _read(field, text)
    found = {
        rule.name: Refusal(rule.name, field, rule.message, rule.instead)
        for rule in rules.rules
        if field in rule.fields and rule.applies(read)
    }
    return tuple(found.values())


def _read(field: Field, text: str) -> _Text:
    clear, rules = legible(text), _rules()
    words = f" {' '.join(t.word for t in tokens(clear) if t.word not in _UNHEARD)} "
    words = rules.harmless.sub("_", words)
    letters = "" if clear.isascii() else _marked_elsewhere(clear.lower())
    if field == "lyrics":
        return _Text(words, "", letters, "")
    names = rules.welcome.sub(_as_influence, marked(clear))
    return _Text(words, names, letters, names.strip() if field == "prompt" else "")


_UNHEARD = frozenset(("'s", '"', ","))


def _as_influence(match: re.Match[str]) -> str:
    return re.sub("@(?:artist|composer|person|name)", "@influence", match[0])


def _marked_elsewhere(text: str) -> str:
    for name, mark in lexicon().elsewhere.items():
        if name in text:
            text = text.replace(name, mark)
    return re.sub(r"\s+", " ", text)


@cache
def _rules() -> _Rules:
    data: dict[str, Any] = tomllib.loads(Path(__file__).with_name("rules.toml").read_text("utf-8"))
    fragments: dict[str, str] = data["fragments"]
    return _Rules(
        rules=tuple(
            _Rule(
                name=rule["name"],
                message=rule["message"],
                instead=rule["instead"],
                fields=frozenset(rule.get("in", _FIELDS)),
                names=_whole_words(rule.get("names"), fragments),
                words=_whole_words(rule.get("words"), fragments),
                letters=_pattern(rule.get("letters"), fragments),
                alone=_pattern(rule.get("alone"), fragments),
            )
            for rule in data["rules"]
        ),
        welcome=re.compile(f"(?<= )(?:{_joined(data['welcome'], fragments)})(?= )"),
        harmless=re.compile(f"(?<= )(?:{_joined(data['harmless'], fragments)})(?= )"),
    )


def _joined(patterns: Sequence[str], fragments: Mapping[str, str]) -> str:
    """The patterns as alternatives, their fragments filled in, and what fragments those have."""
    text = "|".join(pattern.replace("\n", "") for pattern in patterns)
    while (filled := re.sub(r"\{([a-z]\w*)\}", lambda name: fragments[name[1]], text)) != text:
        text = filled
    return text


def _pattern(patterns: Sequence[str] | None, fragments: Mapping[str, str]) -> re.Pattern[str] | None:
    return re.compile(_joined(patterns, fragments)) if patterns else None


def _whole_words(patterns: Sequence[str] | None, fragments: Mapping[str, str]) -> re.Pattern[str] | None:
    return re.compile(f"(?<= )(?:{_joined(patterns, fragments)})(?= )") if patterns else None
