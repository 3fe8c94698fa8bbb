"""All checks of all renders, in order.

Knows the checks and the files beside the manifests that some of them read; judges nothing itself.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.manifests import (
    draining,
    edges,
    environment,
    gpus,
    images,
    mesh,
    mounts,
    namespaces,
    pod_security,
    serving,
    targets,
    wholes,
)
from deploy.manifests.finding import Finding
from deploy.manifests.objects import Render
from deploy.manifests.references import References, prerequisites
from deploy.manifests.schemas import Schemas


class Checks:
    """`folder`: of the manifests; `schemas`: of custom resources."""

    def __init__(self, folder: Path, schemas: Path) -> None:
        self.schemas = Schemas(schemas)
        self.references = References(prerequisites(folder))
        self.edges = edges.edge_list(folder)

    def all(self, renders: Sequence[Render]) -> Iterator[Finding]:
        for render in renders:
            yield from self.of(render)
        yield from targets.idle_policies(renders, self.edges.by_hand)
        yield from self.references.unused()

    def of(self, render: Render) -> Iterator[Finding]:
        faults = list(self.schemas.check(render))
        yield from faults
        try:
            yield from self._others(render)
        except (AttributeError, KeyError, TypeError, ValueError):
            # The other checks take it that fields are what the schemas say.
            if not faults:
                raise
            yield render.find(None, "", "could not be checked further", "fields that fit their schemas first")

    def _others(self, render: Render) -> Iterator[Finding]:
        yield from namespaces.check(render)
        yield from pod_security.check(render)
        yield from images.check(render)
        yield from gpus.check(render)
        yield from self.references.check(render)
        yield from targets.check(render, self.edges.by_hand)
        there = self.references.there(render)
        running, findings = environment.read(render, there)
        yield from findings
        yield from serving.check(running)
        yield from mounts.check(running, there)
        yield from draining.check(running)
        yield from mesh.check(render, running)
        yield from wholes.check(render, running)
        yield from edges.check(render, self.edges)
