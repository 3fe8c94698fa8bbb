"""What may be asked for: the limits of texts, what the platform does not make, and advice on the rest.

The rules are data, in review.toml. A style reference ("Nujabes-inspired jazz hop") is welcome; refused is
asking for a person's voice, an imitation of an artist, or a song that exists. Knows English only.
"""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from services.common.errors import FailedPrecondition, InvalidField

LONGEST_PROMPT = 1_000
# As in the Stream-Safe Text Format (UAX #15): no language stacks more on a letter.
MOST_MARKS = 30


@dataclass(frozen=True)
class Finding:
    # stable, UPPER_SNAKE_CASE
    rule: str
    # True: the prompt is refused; else it is advice.
    refuses: bool
    message: str


@dataclass(frozen=True)
class _Refusal:
    finding: Finding
    pattern: re.Pattern[str]
    # "", "only" or "unless the": what review.toml says of names
    names: str

    def applies(self, prompt: str) -> bool:
        return any(self._confirms(match) for match in self.pattern.finditer(prompt))

    def _confirms(self, match: re.Match[str]) -> bool:
        if not self.names or _begins_with_name(match["who"]):
            return True
        return self.names == "unless the" and match["who"].split()[0].lower() != "the"


@dataclass(frozen=True)
class _Advice:
    finding: Finding
    # of what is there when there is nothing to advise
    pattern: re.Pattern[str]


def _load() -> tuple[frozenset[str], tuple[_Refusal, ...], tuple[_Advice, ...]]:
    data: dict[str, Any] = tomllib.loads(Path(__file__).with_name("review.toml").read_text("utf-8"))
    fragments: dict[str, str] = data["fragments"]

    def pattern(entry: dict[str, str]) -> str:
        text = entry["pattern"].replace("\n", "")
        for name, fragment in fragments.items():
            text = text.replace(f"{{{name}}}", fragment)
        return text

    refusals = tuple(
        _Refusal(Finding(r["rule"], True, r["message"]), re.compile(pattern(r)), r.get("names", ""))
        for r in data["refusals"]
    )
    advice = tuple(
        _Advice(
            Finding(a["rule"], False, a["message"]),
            re.compile(rf"(?<!\w)(?:{pattern(a)})(?!\w)", re.IGNORECASE),
        )
        for a in data["advice"]
    )
    return frozenset(data["not_names"]), refusals, advice


_NOT_NAMES, _REFUSALS, _ADVICE = _load()


def _begins_with_name(text: str) -> bool:
    """Whether text begins with a name: capitalised, also after "The", and no common word for all that."""
    words = text.removeprefix("The ").split()
    return bool(words) and words[0][0].isupper() and words[0].strip(".,!?'’").lower() not in _NOT_NAMES


def checked_text(field: str, text: str, longest: int, *, required: bool = False, lines: bool = False) -> str:
    """`text` in NFC, every run of blanks one space and none around it; with `lines`, line by line.

    Raises:
        InvalidField: REQUIRED, TOO_LONG (`longest` characters), or MALFORMED for control characters and
            for towers of combining marks.
    """
    limit = f"{1 if required else 0} to {longest} characters"
    # Before NFC: the time that it takes to sort marks grows with the square of their number.
    _require_short(field, text, longest, limit)
    if any(marks and len(list(run)) > MOST_MARKS for marks, run in groupby(text, _is_mark)):
        raise InvalidField(
            "MALFORMED",
            field,
            f"{field} holds a tower of combining marks",
            limit=f"at most {MOST_MARKS} combining marks in a row",
        )
    clean = unicodedata.normalize("NFC", text)
    kept = clean.splitlines() if lines else [clean]
    clean = "\n".join(" ".join(line.split()) for line in kept).strip()
    _require_short(field, clean, longest, limit)  # NFC may lengthen
    if required and not clean:
        raise InvalidField("REQUIRED", field, f"{field} is empty", limit=limit)
    if any(unicodedata.category(c) == "Cc" and c != "\n" for c in clean):
        raise InvalidField(
            "MALFORMED", field, f"{field} holds control characters", limit="no control characters"
        )
    return clean


def _require_short(field: str, text: str, longest: int, limit: str) -> None:
    if len(text) > longest:
        raise InvalidField("TOO_LONG", field, f"{field} has {len(text)} characters", limit=limit)


def _is_mark(character: str) -> bool:
    return unicodedata.combining(character) > 0


def review(prompt: str) -> tuple[Finding, ...]:
    """What there is to say about a checked prompt: refusals first, each rule once, then advice."""
    refusals = dict.fromkeys(r.finding.rule for r in _REFUSALS if r.applies(prompt))
    first = (next(r.finding for r in _REFUSALS if r.finding.rule == rule) for rule in refusals)
    return (*first, *(a.finding for a in _ADVICE if not a.pattern.search(prompt)))


def admit(prompt: str, field: str = "prompt") -> tuple[Finding, ...]:
    """The advice on a prompt that may be made.

    Raises:
        FailedPrecondition: PROMPT_REFUSED, with the rule's name in the metadata.
    """
    findings = review(prompt)
    if findings and findings[0].refuses:
        rule = findings[0]
        raise FailedPrecondition("PROMPT_REFUSED", rule.message, metadata={"field": field, "rule": rule.rule})
    return findings
