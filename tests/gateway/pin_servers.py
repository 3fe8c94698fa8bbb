"""A Kubo node's RPC and a pinning service's API, as far as the gateway uses them. They fail as told."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from services.common.cid import unixfs_cid

TOKEN = "pinning-token"


@dataclass
class Kubo:
    pinned: dict[str, bytes] = field(default_factory=dict)
    options: list[dict[str, str]] = field(default_factory=list)
    # Answered instead; 0: nothing is wrong.
    status: int = 0
    # Chunks in another way, as a node with another default.
    other_cids: bool = False
    slow_s: float = 0.0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.slow_s)
        if self.status:
            return web.json_response({"Message": "no", "Code": 0, "Type": "error"}, status=self.status)
        assert request.method == "POST"  # it takes no other
        cid = request.query.get("arg", "")
        match request.path:
            case "/api/v0/add":
                return await self._add(request)
            case "/api/v0/pin/ls" if cid in self.pinned:
                return web.json_response({"Keys": {cid: {"Type": "recursive"}}})
            case "/api/v0/pin/rm" if cid in self.pinned:
                del self.pinned[cid]
                return web.json_response({"Pins": [cid]})
        return web.json_response({"Message": "not pinned", "Code": 0, "Type": "error"}, status=500)

    async def _add(self, request: web.Request) -> web.StreamResponse:
        self.options.append(dict(request.query))
        part = (await request.post())["file"]
        assert isinstance(part, web.FileField)
        data = part.file.read()
        cid = unixfs_cid(data + b"!" * self.other_cids)
        self.pinned[cid] = data
        return web.json_response({"Name": part.filename, "Hash": cid, "Size": str(len(data))})


@dataclass
class PinningServer:
    # Status by request id, and what was asked.
    pins: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    # What new pins begin with.
    begins: str = "queued"
    status: int = 0
    # Takes the request, and the answer is lost.
    loses_answers: bool = False
    other_cids: bool = False

    def become(self, status: str) -> None:
        """What all pins that it has are from now on."""
        for pin in self.pins.values():
            pin["status"] = status

    def cids(self) -> list[str]:
        return sorted(pin["pin"]["cid"] for pin in self.pins.values())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._error(401, "UNAUTHORIZED")
        if self.status:
            return self._error(self.status, "INTERNAL_SERVER_ERROR")
        request_id = request.path.removeprefix("/psa/pins").lstrip("/")
        if request.method == "POST" and not request_id:
            return await self._pin(request)
        if request.method == "GET" and not request_id:
            states = request.query.get("status", "pinned").split(",")
            found = [
                pin
                for pin in self.pins.values()
                if pin["pin"]["cid"] in request.query["cid"].split(",") and pin["status"] in states
            ]
            return web.json_response({"count": len(found), "results": found[:1]})
        if request_id not in self.pins:
            return self._error(404, "NOT_FOUND")
        if request.method == "DELETE":
            del self.pins[request_id]
            return web.Response(status=202)
        return web.json_response(self.pins[request_id])

    async def _pin(self, request: web.Request) -> web.StreamResponse:
        pin, request_id = await request.json(), f"request-{len(self.requests)}"
        if self.other_cids:
            pin["cid"] = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
        self.pins[request_id] = {
            "requestid": request_id,
            "status": self.begins,
            "created": "2026-01-01T00:00:00Z",
            "pin": pin,
            "delegates": [],
            "info": {"status_details": "no provider found"} if self.begins == "failed" else {},
        }
        if self.loses_answers:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(self.pins[request_id], status=202)

    @staticmethod
    def _error(status: int, reason: str) -> web.StreamResponse:
        return web.json_response({"error": {"reason": reason, "details": ""}}, status=status)
