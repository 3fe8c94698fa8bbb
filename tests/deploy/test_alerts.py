"""Every alert fires when it should and not just below, as promtool sees it on made-up series."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import monitoring

FILES = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool (Debian package prometheus)"
)


def run(*command: str, cwd: Path) -> str:
    """What promtool says; its status decides."""
    done = subprocess.run(["promtool", *command], cwd=cwd, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode:
        raise AssertionError(said)
    return said


def try_out(file: Path, folder: Path) -> None:
    """Runs a file of tests beside the rules as they are in the manifests."""
    monitoring.write_rules(folder / "rules.yaml")
    shutil.copy(file, folder)
    run("test", "rules", file.name, cwd=folder)


def cases() -> list[dict[str, Any]]:
    return [case for file in FILES for case in yaml.safe_load(file.read_text())["tests"]]


@promtool
def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    monitoring.write_rules(tmp_path / "rules.yaml")
    assert "SUCCESS" in run("check", "rules", "rules.yaml", cwd=tmp_path)


@promtool
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_alerts_fire_when_they_should_and_only_then(file: Path, tmp_path: Path) -> None:
    try_out(file, tmp_path)


@promtool
def test_a_threshold_that_was_moved_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = yaml.safe_load(yaml.safe_dump(monitoring.groups()))
    (rule,) = (r for g in moved for r in g["rules"] if r.get("alert") == "AcestepsGpuMemoryFull")
    rule["expr"] = rule["expr"].replace("0.92", "0.91")
    monkeypatch.setattr(monitoring, "groups", lambda: moved)
    with pytest.raises(AssertionError, match=r"AcestepsGpuMemoryFull"):
        try_out(Path(__file__).parent / "alerts" / "music.yaml", tmp_path)


def test_every_alert_of_every_severity_is_seen_to_fire() -> None:
    fired: set[tuple[str, str]] = set()
    for case in cases():
        for one in case.get("alert_rule_test", ()):
            for alert in one.get("exp_alerts") or ():
                fired.add((one["alertname"], alert["exp_labels"]["severity"]))
        for one in case.get("promql_expr_test", ()):
            for sample in one.get("exp_samples") or ():
                labels = dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"]))
                if labels.get("alertstate") == "firing":
                    fired.add((labels["alertname"], labels["severity"]))
    assert fired == {(alert["alert"], alert["labels"]["severity"]) for alert in monitoring.alerts()}


@pytest.mark.parametrize(
    "alert", monitoring.alerts(), ids=lambda a: f"{a['alert']}-{a['labels']['severity']}"
)
def test_an_alert_says_whom_it_calls_what_is_wrong_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("page", "ticket")
    said = alert["annotations"]
    assert set(said) == {"summary", "description", "runbook_url"}
    assert "{{ $labels." in said["description"]
    if "absent(" not in alert["expr"] and "== " not in alert["expr"]:
        assert "$value" in said["description"]
    page = re.sub(r"(?<!^)(?=[A-Z])", "-", alert["alert"]).lower()
    assert said["runbook_url"] == f"RUNBOOKS/{page}.md"


@pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="needs kubectl (Debian package kubernetes-client)"
)
def test_the_component_gives_rules_their_runbooks_address_and_grafana_its_dashboard(tmp_path: Path) -> None:
    shutil.copytree(monitoring.COMPONENT, tmp_path / "monitoring")
    (tmp_path / "kustomization.yaml").write_text("namespace: acesteps\ncomponents: [monitoring]\n")
    done = subprocess.run(["kubectl", "kustomize", str(tmp_path)], capture_output=True, text=True, check=True)
    manifests = list(yaml.safe_load_all(done.stdout))
    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {"acesteps"}
    rules = [m for m in manifests if m["kind"] == "PrometheusRule"]
    made = [rule for m in rules for group in m["spec"]["groups"] for rule in group["rules"]]
    assert len(made) == len(monitoring.rules())
    assert "RUNBOOKS" not in done.stdout
    (base,) = (rule["labels"]["url"] for rule in made if rule.get("record") == "acesteps:runbooks")
    assert base.startswith("https://")
    for rule in made:
        if "alert" in rule:
            assert rule["annotations"]["runbook_url"].rpartition("/")[0] == base
    (delivered,) = (m for m in manifests if m["kind"] == "ConfigMap")
    assert delivered["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert delivered["data"]["dashboard.json"] == (monitoring.COMPONENT / "dashboard.json").read_text()
    (pods,) = (m for m in manifests if m["kind"] == "PodMonitor")
    assert [endpoint["port"] for endpoint in pods["spec"]["podMetricsEndpoints"]] == ["metrics"]
