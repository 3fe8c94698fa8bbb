"""The deadline of the call being served, so that calls made for it can carry what is left of it.

Knows no transport: the server interceptor sets it, the client interceptor reads it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)

# Kept back from every hop, so that the callee's DEADLINE_EXCEEDED arrives before ours.
MARGIN_S = 0.1


def remaining_s() -> float | None:
    """Seconds left to the call being served; None outside a call."""
    deadline = _deadline.get()
    return None if deadline is None else deadline - time.monotonic()


@contextmanager
def deadline_in(seconds: float) -> Iterator[None]:
    """Everything within has this many seconds, or fewer if an outer deadline comes first."""
    outer, own = _deadline.get(), time.monotonic() + seconds
    token = _deadline.set(own if outer is None else min(outer, own))
    try:
        yield
    finally:
        _deadline.reset(token)


def enter(seconds: float) -> None:
    """Set the deadline of the current context (a call's own task) without an end."""
    _deadline.set(time.monotonic() + seconds)


def timeout_for_callee(asked_s: float | None) -> float | None:
    """The timeout of a call made now: what was asked for, but no more than what is left less the margin."""
    left = remaining_s()
    if left is None:
        return asked_s
    left = max(left - MARGIN_S, 0.001)
    return left if asked_s is None else min(asked_s, left)
