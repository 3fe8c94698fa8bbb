"""The plan of one song, drawn from its seed: who speaks, about what, in which words, under which hook.

Knows how a brief becomes a taste for some of the bank's words. Writes no lines.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.lyrics import pronunciation
from services.lyrics.builtin import theme as themes
from services.lyrics.builtin.bank import SLOT, Bank, Entry, Genre, Hook, Mood, RhymeKey, sound
from services.lyrics.builtin.theme import Theme
from services.lyrics.engine import RHYME_SCHEMES, Brief

_Drawn = TypeVar("_Drawn", Entry, Hook)

_PLAIN_GENRE = Genre(("plain",), 104.0, (7, 9), {"pop": 0.6, "soft": 0.2})
_PLAIN_MOOD = Mood(("plain",), 1.0, {}, "")
# Subjects that colour a song beside its theme's own.
_SUBJECTS = (
    "city", "night", "rain", "sea", "road", "home", "love", "sky", "cold", "summer", "nature", "memory",
    "morning",
)  # fmt: skip
# Tags that say who may use a phrase, not what it is about.
_GRAMMAR = frozenset(["you", "I", "we", "ask", "rap"])
# Instruments and manners of a genre: in another genre they have no place.
_STYLES = frozenset(
    ["jazz", "hiphop", "electronic", "rock", "metal", "folk", "country", "blues", "soul", "classical",
     "latin", "island", "pop", "soft"]
)  # fmt: skip
_SCHEME_WEIGHTS = (4, 4, 3, 0, 1)  # by RHYME_SCHEMES: nobody is given AAAA unasked
# A chorus that ends its first line on the theme needs as many other words that rhyme with it.
_MATES = 3


@dataclass(frozen=True)
class Speaker:
    """Who sings: how the slots {I}, {me}, ... are filled, and the tags that this speaker cannot say."""

    forms: Mapping[str, str]
    cannot: frozenset[str]

    def say(self, text: str) -> str:
        """Text with this speaker's forms in place; other slots stay."""
        return SLOT.sub(lambda slot: self.forms.get(slot[1], slot[0]), text)


I_SPEAK = Speaker(
    {"I": "I", "me": "me", "my": "my", "I'm": "I'm", "I've": "I've", "I'll": "I'll", "I'd": "I'd",
     "was": "was", "myself": "myself"},
    frozenset(["we"]),
)  # fmt: skip
# "We" leaves nobody to speak to, and what is tagged `I` is singular.
WE_SPEAK = Speaker(
    {"I": "we", "me": "us", "my": "our", "I'm": "we're", "I've": "we've", "I'll": "we'll", "I'd": "we'd",
     "was": "were", "myself": "ourselves"},
    frozenset(["you", "I"]),
)  # fmt: skip


@dataclass(frozen=True)
class Taste:
    """Which of the bank's tags a song wants, by weight, and which may not occur."""

    weights: Mapping[str, float]
    cannot: frozenset[str]
    rap: bool

    def liking(self, tags: frozenset[str]) -> float:
        """How well something with these tags suits: 0 not at all, 1 neutral, up to 10 wanted."""
        if tags & self.cannot or ("rap" in tags and not self.rap):
            return 0.0
        about = tags - _GRAMMAR
        if not about:
            return 1.0
        wanted = math.fsum(self.weights.get(tag, 0.0) for tag in about)  # the same in any order
        if wanted > 0:
            return 1.0 + 6.0 * min(wanted, 1.5)
        return 0.01 if about & _STYLES else 0.06


@dataclass(frozen=True)
class SongPlan:
    """Everything that is decided before the first line.

    `hook` is the first line of the chorus, or None when the chorus calls the theme by its name;
    `anchors` are the song's own words (place, object, scene, sound), which may come back;
    `schemes` by role of a section: v, p, c, b, o.
    """

    theme: Theme
    title: str
    hook: Hook | None
    tempo_bpm: float
    syllables: int
    speaker: Speaker
    taste: Taste
    anchors: frozenset[str]
    schemes: Mapping[str, str]


