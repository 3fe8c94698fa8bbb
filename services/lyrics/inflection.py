"""Which words are forms of one another: "love", "loves", "loving"; "go", "went".

Knows English inflection by rule, checked against the pronouncing dictionary, and the irregular words
that songs use. Knows nothing of meaning: "lover" counts as a form of "love".
"""

from collections.abc import Iterable
from functools import lru_cache

from services.lyrics import pronunciation

_MIN_STEM = 3  # "ring" is no form of "r"
# Base and its irregular forms, one word a line.
_IRREGULAR = """
be am is are was were been being I'm you're we're they're it's he's she's
have has had having I've you've we've they've
do does did done
go goes went gone
begin began begun
blow blew blown
break broke broken
bring brought
build built
burn burnt
buy bought
catch caught
choose chose chosen
come came
cry cries cried
cut cutting
dig dug
draw drew drawn
dream dreamt
drink drank drunk
drive drove driven
eat ate eaten
fall fell fallen
feel felt
fight fought
find found
fly flew flown
forget forgot forgotten
forgive forgave forgiven
freeze froze frozen
get got gotten
give gave given
grow grew grown
hang hung
hear heard
hide hid hidden
hold held
keep kept
kneel knelt
know knew known
lead led
leave left
lie lay lain lying
light lit
lose lost
make made
mean meant
meet met
pay paid
ride rode ridden
ring rang rung
rise rose risen
run ran
say said
see saw seen
sell sold
send sent
shake shook shaken
shine shone
sing sang sung
sink sank sunk
sit sat
sleep slept
speak spoke spoken
spend spent
stand stood
steal stole stolen
swear swore sworn
sweep swept
swim swam swum
swing swung
take took taken
teach taught
tear tore torn
tell told
think thought
throw threw thrown
understand understood
wake woke woken
wear wore worn
weep wept
win won
write wrote written
child children
man men
woman women
foot feet
tooth teeth
mouse mice
goose geese
wolf wolves
leaf leaves
knife knives
wife wives
life lives
thief thieves
good better best
bad worse worst
far farther further
die dying
I me my mine myself
we us our ours ourselves
"""
_BASES: dict[str, set[str]] = {}
for _line in _IRREGULAR.split("\n"):
    _base, *_forms = _line.lower().split() or [""]
    for _form in _forms:
        _BASES.setdefault(_form, set()).add(_base)
# Ending of a form, and what stood in its place.
_ENDINGS = (
    ("'s", ""), ("s'", "s"), ("s", ""), ("es", ""), ("ies", "y"), ("ed", ""), ("ed", "e"), ("ied", "y"),
    ("ing", ""), ("ing", "e"), ("in'", ""), ("in'", "e"), ("er", ""), ("er", "e"), ("ier", "y"),
    ("est", ""), ("est", "e"), ("iest", "y"), ("ers", ""), ("ers", "e"), ("'d", ""), ("'ll", ""),
)  # fmt: skip


@lru_cache(maxsize=16_384)
def bases(word: str) -> frozenset[str]:
    """The word (lower case) and every word that it may be a form of."""
    found = {word} | _BASES.get(word, set())
    for ending, stood in _ENDINGS:
        if not word.endswith(ending) or len(word) - len(ending) + len(stood) < _MIN_STEM:
            continue
        stem = word[: -len(ending)] + stood
        doubled = len(stem) > _MIN_STEM and stem[-1] == stem[-2] and stem[-1] not in "aeiouls"
        for base in (stem, stem[:-1]) if doubled and not stood else (stem,):
            if pronunciation.is_known(base):
                found |= {base} | _BASES.get(base, set())
    return frozenset(found)


class Forms:
    """Words and phrases to look for in all their forms."""

    def __init__(self, phrases: Iterable[str]) -> None:
        wanted = [tuple(bases(word) for word in pronunciation.words(phrase)) for phrase in phrases]
        self._words = frozenset(base for first, *rest in filter(None, wanted) if not rest for base in first)
        self._phrases = [phrase for phrase in wanted if len(phrase) > 1]

    def __bool__(self) -> bool:
        return bool(self._words or self._phrases)

    def in_text(self, text: str) -> bool:
        """Whether the text says one of them."""
        if not self:
            return False
        said = [bases(word) for word in pronunciation.words(text)]
        if any(not self._words.isdisjoint(word) for word in said):
            return True
        return any(
            all(a & b for a, b in zip(said[i : i + len(phrase)], phrase, strict=True))
            for phrase in self._phrases
            for i in range(len(said) - len(phrase) + 1)
        )
