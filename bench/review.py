"""How long the review of a request takes, and the worst that a text within its limits can do to it.

`python -m bench.review [--rounds 3]`. Times are those of the thread, so that other work on the machine does
not count. Knows the labelled prompts of the tests; says nothing of what is found.
"""

import argparse
import random
import time
from pathlib import Path
from statistics import median

from services.gateway.review import read_prompt, review
from services.gateway.review.rules import Field, refusals

LABELLED = Path("tests/gateway/prompts.tsv")
CUES = (
    "sing like copy the voice of cover version kill all teach how to encourage people in style inspired by"
    " Drake 's Taylor Swift a song make white power child sex threaten my tell i will , ."
)
STUBBORN = (
    "in the voice of a ",
    "copy a b ",
    '"a ',
    "' ",
    "a-",
    "a.b.",
    "T a y l o r ",
    "x",
    "the ",
    "\u0301a",
)


def timed_ms(field: Field, text: str) -> float:
    began = time.thread_time()
    refusals(field, text)
    return (time.thread_time() - began) * 1e3


def hostile(length: int, texts: int) -> list[str]:
    """Texts of nothing but cues, each of a few of them, and such as make expressions backtrack."""
    choose, words = random.Random(5), CUES.split()
    made = []
    for _ in range(texts):
        few = choose.sample(words, choose.randint(1, 6))
        made.append(" ".join(choose.choice(few) for _ in range(length))[:length])
    return made + [(piece * length)[:length] for piece in STUBBORN]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    rows = [line.split("\t") for line in LABELLED.read_text("utf-8").splitlines() if line[0] != "#"]
    prompts = [text for _, field, _, text in rows if field == "prompt"]
    for name, judge in (("rules, advice, reading", review), ("the reading alone", read_prompt)):
        spent = []
        for _ in range(rounds):
            for prompt in prompts:
                began = time.thread_time()
                judge(prompt)
                spent.append((time.thread_time() - began) * 1e3)
        spent.sort()
        print(
            f"{name}: median {median(spent):.3f} ms, 99 of 100 within {spent[len(spent) * 99 // 100]:.3f} ms"
        )
    print(
        f"worst prompt of 1,000 characters: {max(timed_ms('prompt', t) for t in hostile(1000, 300)):.1f} ms"
    )
    print(f"worst lyrics of 20,000: {max(timed_ms('lyrics', t) for t in hostile(20_000, 60)):.1f} ms")
    verse = "the river runs beneath my broken heart tonight\n" * 500
    print(f"usual lyrics of 20,000: {median(timed_ms('lyrics', verse[:20_000]) for _ in range(9)):.1f} ms")


if __name__ == "__main__":
    main()
