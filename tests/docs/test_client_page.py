"""What docs/client.md and the READMEs show of the client can be typed as it is."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from acesteps import AsyncClient
from acesteps.cli.command import AWAY, INTERRUPTED, NOT_ALLOWED, NOT_FOUND, REFUSED, SONG_FAILED, WRONG
from acesteps.cli.parser import EPILOG, build_parser

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "client.md"
PAGES = (GUIDE, ROOT / "README.md", ROOT / "clients" / "python" / "README.md")
STATUSES = {0, REFUSED, WRONG, NOT_FOUND, NOT_ALLOWED, SONG_FAILED, AWAY, INTERRUPTED}


def commands() -> list[str]:
    lines = [line for page in PAGES for line in page.read_text("utf-8").splitlines()]
    found = (re.match(r"(?:\S+ -m )?acesteps (.+)", line) for line in lines)
    return [match[1].partition(" > ")[0] for match in found if match]


@pytest.mark.parametrize("line", commands())
def test_every_command_shown_is_one(line: str) -> None:
    asked = build_parser().parse_args(shlex.split(line, comments=True))
    assert callable(asked.run)


def test_every_command_is_shown_and_so_is_every_method() -> None:
    guide = GUIDE.read_text("utf-8")
    (choices,) = (action.choices for action in build_parser()._actions if action.dest == "command")
    assert [name for name in choices or () if not re.search(rf"\b{name}\b", guide)] == []
    methods = [name for name in dir(AsyncClient) if not name.startswith("_") and name != "close"]
    assert [name for name in methods if f"`{name}`" not in guide] == []


def test_the_exit_statuses_are_what_help_and_guide_say() -> None:
    told = dict(re.findall(r"^  (\d+) +(.+)$", EPILOG, re.M))
    shown = dict(re.findall(r"^\| (\d+) \| (.+) \|$", GUIDE.read_text("utf-8"), re.M))
    assert told == shown
    assert {int(number) for number in told} == STATUSES


def test_the_python_that_is_shown_has_the_right_types(tmp_path: Path) -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    blocks = re.findall(r"```python\n(.+?)```", text, re.S)
    assert len(blocks) >= 4
    for number, block in enumerate(blocks):
        (tmp_path / f"block_{number}.py").write_text(block, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "."]
    paths = os.pathsep.join(str(ROOT / path) for path in ("clients/python/src", "build/gen"))
    environment = os.environ | {"MYPYPATH": paths}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
