"""The monitoring component as files: its rules, its dashboard, and the names in their queries and scalers'.

Knows nothing of kustomize. PromQL itself is Prometheus' to read; here it is only taken to pieces.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "deploy" / "k8s" / "components" / "monitoring"
AUTOSCALING = COMPONENT.with_name("autoscaling")
RUNBOOKS = ROOT / "docs" / "runbooks"
# Grafana's own, in queries that Prometheus shall read.
GRAFANA = {"$__rate_interval": "1m", "$__range": "5m", "$__interval": "15s"}

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r'([a-zA-Z_:][\w:]*)?\s*\{((?:[^{}"]|"(?:[^"\\]|\\.)*")*)\}')
_MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*(\"(?:[^\"\\]|\\.)*\")")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_NAME = re.compile(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan", "le"})


@dataclass(frozen=True)
class Matcher:
    """One condition of a selector, as `status=~"5.."`."""

    metric: str
    label: str
    operator: str
    value: str


@dataclass(frozen=True)
class Names:
    """What a query speaks of."""

    metrics: frozenset[str]
    matchers: frozenset[Matcher]
    # in by(...), on(...) and their like
    groupings: frozenset[str]


def names_in(query: str) -> Names:
    matchers = set()
    for selector in _SELECTOR.finditer(query):
        for label, operator, value in _MATCHER.findall(selector[2]):
            matchers.add(Matcher(selector[1] or "", label, operator, json.loads(value)))
    groupings = {
        label.strip() for inside in _GROUPING.findall(query) for label in inside.split(",") if label.strip()
    }
    bare = _GROUPING.sub(" ", _RANGE.sub(" ", _SELECTOR.sub(r"\1 ", _STRING.sub('""', query))))
    # a keyword before a parenthesis is no function, and `sum by (…) (…)` leaves its function bare
    functions = {"sum", "max", "min", "avg", "count", "topk", "histogram_quantile", "group"}
    metrics = {name for name in _NAME.findall(bare) if name.lower() not in _WORDS | functions}
    return Names(frozenset(metrics), frozenset(matchers), frozenset(groupings))


@cache
def groups_by_file() -> dict[str, list[dict[str, Any]]]:
    """Of every PrometheusRule, as Prometheus takes them."""
    manifests = {path.name: yaml.safe_load(path.read_text()) for path in sorted(COMPONENT.glob("*.yaml"))}
    return {name: m["spec"]["groups"] for name, m in manifests.items() if m["kind"] == "PrometheusRule"}


def groups() -> list[dict[str, Any]]:
    return [group for found in groups_by_file().values() for group in found]


def rules() -> list[dict[str, Any]]:
    return [rule for group in groups() for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def write_rules(path: Path) -> Path:
    path.write_text(yaml.safe_dump({"groups": groups()}, sort_keys=False))
    return path


@cache
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((COMPONENT / "dashboard.json").read_text())
    return found


def panels() -> Iterator[dict[str, Any]]:
    for panel in dashboard()["panels"]:
        yield panel
        yield from panel.get("panels", ())


@dataclass(frozen=True)
class Query:
    """One of a panel's, or of the dashboard's variables."""

    title: str
    text: str

    def asked(self, **variables: str) -> str:
        """As Grafana sends it."""
        text = self.text
        for name, value in (GRAFANA | {f"${name}": value for name, value in variables.items()}).items():
            text = text.replace(name, value)
        return text


def queries() -> list[Query]:
    return [
        Query(panel["title"], target["expr"]) for panel in panels() for target in panel.get("targets", ())
    ]


def scalers() -> list[Query]:
    """What KEDA asks."""
    manifests = [yaml.safe_load(path.read_text()) for path in sorted(AUTOSCALING.glob("*.yaml"))]
    return [
        Query(f"{manifest['metadata']['name']}, {trigger['name']}", trigger["metadata"]["query"])
        for manifest in manifests
        if manifest["kind"] == "ScaledObject"
        for trigger in manifest["spec"]["triggers"]
    ]
