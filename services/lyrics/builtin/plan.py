"""The plan of one song, drawn from its seed: who speaks, about what, in which words, under which hook.

Knows how a brief becomes a taste for some of the bank's words. Writes no lines.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from services.lyrics import pronunciation
from services.lyrics.builtin import bank
from services.lyrics.builtin import theme as themes
from services.lyrics.builtin.avoided import Avoided
from services.lyrics.builtin.bank import SLOT, Bank, Entry, Genre, Hook, Mood, RhymeKey, sound
from services.lyrics.builtin.theme import Theme
from services.lyrics.engine import RHYME_SCHEMES, Brief
from services.lyrics.inflections import forms

_Drawn = TypeVar("_Drawn", Entry, Hook)

_PLAIN_GENRE = Genre(("plain",), 104.0, (7, 9), {"pop": 0.6, "soft": 0.2})
_PLAIN_MOOD = Mood(("plain",), 1.0, {}, "")
# Subjects that colour a song beside its theme's own.
_SUBJECTS = (
    "city", "night", "rain", "sea", "road", "home", "love", "sky", "cold", "summer", "nature", "memory",
    "morning",
)  # fmt: skip
# Tags that say who may use a phrase, not what it is about.
_GRAMMAR = frozenset(["you", "I", "we", "ask", "rap", "short"])
# Instruments and manners of a genre: in another genre they have no place.
_STYLES = frozenset(
    ["jazz", "hiphop", "electronic", "rock", "metal", "folk", "country", "blues", "soul", "classical",
     "latin", "island", "pop", "soft"]
)  # fmt: skip
# A song in one of the two has none of the other.
_OPPOSITES = (("cold", "summer"), ("night", "morning"))
_SCHEME_WEIGHTS = (4, 4, 3, 0, 1)  # by RHYME_SCHEMES: nobody is given AAAA unasked
_RAP_FROM, _SHORT_TO = 11, 5  # syllables from which, and up to which, lines have frames of their own
_STRAY = 0.02  # liking of what belongs to other subjects
_ADDRESSED, _ADDRESSED_LOVE = 0.45, 0.8  # songs that speak to somebody
_CALLS = 0.7  # songs that call a theme by its name where no hook can rhyme with it
_SINGLE = frozenset(["i", "me", "my", "mine", "i'm", "i've", "i'll", "i'd", "myself"])
_SEVERAL = frozenset(["we", "us", "our", "ours", "we're", "we've", "we'll", "ourselves"])
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
    short: bool = False

    def liking(self, tags: frozenset[str]) -> float:
        """How well something with these tags suits: 0 not at all, 1 neutral, up to 10 wanted."""
        if tags & self.cannot or ("rap" in tags and not self.rap) or ("short" in tags and not self.short):
            return 0.0
        about = tags - _GRAMMAR
        if not about:
            return 1.0
        wanted = math.fsum(self.weights.get(tag, 0.0) for tag in about)  # the same in any order
        if wanted > 0:
            return 1.0 + 6.0 * min(wanted, 1.5)
        return _STRAY / 4 if about & _STYLES else _STRAY


@dataclass(frozen=True)
class SongPlan:
    """Everything that is decided before the first line.

    `hook` is the first line of the chorus; None when the chorus calls the theme by its name (`calls`) or no
    hook suits. `anchors` are the song's own words (place, object, scene, sound), which may come back;
    `own` the theme's words in all their forms; `schemes` by role of a section: v, p, c, b, o.
    A line sings about `syllables`, and never fewer than `least` or more than `most`.
    """

    theme: Theme
    hook: Hook | None
    calls: bool
    tempo_bpm: float
    syllables: int
    least: int
    most: int
    speaker: Speaker
    taste: Taste
    anchors: frozenset[str]
    own: frozenset[str]
    avoided: Avoided
    schemes: Mapping[str, str]
    share: int

    @property
    def title(self) -> str:
        """Hook or theme in title case; "" where neither stands in the song."""
        if self.hook is not None and "{theme}" not in self.hook.text:
            return title_case(self.speaker.say(self.hook.text))
        return title_case(self.theme.phrase) if self.hook or self.calls else ""

    def is_own(self, text: str) -> bool:
        """Whether a piece says a word of the theme."""
        return not self.own.isdisjoint(bank.spoken(text))

    @property
    def hook_text(self) -> str:
        """The hook as it is sung: one that is too short for the meter is said twice, or begins with "Oh"."""
        assert self.hook is not None
        return _sung(self.hook, self.theme, self.speaker, self.syllables)


def draw(brief: Brief, words: Bank, rng: random.Random) -> SongPlan:
    """Draws the plan of a song. The brief's own tempo wins, then the theme's ("86 BPM"), then the genre's."""
    avoided = Avoided(brief.avoided_words)
    theme = themes.read(brief.theme, brief.genre, brief.mood, words)
    if avoided.in_text(theme.phrase):
        theme = replace(theme, phrase="", call="")
    genre, mood = theme.genre or _PLAIN_GENRE, theme.mood or _PLAIN_MOOD
    own_words = {word for text in (theme.phrase, *brief.required_words) for word in text.lower().split()}
    single, several = not own_words.isdisjoint(_SINGLE), not own_words.isdisjoint(_SEVERAL)
    speaker = WE_SPEAK if several and not single else I_SPEAK
    if not single and not several and rng.random() > 0.75:
        speaker = WE_SPEAK
    kept_out = mood.avoids if mood.avoids and not (theme.heavy and mood.avoids == "dark") else ""
    weights = _weights(theme, genre, mood, words, rng)
    cannot = speaker.cannot | _opposed(weights, rng) | ({kept_out} if kept_out else frozenset())
    least, most = brief.syllables or (1, 40)
    syllables = _syllables(genre, least, most, rng)
    taste = Taste(weights, frozenset(cannot), rap=syllables >= _RAP_FROM, short=syllables <= _SHORT_TO)
    if not taste.cannot >= {"you"} and rng.random() > (
        _ADDRESSED_LOVE if {"love", "loss"} & weights.keys() else _ADDRESSED
    ):
        # A song that speaks to nobody: who "you" is would change from line to line.
        taste = replace(taste, cannot=taste.cannot | {"you"})
    hook, calls = _hook(theme, taste, speaker, (syllables, least, most), avoided, words, rng)
    if calls:
        # "You" is the theme then, and nobody else.
        taste = replace(taste, cannot=taste.cannot | {"you"})
    plain = bank.words_of("function") | bank.words_of("order")
    said = [word for word in pronunciation.words(theme.phrase) if word not in plain]
    return SongPlan(
        theme=theme,
        hook=hook,
        calls=calls,
        tempo_bpm=brief.tempo_bpm or theme.tempo_bpm or round(genre.tempo_bpm * mood.tempo_factor),
        syllables=syllables,
        least=least,
        most=most,
        speaker=speaker,
        taste=taste,
        anchors=frozenset(
            _choose(words.fillers[kind], taste, rng).text for kind in ("place", "thing", "scene", "sound")
        ),
        own=frozenset(form for word in (*said, *theme.keywords) for form in forms(word)),
        avoided=avoided,
        schemes={role: rng.choices(RHYME_SCHEMES, _SCHEME_WEIGHTS)[0] for role in "vpcbo"},
        share=bank.code(f"share {brief.seed}"),
    )


