"""What .dockerignore lets into a build: the last pattern that matches decides, as in Docker's own matcher.

Knows what our file uses: `*`, `**/`, `!`; a pattern that matches a folder is for all that is in it.
"""

import re
from pathlib import PurePosixPath


class Dockerignore:
    def __init__(self, text: str) -> None:
        lines = [line.strip() for line in text.splitlines()]
        rules = [line for line in lines if line and not line.startswith("#")]
        self._rules = [(_pattern(rule.removeprefix("!")), rule.startswith("!")) for rule in rules]

    def lets_in(self, path: str) -> bool:
        parts = PurePosixPath(path).parts
        folders = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        allowed = True
        for pattern, allows in self._rules:
            if any(pattern.fullmatch(folder) for folder in folders):
                allowed = allows
        return allowed


def _pattern(rule: str) -> re.Pattern[str]:
    anywhere = rule.startswith("**/")
    words = re.escape(rule.removeprefix("**/")).replace(r"\*", "[^/]*")
    return re.compile(("(?:.+/)?" if anywhere else "") + words)
