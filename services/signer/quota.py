"""How many new permits a day has, of one creator and of everybody; who is over is told when to come again.

Knows the limits and the refusal. They are counted where permits are made, by `reserve` in the migrations.
"""

from dataclasses import dataclass
from datetime import datetime

from services.common.errors import ResourceExhausted


@dataclass(frozen=True)
class Quotas:
    """New permits within any 24 hours; 0 is without a limit."""

    creator: int
    overall: int


def quota_exceeded(quota: str, free_at: datetime, now: datetime) -> ResourceExhausted:
    """The refusal by `quota`, "creator" or "overall"; `free_at`: the oldest that counts is a day old."""
    whose = "this creator has" if quota == "creator" else "all creators together have"
    return ResourceExhausted(
        "QUOTA_EXCEEDED",
        f"{whose} had as many permits as a day has",
        metadata={"rule": f"{quota}_quota", "quota": quota},
        retry_delay_s=max(1.0, (free_at - now).total_seconds()),
    )
