"""Measures the built-in lyricist over many seeds: passed reviews, rhyme schemes, lines that come back, time.

`python -m bench.lyrics_builtin [SONGS] [--read N]` prints one number a line; `--read` prints N songs instead.
Knows the engine and the review; changes nothing.
"""

import argparse
import re
import time
from collections import Counter

from services.lyrics.builtin import bank, composer
from services.lyrics.document import LyricDocument, SectionTag, print_display
from services.lyrics.engine import Brief, Finished
from services.lyrics.pronunciation import load
from services.lyrics.review import review

THEMES = (
    "rainy Tokyo nights", "my grandmother's garden", "my startup is failing", "the first snow",
    "heavy metal dragons", "breakup by text message", "running a marathon", "the harbour at dawn", "coffee",
    "being seventeen", "the ocean at midnight", "heartbreak", "robots falling in love",
    "growing up in a small town", "New York City", "being stuck in traffic",
    "Christmas morning with my family", "losing my dog", "a road trip with friends", "the mountains",
    "dancing all night", "my father's old car", "forgiveness", "a letter never sent", "the last train home",
    "stars", "loneliness", "hope after the storm", "working the night shift", "summer in Lisbon",
    "a lighthouse", "learning to swim", "an empty theatre", "my daughter's first steps", "the city at 4 am",
    "baking bread", "moving out", "a broken guitar", "the war at home", "birds flying south",
)  # fmt: skip
GENRES = (
    "", "rock", "hip hop", "jazz hop", "country", "techno", "gospel", "lullaby", "reggae", "pop", "metal",
    "folk", "blues",
)  # fmt: skip
MOODS = ("", "sad", "happy", "dark", "epic", "nostalgic", "calm")
DURATIONS_S = (60.0, 120.0, 180.0)
_RETURNING = (SectionTag.CHORUS, SectionTag.HOOK)


# Articles, agreement, doubled words, open slots, and "I gave me".
_FAULTS = re.compile(
    r"\ba (?!one\b|once\b|uni|use|uku|eu)[aeiou]|\ban (?!hour|honest|heir)[bcdfghjklmnpqrstvwxz]"
    r"|\b(\w+) \1\b"
    # "the lantern and I are alone" is right
    r"|(?<!\band )\bI (?:is|are|were|has|does|goes)\b"
    r"|\bwe (?:is|am|was|has|does|goes)\b|\byou (?:is|am|was|has|does)\b"
    r"|\b(?:these|those|two|many|all the) (?:\w+ )?\w+[^s\W]s (?:is|was|has|does|goes)\b"
    r"|\b(?:a|an|every|each|this) (?:\w+[^s\Wu])s (?:are|were|have)\b"
    r"|\bI \w+ me\b|\bwe \w+ us\b|[{}<>\[\]]|  |^ | $| [,?]|,,",
    re.IGNORECASE,
)


def grammar_faults(document: LyricDocument) -> list[str]:
    """Lines, and the title, in which something is wrong that a pattern can see."""
    return [
        text for text in (*(line.text for line in document.lines), document.title) if _FAULTS.search(text)
    ]


def brief_of(seed: int) -> Brief:
    """The brief of a seed: themes, genres, moods and lengths in every combination."""
    return Brief(
        theme=THEMES[seed % len(THEMES)],
        seed=seed,
        duration_s=DURATIONS_S[seed % len(DURATIONS_S)],
        genre=GENRES[seed % len(GENRES)],
        mood=MOODS[seed % len(MOODS)],
    )


def write(brief: Brief) -> LyricDocument:
    """The song of a brief."""
    *_, last = composer.compose(brief)
    assert isinstance(last, Finished)
    return last.document


def measure(songs: int) -> dict[str, float]:
    """The numbers, by what they say."""
    load()
    bank.load()
    passed = rhymed = faults = 0
    times, verses = [], []
    others: Counter[str] = Counter()
    for seed in range(songs):
        brief = brief_of(seed)
        began = time.process_time()
        document = write(brief)
        times.append(time.process_time() - began)
        judged = review(document, brief.duration_s)
        passed += judged.passed
        rhymed += not any(finding.code.startswith("RHYME_") for finding in judged.findings)
        faults += len(grammar_faults(document))
        by_tag = [(s.tag, {line.text for line in s.lines}) for s in document.sections]
        verses.append({text for tag, texts in by_tag if tag is SectionTag.VERSE for text in texts})
        others.update({text for tag, texts in by_tag if tag not in _RETURNING for text in texts})
    said = Counter(text for lines in verses for text in lines)
    alone = sum(all(said[text] == 1 for text in lines) for lines in verses)
    times.sort()
    return {
        "pass the review's gates, %": 100 * passed / songs,
        "keep to their rhyme scheme, %": 100 * rhymed / songs,
        "share no verse line with another, %": 100 * alone / songs,
        "most songs with one line outside choruses, %": 100 * max(others.values()) / songs,
        "lines with a fault of grammar": faults,
        "verse lines a song": sum(map(len, verses)) / songs,
        "CPU time of a song, median, ms": 1000 * times[songs // 2],
        "CPU time of a song, slowest, ms": 1000 * times[-1],
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", type=int, nargs="?", default=1000)
    parser.add_argument("--read", type=int, default=0)
    parser.add_argument("--from", type=int, default=0, dest="first")
    options = parser.parse_args()
    for seed in range(options.first, options.first + options.read):
        brief = brief_of(seed)
        document = write(brief)
        print(f"===== {seed}: {brief.theme} / {brief.genre} / {brief.mood}: {document.title}")
        print(print_display(document.sections), end="\n\n")
    if not options.read:
        for name, value in measure(options.songs).items():
            print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
