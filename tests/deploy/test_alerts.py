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
    """Runs a file of tests beside the rules, each manifest's in a file of its name."""
    for name, groups in monitoring.groups_by_file().items():
        (folder / name).write_text(yaml.safe_dump({"groups": groups}, sort_keys=False))
    shutil.copy(file, folder / "tests.yaml")
    run("test", "rules", "tests.yaml", cwd=folder)


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
    moved = yaml.safe_load(yaml.safe_dump(monitoring.groups_by_file()))
    groups = moved["alerts-music.yaml"]
    (rule,) = (r for group in groups for r in group["rules"] if r["alert"] == "AcestepsGpuMemoryFull")
    rule["expr"] = rule["expr"].replace("0.92", "0.91")
    monkeypatch.setattr(monitoring, "groups_by_file", lambda: moved)
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


kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="needs kubectl (Debian 13: package kubectl)"
)


def rendered(folder: Path, **more: object) -> str:
    """The component in an overlay of its own."""
    shutil.copytree(monitoring.COMPONENT, folder / "monitoring")
    overlay = {"namespace": "acesteps", "components": ["monitoring"], **more}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    command = ["kubectl", "kustomize", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def made_rules(text: str) -> list[dict[str, Any]]:
    found = [m for m in yaml.safe_load_all(text) if m["kind"] == "PrometheusRule"]
    return [rule for manifest in found for group in manifest["spec"]["groups"] for rule in group["rules"]]


@kubectl
def test_the_component_gives_rules_their_runbooks_address_and_grafana_its_dashboard(tmp_path: Path) -> None:
    text = rendered(tmp_path)
    manifests, made = list(yaml.safe_load_all(text)), made_rules(text)
    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {"acesteps"}
    assert len(made) == len(monitoring.rules())
    assert "RUNBOOKS" not in text
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


@kubectl
def test_the_patch_that_the_page_shows_changes_the_budget_that_it_speaks_of(tmp_path: Path) -> None:
    page = (monitoring.ROOT / "docs" / "monitoring.md").read_text()
    (shown,) = re.findall(r"```yaml\n(patches:.*?)```", page, re.S)
    made = made_rules(rendered(tmp_path, **yaml.safe_load(shown)))
    budgets = {rule["record"]: rule["expr"] for rule in made if rule.get("record", "").endswith(":budget")}
    assert budgets == {
        "acesteps:availability:budget": "vector(0.001)",
        "acesteps:first_audio:budget": "vector(0.01)",
    }
