"""`python -m deploy.manifests validate`: render deploy/k8s and say what is wrong, a line for each finding.

Ends with 0 when nothing is, 1 when something is, 2 when it could not look. Knows commands, no check.
"""

import argparse
import os
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from deploy.manifests import checkov, code, reach
from deploy.manifests.checking import Checks
from deploy.manifests.edges import edge_list, with_by_hand
from deploy.manifests.finding import Finding, lines
from deploy.manifests.objects import Render
from deploy.manifests.rendering import RenderError, render_all

FOLDER = code.ROOT / "deploy" / "k8s"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    folder: Path = arguments.folder
    schemas = arguments.schemas or Path(os.environ.get("CRD_SCHEMAS") or folder / "schemas")
    try:
        started = time.monotonic()
        renders, findings = render_all(folder, arguments.kubectl)
        rendered_s = time.monotonic() - started
        if arguments.command == "edges":
            return _edges(renders, edge_list(folder).by_hand)
        findings += Checks(folder, schemas).all(renders)
        checked_s = time.monotonic() - started - rendered_s
        if arguments.checkov != "none":
            findings += _checkov(renders, folder, Path(arguments.checkov))
        checkov_s = time.monotonic() - started - rendered_s - checked_s
    except (RenderError, checkov.CheckovError, OSError, ValueError) as error:
        print(f"manifests: {error}", file=sys.stderr)
        return 2
    told = lines(findings)
    print(*told, sep="\n", end="\n" if told else "")
    print(
        f"{len(renders)} renders, {sum(len(render.objects) for render in renders)} objects, "
        f"{len(told)} findings; "
        f"rendering {rendered_s:.1f} s, checks {checked_s:.1f} s, checkov {checkov_s:.1f} s",
        file=sys.stderr,
    )
    return 1 if told else 0


def _checkov(renders: Sequence[Render], folder: Path, program: Path) -> Iterator[Finding]:
    overlays = [render for render in renders if render.name.startswith("overlays/")]
    return checkov.check(overlays, checkov.skips(folder), program)


def _edges(renders: Sequence[Render], by_hand: Collection[str]) -> int:
    for render in renders:
        if reach.is_shut(render):
            print(
                render.name,
                *(f"  {edge}" for edge in sorted(reach.edges_of(with_by_hand(render, by_hand)))),
                sep="\n",
            )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.manifests", description="Check the Kubernetes manifests."
    )
    parser.add_argument(
        "command",
        choices=("validate", "edges"),
        help="validate: tell what is wrong; edges: print who may reach whom",
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="of base, components and overlays (default: %(default)s)"
    )
    parser.add_argument(
        "--schemas",
        type=Path,
        help="folder of custom resources' schemas (default: $CRD_SCHEMAS, else FOLDER/schemas)",
    )
    parser.add_argument("--kubectl", default="kubectl", help="program that renders (default: the PATH's)")
    parser.add_argument(
        "--checkov",
        default=str(checkov.INSTALLED),
        help='program, or "none" to go without (default: %(default)s)',
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
