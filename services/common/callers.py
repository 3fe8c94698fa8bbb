"""Who may call which method, by the names (SANs) on certificates; and who makes the call being served.

Knows lists and names. That a certificate is genuine is TLS's to say, before any of this is asked.
"""

from collections.abc import Collection, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import grpc

_caller: ContextVar[str] = ContextVar("caller", default="")


def caller() -> str:
    """SAN that the caller of the call being served was admitted by; "" without TLS and outside a call."""
    return _caller.get()


def enter(name: str) -> None:
    """Set the caller of the current context (a call's own task) without an end."""
    _caller.set(name)


@dataclass(frozen=True)
class AllowLists:
    """The names that may call. A method with a list of its own is for those names and nobody else."""

    # None: every certificate of the CA, and everybody where there is no TLS
    service: frozenset[str] | None = None
    # "/package.Service/Method" → names; an empty list admits nobody
    methods: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def admitted(self, method: str, names: Collection[str]) -> str | None:
        """By which of its `names` a caller may call `method`; None when it may not."""
        listed = self.methods.get(method, self.service)
        admitted = sorted(names) if listed is None else sorted(listed.intersection(names))
        return next(iter(admitted), "" if listed is None else None)


def names_of(context: grpc.aio.ServicerContext[Any, Any]) -> tuple[str, ...]:
    """The SANs on the caller's certificate; none without TLS. A subject's common name is no name here."""
    names = context.auth_context().get("x509_subject_alternative_name", ())
    return tuple(name.decode("utf-8", "replace") for name in names)
