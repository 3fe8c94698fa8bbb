"""A test that the documentation names as proof exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PYTHON = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def named() -> list[tuple[str, str, str]]:
    pages = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    return [
        (str(page.relative_to(ROOT)), *found) for page in pages for found in _PYTHON.findall(page.read_text())
    ]


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, kinds) and n.name.startswith("test_"))


@pytest.mark.parametrize(("page", "path", "name"), named())
def test_every_test_that_a_page_names_exists(page: str, path: str, name: str) -> None:
    assert (ROOT / path).is_file(), f"{page} names {path}, which is not there"
    assert name in names_in(ROOT / path), f"{page} names {name}, which is not in {path}"


def test_the_threat_model_names_a_test_under_every_threat() -> None:
    page = (ROOT / "docs/security.md").read_text()
    sections = page.split("\n## ")[1:]
    assert len(sections) >= 10
    for section in sections:
        assert _PYTHON.search(section), f"no test under {section.splitlines()[0]!r}"
