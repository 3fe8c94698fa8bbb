"""One event sent to one webhook: its body, its signature, and what the other side made of it.

Follows no redirect, goes through no proxy, and calls no address that was not checked.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from google.protobuf import json_format

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.gateway.messages import song_message
from services.gateway.store import Store
from services.gateway.webhooks.addresses import CheckedResolver, LookUp, NotGlobal, is_global
from services.gateway.webhooks.hooks import Due
from services.gateway.webhooks.signing import Secrets, signature

TIMEOUT_S = 10.0
# Of an answer, which nobody looks at.
READ_BYTES = 4096
LONGEST_ERROR = 200


@dataclass(frozen=True)
class Answer:
    """`status` 0: there was none, and `error` says why."""

    status: int
    error: str = ""

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


class Sender:
    """Raises nothing but DatabaseUnavailable."""

    def __init__(
        self, session: aiohttp.ClientSession, store: Store, secrets: Secrets, *, anywhere: bool
    ) -> None:
        self._session, self._store, self._secrets, self._anywhere = session, store, secrets, anywhere

    async def send(self, due: Due) -> Answer:
        body = await self._body(due)
        host = urlsplit(due.webhook.url).hostname or ""
        # Of an address in the URL itself no look-up is made.
        if not self._anywhere and _is_address(host) and not is_global(host):
            return Answer(0, "the url leads to an address that is not global")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "AceSteps-Webhooks/1",
            "Acesteps-Event-Id": str(due.delivery.id),
            "Acesteps-Signature": signature(body, int(time.time()), self._secrets_of(due)),
        }
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._session.post(
                    due.webhook.url, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                await response.content.read(READ_BYTES)
                told = "" if 200 <= response.status < 300 else f"answered {response.status}"
                return Answer(response.status, told)
        except TimeoutError:
            return Answer(0, f"no answer within {TIMEOUT_S:g} s")
        except NotGlobal as error:
            return Answer(0, str(error))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error.__cause__, NotGlobal) or isinstance(error.__context__, NotGlobal):
                return Answer(0, "the url leads to an address that is not global")
            return Answer(0, f"{type(error).__name__}: {error}"[:LONGEST_ERROR])

    def _secrets_of(self, due: Due) -> list[str]:
        newest = due.webhook.secret_version
        versions = [newest, newest - 1] if due.overlapping and newest > 1 else [newest]
        return [self._secrets.of(due.webhook.id, version) for version in versions]

    async def _body(self, due: Due) -> bytes:
        """With the song as it is now; of one that is deleted, its id."""
        event: dict[str, Any] = {
            "id": str(due.delivery.id),
            "type": f"EVENT_TYPE_{due.delivery.event}",
            "create_time": due.delivery.created_at.isoformat().replace("+00:00", "Z"),
        }
        if (song_id := due.delivery.song_id) is not None:
            song = await self._store.get(due.webhook.account_id, song_id)
            message = pb.Song(id=str(song_id)) if song is None else song_message(song)
            event["song"] = json_format.MessageToDict(message, preserving_proto_field_name=True)
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


@asynccontextmanager
async def open_session(*, anywhere: bool, look_up: LookUp) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that looks every name up anew and connects only to what it was allowed."""
    resolver = None if anywhere else CheckedResolver(look_up)
    connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True, limit=0)
    async with aiohttp.ClientSession(
        connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield session


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
