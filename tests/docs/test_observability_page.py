"""The page of metrics names what the code registers, with its type and labels, and nothing else."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from services.gateway.work.attempt import Outcome

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "observability.md"


def modules_with_metrics() -> list[str]:
    """By what they import: loading every module would load the models' frameworks."""
    found = []
    for path in sorted((ROOT / "services").rglob("*.py")):
        if "prometheus_client" not in (text := path.read_text()):
            continue
        imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
        names = {n.name for node in imports if node.module == "prometheus_client" for n in node.names}
        if names & {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}:
            found.append(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


@cache
def registered() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Type and labels, by name."""
    for module in modules_with_metrics():
        importlib.import_module(module)
    metrics = [m for m in REGISTRY._collector_to_names if isinstance(m, MetricWrapperBase)]
    return {
        m._name + ("_total" if m._type == "counter" else ""): (str(m._type), tuple(m._labelnames))
        for m in metrics
        if m._name.startswith("acesteps_")
    }


def told() -> dict[str, tuple[str, tuple[str, ...]]]:
    rows = re.findall(r"^\| `(acesteps_\w+)` \| (\w+) \| (.*?) ?\| ", PAGE.read_text(), re.MULTILINE)
    return {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_the_tables_are_what_the_code_registers() -> None:
    assert told() == registered()


def test_every_outcome_of_an_attempt_is_explained() -> None:
    (row,) = re.findall(r"^\| `acesteps_gateway_attempts_total` .*$", PAGE.read_text(), re.MULTILINE)
    assert {f"`{outcome}`" for outcome in Outcome} - set(re.findall(r"`\w+`", row)) == set()


def test_names_are_as_prometheus_wants_them() -> None:
    for name, (kind, labels) in registered().items():
        assert re.fullmatch(r"acesteps(_[a-z]+)+", name), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", name), name
        assert not {"song", "song_id", "account", "path", "trace_id", "prompt"} & set(labels), name


def test_every_metric_that_the_page_speaks_of_exists() -> None:
    names = set(re.findall(r"acesteps_\w+[a-z]", PAGE.read_text()))
    series = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    assert [name for name in series if not any(metric.startswith(name) for metric in registered())] == []