def _syllables(genre: Genre, least: int, most: int, rng: random.Random) -> int:
    """A meter within the genre's range and the one asked for; where they are apart, the one asked for."""
    low, high = max(genre.syllables[0], least), min(genre.syllables[1], most)
    if low > high:
        low = high = min(max(genre.syllables[0], least), most)
    drawn = rng.randint(low, high)
    # Room on both sides where the range leaves it.
    return min(max(drawn, least + 1), most - 1) if most - least >= 2 else drawn


def _opposed(weights: Mapping[str, float], rng: random.Random) -> frozenset[str]:
    """What does not go with the song's season and time of day; a song without a season is given one."""
    out = set()
    for one, other in _OPPOSITES:
        a, b = weights.get(one, 0.0), weights.get(other, 0.0)
        if a != b:
            out.add(other if a > b else one)
        elif not a and one == "cold":
            out.add(rng.choice((one, other)))
    return frozenset(out)


def _weights(theme: Theme, genre: Genre, mood: Mood, words: Bank, rng: random.Random) -> dict[str, float]:
    weights = {tag: genre.tags[tag] if tag in _STYLES else 0.4 * genre.tags[tag] for tag in genre.tags}
    for tag, weight in mood.tags.items():
        weights[tag] = max(weights.get(tag, 0.0), 0.5 * weight)
    about = [tag for keyword in theme.keywords for tag in sorted(words.keywords[keyword].tags)]
    for tag in about:
        weights[tag] = min(1.5, weights.get(tag, 0.0) + 0.8)
    # Seeds of one theme differ in their images: one more subject, two when the theme gave none.
    for subject in rng.sample(_SUBJECTS, 1 if about else 2):
        weights[subject] = max(weights.get(subject, 0.0), 0.45 if about else 0.8)
    return weights


