"""Places besides the gateway's own store that keep a song's files: a Kubo node, a pinning service.

Knows their APIs: the Kubo RPC (docs.ipfs.tech/reference/kubo/rpc), the IPFS Pinning Service API 1.0.0
(ipfs.github.io/pinning-services-api-spec). What was asked of them is remembered by `remote_pins`.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp

from services.common.errors import Internal, Unavailable
from services.gateway.models import PinState

# A song of ten minutes is 24 million bytes.
TIMEOUT_S = 30.0
LONGEST_ANSWER_BYTES = 1 << 20

_STATES = {
    "queued": PinState.QUEUED,
    "pinning": PinState.PINNING,
    "pinned": PinState.PINNED,
    "failed": PinState.FAILED,
}


class PinningUnavailable(Unavailable):
    def __init__(self, place: str, why: str) -> None:
        message = f"{place} does not take the files: {why}"
        super().__init__("PINNING_UNAVAILABLE", message, retry_delay_s=5.0)


class WrongCid(Internal):
    """A place computes CIDs in another way: what is minted could not be found there."""

    def __init__(self, place: str, ours: str, theirs: object) -> None:
        super().__init__("PINNED_OTHERWISE", f"{place} pins {ours} as {str(theirs)[:80]}")


@dataclass(frozen=True)
class File:
    cid: str
    # for the place's own lists
    name: str
    read: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True)
class Held:
    """What a place makes of a file. `request_id` is how it calls the pin; `message` says why one failed."""

    state: PinState
    request_id: str
    message: str = ""


class Place(Protocol):
    """Raises PinningUnavailable from every method; `pin` and `look` may raise WrongCid."""

    # As it is called in rows and metrics.
    name: str

    async def pin(self, file: File) -> Held:
        """Has the file pinned, or takes the request. Repeatable."""
        ...

    async def look(self, cid: str, request_id: str) -> Held | None:
        """What has become of it; None if the place knows it no more."""
        ...

    async def unpin(self, cid: str, request_id: str) -> None:
        """Takes the pin back, if there is one."""
        ...


class KuboNode:
    """A node that is given the bytes: once it has answered, it has them."""

    name = "kubo"

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url.rstrip("/")

    async def pin(self, file: File) -> Held:
        # As services.common.cid computes them.
        options = {"cid-version": "1", "raw-leaves": "true", "chunker": "size-1048576", "pin": "true"}
        form = aiohttp.FormData()
        form.add_field("file", await file.read(), filename=file.name, content_type="application/octet-stream")
        status, answer = await self._post("add", options, form)
        if status != 200:
            raise PinningUnavailable(self.name, f"add answers {status}")
        if answer.get("Hash") != file.cid:
            raise WrongCid(self.name, file.cid, answer.get("Hash"))
        return Held(PinState.PINNED, file.cid)

    async def look(self, cid: str, request_id: str) -> Held | None:
        status, answer = await self._post("pin/ls", {"arg": cid, "type": "recursive"})
        if status == 200 and cid in (answer.get("Keys") or {}):
            return Held(PinState.PINNED, cid)
        if status == 500:  # how it says that it is not pinned, and all else
            return None
        raise PinningUnavailable(self.name, f"pin/ls answers {status}")

    async def unpin(self, cid: str, request_id: str) -> None:
        if await self.look(cid, request_id) is None:
            return
        status, _ = await self._post("pin/rm", {"arg": cid})
        if status != 200:
            raise PinningUnavailable(self.name, f"pin/rm answers {status}")

    async def _post(
        self, command: str, parameters: Mapping[str, str], form: aiohttp.FormData | None = None
    ) -> tuple[int, dict[str, Any]]:
        return await _ask(
            self.name, self._session, "POST", f"{self._url}/api/v0/{command}", params=parameters, data=form
        )


class PinningService:
    """A service that fetches the files by itself, from the origins it is told."""

    name = "service"

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, origins: Sequence[str]) -> None:
        self._session, self._url, self._origins = session, url.rstrip("/"), list(origins)
        self._headers = {"Authorization": f"Bearer {token}"}

    async def pin(self, file: File) -> Held:
        found = await self._known(file.cid)  # of a request whose answer was lost
        if found is not None:
            return found
        pin = {"cid": file.cid, "name": file.name, "origins": self._origins, "meta": {"app": "acesteps"}}
        status, answer = await self._ask("POST", "/pins", json=pin)
        if status != 202:
            raise PinningUnavailable(self.name, f"POST /pins answers {status} {_reason(answer)}")
        return self._held(file.cid, answer)

    async def look(self, cid: str, request_id: str) -> Held | None:
        status, answer = await self._ask("GET", f"/pins/{quote(request_id, safe='')}")
        if status == 404:
            return None
        if status != 200:
            raise PinningUnavailable(self.name, f"GET /pins answers {status} {_reason(answer)}")
        return self._held(cid, answer)

    async def unpin(self, cid: str, request_id: str) -> None:
        if not request_id:
            found = await self._known(cid)
            if found is None:
                return
            request_id = found.request_id
        status, answer = await self._ask("DELETE", f"/pins/{quote(request_id, safe='')}")
        if status not in (202, 404):
            raise PinningUnavailable(self.name, f"DELETE /pins answers {status} {_reason(answer)}")

    async def _known(self, cid: str) -> Held | None:
        """The pin that there is already, unless it has failed."""
        status, answer = await self._ask(
            "GET", "/pins", params={"cid": cid, "status": "queued,pinning,pinned", "limit": "1"}
        )
        if status != 200:
            raise PinningUnavailable(self.name, f"GET /pins answers {status} {_reason(answer)}")
        results = answer.get("results")
        return self._held(cid, results[0]) if isinstance(results, list) and results else None

    def _held(self, cid: str, answer: object) -> Held:
        pin = answer.get("pin") if isinstance(answer, dict) else None
        if not isinstance(answer, dict) or not isinstance(pin, dict):
            raise PinningUnavailable(self.name, "the answer is no pin status")
        if pin.get("cid") != cid:
            raise WrongCid(self.name, cid, pin.get("cid"))
        state, request_id = _STATES.get(str(answer.get("status"))), answer.get("requestid")
        if state is None or not isinstance(request_id, str) or not request_id:
            raise PinningUnavailable(self.name, "the answer is no pin status")
        info = answer.get("info")
        message = json.dumps(info)[:500] if state is PinState.FAILED and info else ""
        return Held(state, request_id, message)

    async def _ask(self, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
        # A redirect would hand the token to somebody else.
        return await _ask(
            self.name, self._session, method, self._url + path, headers=self._headers,
            allow_redirects=False, **options,
        )  # fmt: skip


async def _ask(
    place: str, session: aiohttp.ClientSession, method: str, url: str, **options: Any
) -> tuple[int, dict[str, Any]]:
    """Status and body, {} for one that is no JSON object. Raises PinningUnavailable."""
    try:
        async with session.request(
            method, url, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), **options
        ) as response:
            body = bytearray()
            async for piece in response.content.iter_chunked(1 << 16):
                body += piece
                if len(body) > LONGEST_ANSWER_BYTES:
                    raise PinningUnavailable(place, "the answer is too long")
            status = response.status
    except TimeoutError as error:
        raise PinningUnavailable(place, f"no answer within {TIMEOUT_S:g} s") from error
    except (aiohttp.ClientError, OSError) as error:
        raise PinningUnavailable(place, type(error).__name__) from error
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {}
    return status, answer if isinstance(answer, dict) else {}


def _reason(answer: Mapping[str, Any]) -> str:
    """Of an error as the Pinning Service API words it."""
    error = answer.get("error")
    return str(error.get("reason", ""))[:100] if isinstance(error, dict) else ""
