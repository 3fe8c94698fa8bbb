"""What an image runs and sets, read from the Dockerfile that builds it.

Knows FROM, ENV, ENTRYPOINT and CMD in the form that deploy/docker writes them; builds nothing.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Stage:
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def stages(text: str) -> dict[str, Stage]:
    """Every named stage, with what it takes over from the stage it is built on."""
    found: dict[str, Stage] = {}
    name = ""
    for instruction, rest in _instructions(text):
        if instruction == "FROM":
            words = rest.split()
            name = words[-1] if "AS" in map(str.upper, words) else ""
            base = next(word for word in words if not word.startswith("--"))
            found[name] = found.get(base, Stage())
        elif name not in found:
            continue  # before the first FROM
        elif instruction == "ENV":
            pairs = dict(word.split("=", 1) for word in shlex.split(rest) if "=" in word)
            found[name] = replace(found[name], environment={**found[name].environment, **pairs})
        elif instruction == "ENTRYPOINT":
            found[name] = replace(found[name], entrypoint=tuple(json.loads(rest)), command=())
        elif instruction == "CMD":
            found[name] = replace(found[name], command=tuple(json.loads(rest)))
    return found


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    words = (line.split(maxsplit=1) for line in joined.splitlines())
    return [(parts[0].upper(), parts[1].strip()) for parts in words if len(parts) == 2]
