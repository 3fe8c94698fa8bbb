"""Who may call which method, by the names (SANs) on certificates.

Knows lists and names. That a certificate is genuine is TLS's to say, before any of this is asked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc

MAX_SHOWN_CHARACTERS = 256


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
    """The DNS names and URIs among the SANs of the caller's certificate; none without TLS.

    A common name is no name here, nor is an e-mail address: a CA may give those to whom it gives no host.
    """
    identity = context.auth_context()
    dns, uris = (
        [name.decode("utf-8", "replace") for name in identity.get(kind, ())]
        for kind in ("peer_dns", "peer_uri")
    )
    # Neither kind may pass for the other.
    return (*(name for name in dns if ":" not in name), *(uri for uri in uris if ":" in uri))


def shown(names: Collection[str]) -> str:
    """For a log or an audit: no more than `MAX_SHOWN_CHARACTERS`, and only what can be shown."""
    return "".join(c if c.isprintable() else "?" for c in ",".join(names))[:MAX_SHOWN_CHARACTERS]
