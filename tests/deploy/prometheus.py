"""Debian's Prometheus over the local stack, and what a query's names are held against.

Knows Prometheus' HTTP API and where the stack's services serve their metrics.
"""

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.local.ports import LOOPBACK, free_ports
from tests.deploy.monitoring import Names, names_in, write_rules

START_PATIENCE_S = 20.0
NAMESPACE = "acesteps"


class BadQuery(Exception):
    """What Prometheus says of it."""


@dataclass(frozen=True)
class Known:
    """Metrics, their labels, and the labels' values, as a Prometheus has them."""

    labels: Mapping[str, Mapping[str, frozenset[str]]]

    def complaints(self, query: str) -> list[str]:
        """What the query speaks of that is not there."""
        names = names_in(query)
        return [*self._metrics(names), *self._matchers(names), *self._groupings(names)]

    def _metrics(self, names: Names) -> Iterator[str]:
        yield from (f"no metric {metric}" for metric in sorted(names.metrics) if metric not in self.labels)

    def _matchers(self, names: Names) -> Iterator[str]:
        for m in names.matchers:
            if (labels := self.labels.get(m.metric)) is None:
                continue
            if m.label not in labels:
                yield f"{m.metric} has no label {m.label}"
            elif m.operator == "=" and m.value not in labels[m.label]:
                yield f'{m.metric} has nothing with {m.label}="{m.value}"'

    def _groupings(self, names: Names) -> Iterator[str]:
        there = {label for metric in names.metrics for label in self.labels.get(metric, ())}
        if names.metrics & self.labels.keys():
            yield from (f"nothing has a label {label}" for label in sorted(names.groupings - there))


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: str) -> Any:
        """Raises BadQuery."""
        query = urllib.parse.urlencode({name.rstrip("_"): value for name, value in parameters.items()})
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{query}", timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise BadQuery(json.load(error)["error"]) from None

    def query(self, text: str) -> list[dict[str, Any]]:
        """The samples now."""
        found: list[dict[str, Any]] = self.ask("/api/v1/query", query=text)["result"]
        return found

    def known(self) -> Known:
        labels: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for series in self.ask("/api/v1/series", **{"match[]": '{__name__=~".+"}'}):
            for label, value in series.items():
                labels[series["__name__"]][label].add(value)
        return Known({m: {k: frozenset(v) for k, v in found.items()} for m, found in labels.items()})

    def wait_until_ready(self) -> None:
        until = time.monotonic() + START_PATIENCE_S
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/-/ready", timeout=1).close()
                return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)


@contextmanager
def prometheus(folder: Path, ports: Mapping[str, int]) -> Iterator[Prometheus]:
    """One that scrapes the services' metrics `ports` every second, with the labels of the PodMonitor."""
    rules = write_rules(folder / "rules.yaml")
    # Windows are added up in steps of minutes, at whole minutes: of a second where all there is are seconds.
    rules.write_text(re.sub(r":\d+m\]", ":1s]", rules.read_text()))
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": "acesteps",
                "static_configs": [
                    {
                        "targets": [f"{LOOPBACK}:{port}"],
                        "labels": {"namespace": NAMESPACE, "app": name, "pod": f"{name}-0"},
                    }
                    for name, port in ports.items()
                ],
            }
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    command = [
        "prometheus", "--config.file=prometheus.yaml", "--storage.tsdb.path=data",
        f"--web.listen-address={LOOPBACK}:{port}", "--log.level=error",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            running = Prometheus(f"http://{LOOPBACK}:{port}")
            running.wait_until_ready()
            yield running
        finally:
            process.terminate()
