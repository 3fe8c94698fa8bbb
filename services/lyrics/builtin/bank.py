"""The lyricist's words: frames, endings, fillers, hooks, genres, moods and subjects, read from `bank/`.

Knows the files' form and indexes endings by how they sound. Chooses nothing.
"""

import re
import tomllib
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from services.lyrics import pronunciation

_FOLDER = Path(__file__).parent / "bank"
_ENTRY = re.compile(r"^(?P<text>.*?)(?:\s*\[(?P<tags>[^\]]*)\])?$")
SLOT = re.compile(r"\{([\w']+)\}")

# Kinds of endings, and the slots that take them; a slot of "anyone" takes none that name the speaker,
# because its subject is somebody else ("you smiled and ___").
ENDINGS = frozenset(
    ["where", "inside", "way", "when", "ago", "ever", "how", "do", "be", "did", "done", "feel", "look",
     "what", "burden", "turn"]
)  # fmt: skip
SLOT_KINDS: Mapping[str, frozenset[str]] = {kind: frozenset([kind]) for kind in ENDINGS - {"do", "be"}} | {
    "do": frozenset(["do", "be"]),  # after "to"
    "act": frozenset(["do"]),  # in the present: "I close my eyes and ___"
    "deed": frozenset(["done"]),  # to the speaker only: "nobody else ever ___"
}
ANYONE_KINDS: Mapping[str, frozenset[str]] = {
    "do_any": frozenset(["do", "be"]),
    "manner": frozenset(["how"]),
    "done": frozenset(["did"]),
}
FILLERS = frozenset(
    ["thing", "adj", "things", "guides", "falls", "lamp", "sound", "scene", "place", "people", "someone",
     "hope", "ache", "noise", "flame", "ing", "going", "keep", "kept", "hour", "near", "event", "past",
     "scent"]
)  # fmt: skip
# Slots that follow the speaker.
SPEAKER = frozenset(["I", "me", "my", "I'm", "I've", "I'll", "I'd", "was", "myself"])

# A frame with one of these tells of the past; with one of the others it stands in no time.
_PAST = re.compile(
    r"\b(?:was|were|had|did|used|came|went|took|saw|heard|left|kept|met|found|lost|fell|wrote|spent|learned"
    r"|gave|ran|sent|threw|told|sang|knew|got|made|held|taught|bought|sold|stood|sat|burned|broke|closed"
    r"|dropped|passed|counted|walked|turned|followed|carried|chased|packed|watched|waited|buried|carved"
    r"|searched|traded|promised|wanted|asked|prayed|mistook|grew|dreamed|kissed|lit|shared|looked|smiled"
    r"|laughed|stopped|swore|crossed|wore|began|changed|built|named|drove|thought|said)\b|\{was\}|\{kept\}"
    r"|\{(?:ago|did|done|deed)\}$"
)
_TIMELESS = re.compile(r"\b(?:would|could|will|gonna)\b|\{I'(?:ll|d)\}|you'll|\{(?:do|do_any)\}$")

# What of a whole line tells who may say it: somebody with a "you", or a single speaker.
_WHOLE_LINE_TAGS: Mapping[str, re.Pattern[str]] = {
    "you": re.compile(r"\b(?:you|your|yours|you're|you've|you'll|you'd)\b", re.IGNORECASE),
    "I": re.compile(r"\{I'm\} (?:an? |the )|\{I\} \{was\} (?:an? |the )|\b(?:alone|mine|own)\b"),
}

RhymeKey = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A word or phrase with its tags."""

    text: str
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ending:
    """A phrase that completes a frame of its kind; `word` is its last word and carries the rhyme.

    With a `line` it is the last word of that line, which was written whole, and completes nothing else.
    """

    kind: str
    text: str
    tags: frozenset[str]
    word: str
    key: RhymeKey
    onset: RhymeKey
    other_keys: frozenset[RhymeKey]  # of the word's other pronunciations: "again" is said in two ways
    fits_anyone: bool  # of somebody who is neither the speaker nor the one spoken to
    line: "Frame | None" = None


@dataclass(frozen=True)
class Frame:
    """A line with slots, the last of which, `slot`, takes an ending; `fillers` are the others in order."""

    text: str
    roles: frozenset[str]
    tags: frozenset[str]
    slot: str
    fillers: tuple[str, ...]
    tense: str = ""  # "past", "present", or "" for a line that goes with both

    def takes(self, kind: str, fits_anyone: bool) -> bool:
        """Whether endings of a kind complete this frame grammatically."""
        return kind in SLOT_KINDS.get(self.slot, ()) or (
            fits_anyone and kind in ANYONE_KINDS.get(self.slot, ())
        )


@dataclass(frozen=True)
class Hook:
    """First line of a chorus, and the song's title; one with {theme} ends on the theme."""

    text: str
    tags: frozenset[str]
    word: str
    key: RhymeKey
    onset: RhymeKey


