"""When to ask again, and when to give up. Knows no call; sleeps nowhere."""

import random
import time
from collections.abc import Callable

import grpc

from acesteps.errors import (
    AcestepsError,
    Cancelled,
    DeadlineExceeded,
    ResourceExhausted,
    Unavailable,
    error_from_rpc,
)

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 2.0

Note = Callable[[AcestepsError], None]


class Patience:
    """Counts for one call, or for one stream and all its repeats."""

    def __init__(self, budget_s: float, note: Note | None = None) -> None:
        """`note` is told once of every time that the gateway is found to be away."""
        self._budget_s, self._note = budget_s, note
        self._away_since: float | None = None
        self._delay_s = FIRST_DELAY_S

    def renew(self) -> None:
        """Something came: the gateway is there."""
        self._away_since, self._delay_s = None, FIRST_DELAY_S

    def delay(self, failure: grpc.RpcError | AcestepsError) -> float:
        """Seconds to wait before the same call is made again.

        Raises:
            AcestepsError: asking again does not help, or not within the budget.
        """
        error = failure if isinstance(failure, AcestepsError) else error_from_rpc(failure)
        if not _may_pass(error):
            raise error
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            if self._note is not None:
                self._note(error)
        # Clients that lost the same gateway do not come back all at once.
        delay_s = self._delay_s * random.uniform(0.5, 1.0)
        delay_s = max(delay_s, error.retry_delay_s or 0.0)
        if now - self._away_since + delay_s > self._budget_s:
            raise error
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)
        return delay_s


def _may_pass(error: AcestepsError) -> bool:
    if isinstance(error, ResourceExhausted):  # a full day's quota does not pass by waiting, and says no delay
        return error.retry_delay_s is not None
    return isinstance(error, Unavailable | DeadlineExceeded | Cancelled)
