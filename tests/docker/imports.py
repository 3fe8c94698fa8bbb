"""What a service's modules import, read from their source: nothing is run.

Knows which imports wait in a function until an engine is opened whose packages are not there.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from deploy.docker.images import ROOT, Image

ENGINES_WITH_TORCH = ("services.lyrics.llama", "services.music.acestep", "services.music.conformance")


def imported(image: Image) -> set[str]:
    """Every module outside of `services` that something in the image may import; generated ones included."""
    todo = [
        _module(path)
        for path in (ROOT / "services" / image.service).rglob("*.py")
        if image.has_torch or not _needs_torch(_module(path))
    ]
    seen, outside = set(todo), set[str]()
    while todo:
        for name, waits in _imports(todo.pop()):
            if not name.startswith("services"):
                outside.add(name)
            elif not (waits and _needs_torch(name) and not image.has_torch):
                module = name if _file(name) else name.rpartition(".")[0]
                if module not in seen and _file(module):
                    seen.add(module)
                    todo.append(module)
    return outside


def _needs_torch(module: str) -> bool:
    return module.startswith(ENGINES_WITH_TORCH)


@cache
def _imports(module: str) -> tuple[tuple[str, bool], ...]:
    file = _file(module)
    assert file is not None, module
    return tuple(_found(ast.parse(file.read_text()), False))


def _found(node: ast.AST, waits: bool) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.Import):
        yield from ((alias.name, waits) for alias in node.names)
    if isinstance(node, ast.ImportFrom) and node.module:
        yield from ((f"{node.module}.{alias.name}", waits) for alias in node.names)
    waits = waits or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    for child in ast.iter_child_nodes(node):
        yield from _found(child, waits)


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _file(module: str) -> Path | None:
    path = ROOT / Path(*module.split("."))
    found = [path / "__init__.py", path.with_suffix(".py")]
    return next((file for file in found if file.is_file()), None)
