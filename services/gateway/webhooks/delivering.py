"""The worker that sends what is due, again and again until it is taken or given up.

Knows pauses and how many are sent at once; what is sent is `sending`'s.
"""

import asyncio
import logging
import random
import time
from contextlib import suppress

from services.gateway import metrics
from services.gateway.database import DatabaseUnavailable
from services.gateway.notices import WEBHOOK, Notices
from services.gateway.webhooks.hooks import Delivery, Due, Hooks
from services.gateway.webhooks.sending import TIMEOUT_S, Sender

_log = logging.getLogger(__name__)

AT_ONCE = 32
LEASE_S = 3 * TIMEOUT_S
# After each failure, in units of the first: of a minute, some 18 hours in all.
PAUSES = (1, 5, 30, 120, 300, 600)
JITTER = 0.1
LOOK_AGAIN_S, LOOK_ANYWAY_S = 1.0, 10.0
FORGET_EVERY_S = 3600.0


class Delivering:
    def __init__(self, hooks: Hooks, sender: Sender, notices: Notices, *, pause_s: float) -> None:
        """`pause_s`: after the first failure."""
        self._hooks, self._sender, self._notices, self._pause_s = hooks, sender, notices, pause_s
        self._sending: set[asyncio.Task[None]] = set()
        self._forgotten_at = time.monotonic()

    async def run(self) -> None:
        """Sends until cancelled; what is being sent then is sent again by whoever looks next."""
        try:
            with self._notices.subscribe(None, WEBHOOK) as news:
                while True:
                    begun = await self._begin()
                    await self._forget()
                    if not begun:
                        await news.wait(await self._patience_s())
        finally:
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)

    async def send(self, due: Due, *, again: bool) -> Delivery | None:
        """Sends once and writes down what came of it. `again`: whether it may be tried another time."""
        answer = await self._sender.send(due)
        attempt = due.delivery.attempts
        state, pause_s = "DELIVERED", None
        if not answer.taken:
            state = "WAITING" if again and attempt <= len(PAUSES) else "FAILED"
            if state == "WAITING":
                pause_s = self._pause_s * PAUSES[attempt - 1] * random.uniform(1 - JITTER, 1 + JITTER)
        metrics.DELIVERIES.labels(state.lower() if state != "WAITING" else "retried").inc()
        return await self._hooks.ended(due, state, answer.status, answer.error, pause_s)

    def look(self) -> None:
        """Something may be due."""
        self._notices.tell(WEBHOOK)

    async def _begin(self) -> int:
        room = AT_ONCE - len(self._sending)
        if room <= 0:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            return 1
        try:
            due = await self._hooks.due(room, LEASE_S)
        except DatabaseUnavailable:
            return 0
        for one in due:
            task = asyncio.create_task(self._send_and_look(one))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return len(due)

    async def _send_and_look(self, due: Due) -> None:
        with suppress(DatabaseUnavailable):  # its lease runs out, and it is sent again
            try:
                await self.send(due, again=True)
            finally:
                self.look()  # the webhook's next may be sent

    async def _patience_s(self) -> float:
        try:
            due_s = await self._hooks.next_due_s()
        except DatabaseUnavailable:
            due_s = None
        # Due already and not taken: one of its webhook is under way, or it is another replica's.
        return LOOK_ANYWAY_S if due_s is None else min(LOOK_ANYWAY_S, due_s or LOOK_AGAIN_S)

    async def _forget(self) -> None:
        if time.monotonic() - self._forgotten_at > FORGET_EVERY_S:
            self._forgotten_at = time.monotonic()
            with suppress(DatabaseUnavailable):
                await self._hooks.forget()