@dataclass(frozen=True)
class Genre:
    """What a genre asks for: beats per minute, syllables per line (from, to), weights of tags."""

    names: tuple[str, ...]
    tempo_bpm: float
    syllables: tuple[int, int]
    tags: Mapping[str, float]


@dataclass(frozen=True)
class Mood:
    """What a mood does: factor on the genre's tempo, weights of tags, the tag that it keeps out."""

    names: tuple[str, ...]
    tempo_factor: float
    tags: Mapping[str, float]
    avoids: str


@dataclass(frozen=True)
class Keyword:
    """A word of a theme: the subjects it calls up, and how it may be sung.

    `noun` is "count", "mass", "name", or "" for a word that is no noun.
    """

    tags: frozenset[str]
    noun: str


@dataclass(frozen=True)
class Bank:
    """Everything that the lyricist can say."""

    # By role, and the kind and `fits_anyone` of the endings that complete them.
    frames: Mapping[tuple[str, str, bool], tuple[Frame, ...]]
    endings: Mapping[RhymeKey, tuple[Ending, ...]]
    fillers: Mapping[str, tuple[Entry, ...]]
    hooks: tuple[Hook, ...]
    leads: tuple[Entry, ...]
    genres: tuple[Genre, ...]
    moods: tuple[Mood, ...]
    keywords: Mapping[str, Keyword]

    def singular(self, word: str) -> str:
        """The keyword that a word is the plural of, else the word."""
        return (
            word[:-1]
            if word.endswith("s") and word not in self.keywords and word[:-1] in self.keywords
            else word
        )


@cache
def load() -> Bank:
    """The bank, read once; raises ValueError naming the file and line that is not as it should be."""
    frames: dict[tuple[str, str, bool], list[Frame]] = defaultdict(list)
    for frame in _frames():
        for role, kind, fits_anyone in product(frame.roles, ENDINGS, (False, True)):
            if frame.takes(kind, fits_anyone):
                frames[role, kind, fits_anyone].append(frame)
    endings: dict[RhymeKey, list[Ending]] = defaultdict(list)
    for kind, entry in _kinds("endings.txt", ENDINGS):
        # "us" rhymes with other words than "me": what ends in {me} is for a single speaker.
        tags = entry.tags | {"I"} if entry.text.endswith("}") else entry.tags
        word, key, onset = sound(entry.text)
        other_keys = frozenset(p.rhyme_key for p in pronunciation.pronunciations(word)) - {key}
        of_anyone = "{" not in entry.text and "you" not in tags
        ending = Ending(kind, entry.text, tags, word, key, onset, other_keys, of_anyone)
        endings[ending.key].append(ending)
    for ending in _whole_lines():
        endings[ending.key].append(ending)
    fillers: dict[str, list[Entry]] = defaultdict(list)
    for kind, entry in _kinds("words.txt", FILLERS):
        fillers[kind].append(entry)
    return Bank(
        frames={use: tuple(found) for use, found in frames.items()},
        endings={key: tuple(found) for key, found in endings.items()},
        fillers={kind: tuple(found) for kind, found in fillers.items()},
        hooks=tuple(
            Hook(e.text, e.tags, *sound(e.text)) for _, line in _lines("hooks.txt") for e in _entries(line)
        ),
        leads=tuple(e for _, line in _lines("leads.txt") for e in _entries(line)),
        genres=tuple(
            Genre(tuple(g["names"]), float(g["tempo_bpm"]), (g["syllables"][0], g["syllables"][1]), g["tags"])
            for g in _toml("genres.toml")["genre"]
        ),
        moods=tuple(
            Mood(tuple(m["names"]), float(m["tempo_factor"]), m["tags"], m.get("avoids", ""))
            for m in _toml("moods.toml")["mood"]
        ),
        keywords=_keywords(),
    )


def sound(text: str) -> tuple[str, RhymeKey, RhymeKey]:
    """(last word, its rhyme key, its onset) of a phrase, by the usual pronunciation."""
    word = pronunciation.last_word(SLOT.sub(lambda slot: slot[1], text))
    usual = pronunciation.pronunciations(word)[0]
    return word, usual.rhyme_key, usual.onset


