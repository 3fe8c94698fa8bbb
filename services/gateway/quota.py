"""Songs a day: what is left of them, and the error when nothing is."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.common.errors import ResourceExhausted

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Left:
    """Of the songs within 24 hours. `limit` 0: any number."""

    limit: int
    left: int
    # when there is one more again; None while all are left
    reset_at: datetime | None

    @property
    def reset_s(self) -> int:
        """Whole seconds, at least one."""
        if self.reset_at is None:
            return 0
        return max(1, round((self.reset_at - datetime.now(UTC)).total_seconds()))


class QuotaSpent(ResourceExhausted):
    def __init__(self, limit: int, reset_at: datetime) -> None:
        left = Left(limit, 0, reset_at)
        super().__init__(
            "DAILY_QUOTA",
            f"the account's {limit} songs of a day are made; the next may be asked for in {left.reset_s} s",
            metadata={"limit": f"{limit} songs within 24 hours", "songs_per_day": str(limit)},
            retry_delay_s=left.reset_s,
        )
