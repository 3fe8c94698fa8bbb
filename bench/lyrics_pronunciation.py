"""How often the guess of an unknown word agrees with the dictionary, on words held out of it.

`python -m bench.lyrics_pronunciation [--words 3000]`. A guess never looks up the word itself, so every word
of the dictionary can be asked as if it were not there. Knows no song: the words are drawn evenly from the
dictionary, where about half are surnames.
"""

import argparse
import random
import time

from services.lyrics import dictionary, pronunciation
from services.lyrics.guessing import guess


def measure(words: list[str]) -> tuple[float, float, float, float]:
    """(shares with a guess, the same rhyme key, the same syllables; milliseconds per word)."""
    guessed = rhymed = counted = 0
    began = time.perf_counter()
    for word in words:
        found = guess(word)
        true = dictionary.read(word)
        guessed += bool(found)
        rhymed += bool({said.rhyme_key for said in found} & {said.rhyme_key for said in true})
        counted += bool(found) and found[0].syllables in {said.syllables for said in true}
    each_ms = (time.perf_counter() - began) / len(words) * 1e3
    return guessed / len(words), rhymed / len(words), counted / len(words), each_ms


def by_vowel_groups(words: list[str]) -> float:
    """The share of words whose syllables the plain rule of vowel groups counts right."""
    counts = [{said.syllables for said in dictionary.read(word)} for word in words]
    right = sum(pronunciation.vowel_groups(word) in said for word, said in zip(words, counts, strict=True))
    return right / len(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=3000)
    count = parser.parse_args().words
    dictionary.load()
    every = [word for word in dictionary.words() if word.isalpha() and len(word) > 3]
    drawn = random.Random(1).sample(every, count)
    # Words with an ending are what lyrics have beyond the dictionary; surnames they seldom have.
    inflected = [w for w in drawn if w.endswith(("s", "ed", "ing", "er", "ly", "ness")) or "'" in w]
    for name, words in (("drawn evenly", drawn), ("of them with a usual ending", inflected)):
        guessed, rhymed, counted, each_ms = measure(words)
        print(
            f"{name} ({len(words)}): guess {guessed:.1%}, rhyme key {rhymed:.1%}, syllables {counted:.1%} "
            f"(vowel groups alone {by_vowel_groups(words):.1%}), {each_ms:.3f} ms a word"
        )


if __name__ == "__main__":
    main()