def _hook(
    theme: Theme,
    taste: Taste,
    speaker: Speaker,
    meter: tuple[int, int, int],
    avoided: Avoided,
    words: Bank,
    rng: random.Random,
) -> tuple[Hook | None, bool]:
    """The chorus's first line, around the theme where that can be sung and rhymed, else from the bank; and
    whether the chorus calls the theme by its name instead. `meter`: syllables, least, most."""

    def fits(hook: Hook) -> bool:
        text = _sung(hook, theme, speaker, meter[0])
        return (
            taste.liking(hook.tags) > 0
            and meter[1] <= pronunciation.syllables(text) <= meter[2]
            and not avoided.in_text(text)
        )

    if theme.phrase:
        named = [
            hook
            for hook in words.hooks
            if "{theme}" in hook.text and not (theme.heavy and "bright" in hook.tags) and fits(hook)
        ]
        word, key, onset = sound(theme.phrase)
        rhymes = named and pronunciation.has_one_rhyme(word) and _mates(key, onset, taste, words)
        callable_ = bool(theme.call) and pronunciation.syllables(theme.call) + 3 <= meter[2]
        if rhymes and (not callable_ or rng.random() < 0.5):
            return _choose(named, taste, rng), False
        if callable_ and rng.random() < _CALLS:
            return None, True
    plain = [
        hook
        for hook in words.hooks
        if "{theme}" not in hook.text and _mates(hook.key, hook.onset, taste, words) and fits(hook)
    ]
    return (_choose(plain, taste, rng), False) if plain else (None, False)


def _sung(hook: Hook, theme: Theme, speaker: Speaker, syllables: int) -> str:
    text = speaker.say(hook.text.replace("{theme}", theme.phrase))
    own = pronunciation.syllables(text)
    missing = syllables - own
    again = text if text.startswith("I ") or text.startswith("I'") else text[:1].lower() + text[1:]
    if missing >= own - 1:
        return f"{text}, {again}"
    if missing >= 2:
        return f"Oh, {again}" if missing == 2 else f"Oh, oh, {again}"
    return text


def _mates(key: RhymeKey, onset: RhymeKey, taste: Taste, words: Bank) -> bool:
    """Whether the bank has enough words that rhyme with a line that is given."""
    onsets = {ending.onset for ending in words.endings.get(key, ()) if taste.liking(ending.tags) > 0}
    return len(onsets - {onset}) >= _MATES


def _choose(entries: Sequence[_Drawn], taste: Taste, rng: random.Random) -> _Drawn:
    return rng.choices(entries, [taste.liking(entry.tags) for entry in entries])[0]


def title_case(phrase: str) -> str:
    """Title case: "Rain on a Tin Roof All Night"."""
    small = {"a", "an", "the", "of", "on", "in", "to", "at", "for", "and", "or", "by", "from", "with"}
    words = phrase.rstrip("?!.,").split()
    return " ".join(
        word if i and word in small else word[:1].upper() + word[1:] for i, word in enumerate(words)
    )
