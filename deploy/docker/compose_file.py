"""Reads the compose files as compose does: variables, merge keys, one file on top of another, order.

Knows what our files use of the specification, and no more.
"""

import re
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def load(variables: Mapping[str, str], *files: Path) -> dict[str, Any]:
    """The files merged, with `${NAME:-default}` replaced."""
    merged: dict[str, Any] = {}
    for file in files:
        merged = _merge(merged, yaml.safe_load(file.read_text()))
    filled = _fill(merged, variables)
    assert isinstance(filled, dict)
    return filled


def in_order(services: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each service after those that it depends on."""
    for name in TopologicalSorter({n: s.get("depends_on", {}) for n, s in services.items()}).static_order():
        yield name, services[name]


def _fill(value: Any, variables: Mapping[str, str]) -> Any:
    """After reading, as compose does: what is filled in stays text."""
    if isinstance(value, dict):
        return {key: _fill(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, variables) for item in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: variables.get(found[1]) or found[2], value)
    return value


def _merge(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{key: _merge(below.get(key), value) for key, value in above.items()}}
    if isinstance(below, list) and isinstance(above, list):
        return [*below, *above]
    return below if above is None else above
