"""What checkov says of the rendered overlays, less what is skipped with a written reason.

Knows checkov's command and its report; runs it once for all, since starting takes it longest, and offline.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from deploy.manifests.finding import Finding
from deploy.manifests.objects import Render, title

SKIPS = "checkov-skips.yaml"
TIMEOUT_S = 300.0
# In an environment of its own: what it pins is not what the services use.
INSTALLED = Path(sys.prefix) / "checkov" / "bin" / "checkov"


class CheckovError(Exception):
    """checkov did not run; one line that says what to do."""


@dataclass(frozen=True)
class Skip:
    check: str
    reason: str
    objects: str
    """A pattern of `Kind/name`."""


def skips(folder: Path) -> tuple[Skip, ...]:
    path = folder / SKIPS
    entries = (yaml.safe_load(path.read_text()) if path.is_file() else None) or []
    return tuple(
        Skip(str(entry.get("check", "")), str(entry.get("reason") or "").strip(), entry.get("objects", "*"))
        for entry in entries
    )


def check(
    renders: Iterable[Render], skipped: tuple[Skip, ...], program: Path = INSTALLED
) -> Iterator[Finding]:
    """Raises CheckovError."""
    return unskipped(reported(renders, program), skipped)


def unskipped(findings: Iterable[Finding], skipped: tuple[Skip, ...]) -> Iterator[Finding]:
    """The findings that no skip takes, and what is wrong with the skips."""
    used: set[Skip] = set()
    for finding in findings:
        matching = [skip for skip in skipped if _takes(skip, finding)]
        used.update(matching)
        if not matching:
            yield finding
    for skip in skipped:
        if not skip.reason:
            yield Finding(SKIPS, skip.check, "", "has no reason", "one that a reader can judge")
        if skip not in used:
            yield Finding(
                SKIPS, skip.check, "", f"nothing of {skip.objects} fails it any more", "no such skip"
            )


def _takes(skip: Skip, finding: Finding) -> bool:
    return finding.path == skip.check and fnmatchcase(finding.object, skip.objects)


def reported(renders: Iterable[Render], program: Path = INSTALLED) -> list[Finding]:
    """Every check that failed; the check's id is the finding's path."""
    if not program.is_file():
        raise CheckovError(f"checkov is not installed ({program}); run: make setup-dev")
    with tempfile.TemporaryDirectory() as scratch:
        files = {f"render-{index}.yaml": render for index, render in enumerate(renders)}
        for name, render in files.items():
            Path(scratch, name).write_text(yaml.safe_dump_all(render.objects))
        report = _run(program, scratch)
    return [
        _finding(failed, files[Path(failed["file_path"]).name])
        for run in (report if isinstance(report, list) else [report])
        for failed in run.get("results", {}).get("failed_checks", [])
    ]


def _finding(failed: dict[str, Any], render: Render) -> Finding:
    # Kind.namespace.name, and for pods of a template more behind it
    parts = str(failed["resource"]).split(".")
    names = {title(obj) for obj in render.objects}
    name = next(
        (f"{parts[0]}/{part}" for part in parts[1:] if f"{parts[0]}/{part}" in names), str(failed["resource"])
    )
    return Finding(render.name, name, str(failed["check_id"]), str(failed["check_name"]))


def _run(program: Path, folder: str) -> Any:
    command = [
        str(program), "--directory", folder, "--framework", "kubernetes", "--skip-download", "--quiet",
        "--compact", "--output", "json",
    ]  # fmt: skip
    try:
        # Status 1 says that checks failed.
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise CheckovError(f"checkov took longer than {TIMEOUT_S:g} s") from error
    except ValueError as error:
        raise CheckovError(f"checkov gave no report: {' '.join(done.stderr.split())[-300:]}") from error
