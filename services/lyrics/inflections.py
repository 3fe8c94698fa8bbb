"""The forms of an English word: what else is the same word when a word is asked for or forbidden.

Knows regular forms and the commonest irregular verbs. Knows no meaning.
"""

from functools import cache, lru_cache

from services.lyrics import dictionary

_VERBS = """
be am is are was were been being | have has had having | do does did done doing | go goes went gone going
begin began begun | break broke broken | bring brought | build built | burn burnt | buy bought
catch caught | choose chose chosen | come came | cut | dream dreamt | drink drank drunk
drive drove driven | eat ate eaten | fall fell fallen | feel felt | fight fought | find found
fly flew flown | forget forgot forgotten | forgive forgave forgiven | freeze froze frozen
get got gotten | give gave given | grow grew grown | hear heard | hide hid hidden | hold held | keep kept
know knew known | leave left | lie lay lain | lose lost | make made | meet met | pay paid
ride rode ridden | ring rang rung | rise rose risen | run ran | say said | see saw seen | shine shone
sing sang sung | sink sank sunk | sleep slept | speak spoke spoken | stand stood | steal stole stolen
swear swore | sweep swept | swim swam swum | take took taken | teach taught | tear tore torn | tell told
think thought | throw threw thrown | wake woke woken | wear wore worn | weep wept | win won
write wrote written | child children | man men | woman women | foot feet
"""
_SHORT = ("s", "'s", "'", "d", "ly")  # after the whole word
_LONG = ("es", "ed", "ing", "in'", "in", "er", "est", "ers", "y")  # after its stem: "danc-ing", "hopp-ed"
_ENDINGS = _SHORT + _LONG


@lru_cache(maxsize=4096)
def forms(word: str) -> frozenset[str]:
    """Every form of a word (lower case), itself included: "dancing" gives "dance", "danced", "dancin'"."""
    found = set(_irregular().get(word, ())) | {word}
    for base in {word, *_bases(word)} | found:
        found |= {base} | _irregular().get(base, frozenset()) | _inflected(base)
    return frozenset(found)


def _bases(word: str) -> set[str]:
    """What a form may be a form of, as far as the dictionary has it."""
    possible = set()
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 2:
            possible |= {stem, stem + "e"}
            if stem[-1] == stem[-2]:
                possible.add(stem[:-1])
            if stem.endswith("i"):
                possible.add(stem[:-1] + "y")
    return {base for base in possible if dictionary.has(base) and word in _inflected(base)}


def _inflected(base: str) -> set[str]:
    stem = base
    if base.endswith("e"):
        stem = base[:-1]
    elif base.endswith("y") and len(base) > 2 and base[-2] not in "aeiou":
        stem = base[:-1] + "i"
    elif len(base) > 2 and base[-1] not in "aeiouwxy" and base[-2] in "aeiou" and base[-3] not in "aeiou":
        stem = base + base[-1]
    # "opened" as well as "stopped", "crying" as well as "cried"
    long = {part + ending for part in {stem, base} for ending in _LONG if not part.endswith("e")}
    return {base + ending for ending in _SHORT} | long


@cache
def _irregular() -> dict[str, frozenset[str]]:
    groups = [frozenset(group.split()) for group in _VERBS.replace("\n", "|").split("|") if group.strip()]
    return {word: group for group in groups for word in group}
