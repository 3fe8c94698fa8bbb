"""Who may call which method, by the names (SANs) on certificates.

Knows lists and names. That a certificate is genuine is TLS's to say, before any of this is asked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc


@dataclass(frozen=True)
class AllowLists:
    """The names that may call. A method with a list of its own is for those names and nobody else."""

    # None: every certificate of the CA, and everybody where there is no TLS
    service: frozenset[str] | None = None
    # "/package.Service/Method" → names; an empty list admits nobody
    methods: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def admits(self, method: str, names: Collection[str]) -> bool:
        """Whether a caller with these `names` may call `method`."""
        listed = self.methods.get(method, self.service)
        return listed is None or not listed.isdisjoint(names)


def names_of(context: grpc.aio.ServicerContext[Any, Any]) -> tuple[str, ...]:
    """The SANs on the caller's certificate; none without TLS. A subject's common name is no name here."""
    names = context.auth_context().get("x509_subject_alternative_name", ())
    return tuple(name.decode("utf-8", "replace") for name in names)
