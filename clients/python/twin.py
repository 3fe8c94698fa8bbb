"""Writes the synchronous client from the asynchronous one: `python clients/python/twin.py`.

The two differ in words only, and these are all of them. `--check` writes nothing and says what is not so.
"""

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "src" / "acesteps"
SOURCE, TWIN = PACKAGE / "aio", PACKAGE / "sync"

WORDS = (
    (
        r'"""The asynchronous client\. Its.*"""',
        '"""The synchronous client. Made by clients/python/twin.py: change `aio`."""',
    ),
    ("from contextlib import aclosing", "from contextlib import closing"),
    (r"\baclosing\(", "closing("),
    (r"\bAsyncGenerator\[(.+?), None\]", r"Generator[\1, None, None]"),
    (r"\b(\w+Service)AsyncStub\b", r"\1Stub"),
    (r"\bAsync([A-Z])", r"\1"),
    (r"\bacesteps\.aio\b", "acesteps.sync"),
    (r"\bgrpc\.aio\.", "grpc."),
    (r"\baio_channel\b", "channel"),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\basync ", ""),
    (r"\bawait ", ""),
    (r"\basyncio\b", "time"),
    (r"\basynchronous\b", "synchronous"),
    ("number of tasks", "number of threads"),
)


def twin_of(source: str) -> str:
    for word, other in WORDS:
        source = re.sub(word, other, source)
    for command in (("check", "--fix-only", "--unsafe-fixes", "--select", "I,UP028"), ("format",)):
        source = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--quiet", f"--stdin-filename={TWIN / 'twin.py'}", "-"],
            input=source, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    return source


def main(arguments: list[str]) -> int:
    TWIN.mkdir(exist_ok=True)
    stale = []
    for source in sorted(SOURCE.glob("*.py")):
        twin, text = TWIN / source.name, twin_of(source.read_text(encoding="utf-8"))
        if not twin.is_file() or twin.read_text(encoding="utf-8") != text:
            stale.append(twin.name)
            if "--check" not in arguments:
                twin.write_text(text, encoding="utf-8")
    if stale and "--check" in arguments:
        print(f"not the twins of aio: {', '.join(stale)}; run {Path(__file__).name}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