@lru_cache(maxsize=65_536)
def code(text: str) -> int:
    """A number for a piece of the bank, the same in every process."""
    return zlib.crc32(text.encode())


@lru_cache(maxsize=65_536)
def spoken(text: str) -> tuple[str, ...]:
    """The words of a piece of the bank that stand in it for every song."""
    return tuple(pronunciation.words(SLOT.sub(" ", text)))


def _frames() -> Iterator[Frame]:
    for number, line in _lines("frames.txt"):
        roles, _, rest = line.partition(":")
        for entry in _entries(rest, separator=None):
            slots = [slot for slot in SLOT.findall(entry.text) if slot not in SPEAKER | {"theme", "call"}]
            unknown = set(slots[:-1]) - FILLERS or set(slots[-1:]) - SLOT_KINDS.keys() - ANYONE_KINDS.keys()
            if unknown or not slots or not entry.text.endswith("{" + slots[-1] + "}"):
                raise ValueError(f"frames.txt:{number}: a frame has known slots and ends in an ending")
            yield Frame(
                entry.text,
                frozenset(roles.strip()),
                entry.tags,
                slots[-1],
                tuple(slots[:-1]),
                _tense(entry.text),
            )


def _whole_lines() -> Iterator[Ending]:
    """Lines of lines.txt, each as its last word and the frame that only this word completes."""
    for number, line in _lines("lines.txt"):
        roles, _, rest = line.partition(":")
        for entry in _entries(rest, separator=None):
            head, _, last = entry.text.rpartition(" ")
            fillers = [slot for slot in SLOT.findall(entry.text) if slot not in SPEAKER]
            if not head or "{" in last or set(fillers) - FILLERS:
                raise ValueError(f"lines.txt:{number}: a line has known slots and ends in a plain word")
            tags = entry.tags | _WHOLE_LINE_TAGS.keys() & {
                tag for tag, pattern in _WHOLE_LINE_TAGS.items() if pattern.search(entry.text)
            }
            frame = Frame(
                f"{head} {{line}}", frozenset(roles.strip()), tags, "line", tuple(fillers), _tense(entry.text)
            )
            word, key, onset = sound(last)
            other_keys = frozenset(p.rhyme_key for p in pronunciation.pronunciations(word)) - {key}
            yield Ending("line", last, tags, word, key, onset, other_keys, fits_anyone=False, line=frame)


def _tense(text: str) -> str:
    if _TIMELESS.search(text):
        return ""
    return "past" if _PAST.search(text) else "present"


def _kinds(name: str, kinds: frozenset[str]) -> Iterator[tuple[str, Entry]]:
    for number, line in _lines(name):
        kind, colon, rest = line.partition(":")
        if not colon or kind not in kinds:
            raise ValueError(f"{name}:{number}: {kind!r} is not one of {', '.join(sorted(kinds))}")
        for entry in _entries(rest):
            yield kind, entry


def _keywords() -> dict[str, Keyword]:
    marks = {"~": "mass", "*": "name", ".": ""}
    tags: dict[str, set[str]] = defaultdict(set)
    nouns: dict[str, str] = {}
    for _, line in _lines("topics.txt"):
        tag, _, rest = line.partition(":")
        for item in rest.split():
            word, noun = (item[:-1], marks[item[-1]]) if item[-1] in marks else (item, "count")
            tags[word].add(tag)
            nouns.setdefault(word, noun)
    return {word: Keyword(frozenset(found), nouns[word]) for word, found in tags.items()}


def words_of(kind: str) -> frozenset[str]:
    """One of the plain lists of word_lists.txt, in which "_" stands for a space."""
    return _word_lists()[kind]


@cache
def _word_lists() -> Mapping[str, frozenset[str]]:
    lists: dict[str, set[str]] = defaultdict(set)
    for _, line in _lines("word_lists.txt"):
        kind, _, rest = line.partition(":")
        lists[kind].update(word.replace("_", " ") for word in rest.split())
    return {kind: frozenset(found) for kind, found in lists.items()}


def _entries(text: str, separator: str | None = " / ") -> Iterator[Entry]:
    for item in text.split(separator) if separator else [text]:
        match = _ENTRY.match(item.strip())
        if match and match["text"]:
            yield Entry(match["text"], frozenset((match["tags"] or "").split()))


def _lines(name: str) -> Iterator[tuple[int, str]]:
    text = (_FOLDER / name).read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _toml(name: str) -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads((_FOLDER / name).read_text(encoding="utf-8"))
