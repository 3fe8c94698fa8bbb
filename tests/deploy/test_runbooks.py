"""Every alert has its runbook, and what a runbook tells to type is there to be typed."""

import argparse
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import yaml

from deploy.local.postgres import Database
from services.common.migrations import migrate
from services.gateway import database as gateway
from services.gateway.resources import MIGRATIONS as GATEWAY_MIGRATIONS
from services.signer import database as signer
from services.signer import keys
from services.signer.keys import memory
from tests.deploy import monitoring
from tests.deploy.monitoring import ROOT, RUNBOOKS, names_in

PAGES = sorted(RUNBOOKS.glob("acesteps-*.md"))
SECTIONS = ["What it means", "What users notice", "What to look at", "What to do", "Over when"]
# Prometheus' own.
OTHERS = {"up", "ALERTS"}


def blocks(kind: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.M | re.S):
            yield page.stem, block


def lines() -> Iterator[tuple[str, str]]:
    for page, block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            yield page, line


def once(pairs: Iterator[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(text for _, text in pairs))


def declared() -> set[str]:
    """Metrics as the code declares them, and those that rules record."""
    found = {rule["record"] for rule in monitoring.rules() if "record" in rule}
    for path in (ROOT / "services").rglob("*.py"):
        for kind, name in re.findall(r'\b(Counter|Gauge|Histogram)\(\s*"(\w+)"', path.read_text()):
            parts = ("_bucket", "_sum", "_count") if kind == "Histogram" else ("",)
            found |= {f"{name}{part}" for part in parts}
    return found


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    urls = {alert["annotations"]["runbook_url"] for alert in monitoring.alerts()}
    assert {f"RUNBOOKS/{page.name}" for page in PAGES} == urls


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_has_its_alerts_name_its_severity_and_every_section(page: Path) -> None:
    text = page.read_text()
    mine = [a for a in monitoring.alerts() if a["annotations"]["runbook_url"].endswith(f"/{page.name}")]
    assert text.startswith(f"# {mine[0]['alert']}\n")
    for alert in mine:
        assert alert["labels"]["severity"] in text.splitlines()[2].lower()
    assert re.findall(r"^## (.+)$", text, re.M) == SECTIONS
    assert "```" in text


def test_the_list_of_runbooks_names_all_of_them_with_their_severity() -> None:
    listed = re.findall(
        r"^\| \[(\w+)\]\(([\w-]+\.md)\) \| ([\w, ]+) \|", (RUNBOOKS / "README.md").read_text(), re.M
    )
    wanted: dict[tuple[str, str], list[str]] = {}
    for alert in monitoring.alerts():
        key = alert["alert"], alert["annotations"]["runbook_url"].removeprefix("RUNBOOKS/")
        wanted.setdefault(key, []).append(alert["labels"]["severity"])
    assert {(name, page): told for name, page, told in listed} == {
        key: ", ".join(dict.fromkeys(severities)) for key, severities in wanted.items()
    }


@pytest.mark.parametrize("page", [*PAGES, RUNBOOKS / "README.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+\.md)", page.read_text()):
        assert (page.parent / target).is_file(), f"{page.name} leads to {target}"


def commands() -> list[str]:
    """What follows `python -m`, wherever it is run."""
    found = (re.search(r"python -m (services\.[^|>]+)", line) for _, line in lines())
    return list(dict.fromkeys(match[1].strip() for match in found if match))


class Parsed(Exception):
    """The command's own parser took its arguments."""


@pytest.mark.parametrize("command", commands())
def test_a_command_that_is_shown_is_one(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, *arguments = shlex.split(command)
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser, *given: object, **named: object) -> None:
        parse(parser, *given, **named)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    # It would be this process that can write no core file any more, and the tests of that could not be run.
    monkeypatch.setattr(memory, "forbid_core_dumps", lambda: None)
    monkeypatch.setattr(keys, "forbid_core_dumps", lambda: None)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(Parsed):
        runpy.run_module(module, run_name="__main__", alter_sys=False)


def test_a_command_with_a_wrong_word_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        test_a_command_that_is_shown_is_one("services.gateway.admin fail --limit 5", monkeypatch)
    with pytest.raises(SystemExit):
        test_a_command_that_is_shown_is_one("services.gateway.admin failed --most 5", monkeypatch)


def test_every_metric_that_is_named_is_one() -> None:
    known = declared()
    # a histogram may be spoken of as a whole
    known |= {re.sub(r"_(bucket|sum|count)$", "", name) for name in known}
    for page, query in blocks("promql"):
        assert names_in(query).metrics <= known | OTHERS, page
    spoken_of = r"\bacesteps_(?:gateway|music|lyrics|signer|grpc|tls|trust)_\w+"
    for page in PAGES:
        assert set(re.findall(spoken_of, page.read_text())) <= known | OTHERS, page.stem


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian package prometheus)")
def test_every_query_that_is_shown_is_promql(tmp_path: Path) -> None:
    shown = once(blocks("promql"))
    rules = [{"record": f"shown:{number}", "expr": query} for number, query in enumerate(shown)]
    (tmp_path / "shown.yaml").write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", "shown.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_every_statement_that_is_shown_can_be_asked_of_our_tables(database: Database) -> None:
    await migrate(database.gateway_dsn, gateway.SCHEMA, GATEWAY_MIGRATIONS)
    await migrate(database.signer_owner_dsn, signer.SCHEMA, signer.MIGRATIONS)
    dsns = {True: database.signer_dsn, False: database.gateway_dsn}
    statements = once(blocks("sql"))
    assert len(statements) > 5
    for statement in statements:
        connection = await asyncpg.connect(dsns["signer." in statement])
        try:
            await connection.execute(f"EXPLAIN {statement}")
        finally:
            await connection.close()


def test_what_is_looked_for_in_logs_is_logged() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "services").rglob("*.py"))
    # not ours to log, or every line's
    others = {
        "Traceback",
        "Events",
        "Last State",
        "acesteps",
        "GATEWAY_WORKERS",
        "failed",
        "engine",
        "memory",
    }
    for page, line in lines():
        if "kubectl" in line and " logs " in line:
            for words in re.findall(r"grep (?:-\w+\d* )?'([^']*)'", line):
                for word in words.split("|"):
                    if word not in others and '"level"' not in word:
                        assert word in code, (page, word)