def draw(brief: Brief, words: Bank, rng: random.Random) -> SongPlan:
    """Draws the plan of a song. The brief's own tempo wins, then the theme's ("86 BPM"), then the genre's."""
    theme = themes.read(brief.theme, brief.genre, brief.mood, words)
    genre, mood = theme.genre or _PLAIN_GENRE, theme.mood or _PLAIN_MOOD
    alone = not {"my", "me", "i"}.isdisjoint(theme.phrase.lower().split())
    speaker = I_SPEAK if alone or rng.random() < 0.75 else WE_SPEAK
    kept_out = mood.avoids if mood.avoids and not (theme.heavy and mood.avoids == "dark") else ""
    taste = Taste(
        _weights(theme, genre, mood, words, rng),
        speaker.cannot | ({kept_out} if kept_out else frozenset()),
        rap="rap" in genre.tags,
    )
    hook = _hook(theme, taste, words, rng)
    return SongPlan(
        theme=theme,
        title=_title(theme.phrase if hook is None or "{theme}" in hook.text else speaker.say(hook.text)),
        hook=hook,
        tempo_bpm=brief.tempo_bpm or theme.tempo_bpm or round(genre.tempo_bpm * mood.tempo_factor),
        syllables=rng.randint(*genre.syllables),
        speaker=speaker,
        taste=taste,
        anchors=frozenset(
            _choose(words.fillers[kind], taste, rng).text for kind in ("place", "thing", "scene", "sound")
        ),
        schemes={
            role: brief.rhyme_scheme or rng.choices(RHYME_SCHEMES, _SCHEME_WEIGHTS)[0] for role in "vpcbo"
        },
    )


def _weights(theme: Theme, genre: Genre, mood: Mood, words: Bank, rng: random.Random) -> dict[str, float]:
    weights = {tag: genre.tags[tag] if tag in _STYLES else 0.4 * genre.tags[tag] for tag in genre.tags}
    for tag, weight in mood.tags.items():
        weights[tag] = max(weights.get(tag, 0.0), 0.5 * weight)
    about = [tag for keyword in theme.keywords for tag in sorted(words.keywords[keyword].tags)]
    for tag in about:
        weights[tag] = min(1.5, weights.get(tag, 0.0) + 0.8)
    # Seeds of one theme differ in their images: one more subject, two when the theme gave none.
    for subject in rng.sample(_SUBJECTS, 1 if about else 2):
        weights[subject] = max(weights.get(subject, 0.0), 0.35 if about else 0.8)
    return weights


def _hook(theme: Theme, taste: Taste, words: Bank, rng: random.Random) -> Hook | None:
    """The chorus's first line: around the theme where that can be sung and rhymed, else from the bank."""
    if theme.phrase:
        named = [
            hook
            for hook in words.hooks
            if "{theme}" in hook.text
            and not (theme.heavy and "bright" in hook.tags)
            and taste.liking(hook.tags)
        ]
        word, key, onset = sound(theme.phrase)
        rhymes = pronunciation.has_one_rhyme(word) and _mates(key, onset, taste, words)
        if rhymes and (not theme.call or rng.random() < 0.5):
            return rng.choice(named)
        if theme.call:
            return None
    plain = [h for h in words.hooks if "{theme}" not in h.text and _mates(h.key, h.onset, taste, words)]
    return _choose(plain, taste, rng)


def _mates(key: RhymeKey, onset: RhymeKey, taste: Taste, words: Bank) -> bool:
    """Whether the bank has enough words that rhyme with a line that is given."""
    onsets = {ending.onset for ending in words.endings.get(key, ()) if taste.liking(ending.tags) > 0}
    return len(onsets - {onset}) >= _MATES


def _choose(entries: Sequence[_Drawn], taste: Taste, rng: random.Random) -> _Drawn:
    return rng.choices(entries, [taste.liking(entry.tags) for entry in entries])[0]


def _title(phrase: str) -> str:
    """Title case: "Rain on a Tin Roof All Night"."""
    small = {"a", "an", "the", "of", "on", "in", "to", "at", "for", "and", "or", "by", "from", "with"}
    words = phrase.rstrip("?!.,").split()
    return " ".join(
        word if i and word in small else word[:1].upper() + word[1:] for i, word in enumerate(words)
    )
