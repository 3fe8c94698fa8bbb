"""A node between a gateway and anvil that fails as a test says: drops, refuses long ranges, lags behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
from aiohttp import web


@dataclass
class ChainProxy:
    target: str
    url: str = ""
    # Connections are cut without an answer.
    down: bool = False
    # Share of the answers that are cut in their middle.
    cut_share: float = 0.0
    # Longer ones of eth_getLogs are refused.
    longest_range: int | None = None
    # It has so many blocks less than anvil.
    behind: int = 0
    # Requests from this one on, counted from 1, wait for `go_on`; 0: none.
    hang_at: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    # Abandoned ones too, as nodes keep them; anvil does not.
    _blocks: dict[str, Any] = field(default_factory=dict)
    _drawn: Random = field(default_factory=lambda: Random(7))
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    # (method, parameters) of all that was asked, and of all that was answered.
    asked: list[tuple[str, Any]] = field(default_factory=list)
    answered: list[tuple[str, Any]] = field(default_factory=list)

    def ranges(self) -> list[range]:
        """Blocks of which logs were given."""
        given = [params[0] for method, params in self.answered if method == "eth_getLogs"]
        return [range(int(one["fromBlock"], 16), int(one["toBlock"], 16) + 1) for one in given]

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        question = await request.json()
        method, params = question["method"], question["params"]
        self.asked.append((method, params))
        assert request.transport is not None
        if self.down:
            request.transport.abort()
            return web.Response()
        if self.hang_at and len(self.asked) >= self.hang_at:
            self.hanging.set()
            await self.go_on.wait()
        answer = await self._answer(question, method, params)
        body = json.dumps(answer).encode()
        if self._drawn.random() < self.cut_share:
            half = web.StreamResponse(headers={"Content-Length": str(len(body))})
            await half.prepare(request)
            await half.write(body[: len(body) // 2])
            request.transport.abort()
            return half
        if "error" not in answer:
            self.answered.append((method, params))
        return web.Response(body=body, content_type="application/json")

    async def _answer(self, question: dict[str, Any], method: str, params: Any) -> Any:
        if method == "eth_getLogs":
            first, last = (int(params[0][key], 16) for key in ("fromBlock", "toBlock"))
            if self.longest_range is not None and last - first >= self.longest_range:
                return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "range too long"}}
        if self.behind and method == "eth_getBlockByNumber":
            head = int((await self._ask("eth_blockNumber"))["result"], 16) - self.behind
            if params[0] == "latest":
                question = {**question, "params": [hex(head), params[1]]}
            elif int(params[0], 16) > head:
                return {"jsonrpc": "2.0", "id": 1, "result": None}
        answer = await self._post(question)
        if method.startswith("eth_getBlockBy") and answer.get("result"):
            self._blocks[answer["result"]["hash"]] = answer
        elif method == "eth_getBlockByHash":
            answer = self._blocks.get(params[0], answer)
        return answer

    async def _ask(self, method: str, *params: object) -> Any:
        return await self._post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})

    async def _post(self, question: dict[str, Any]) -> Any:
        async with aiohttp.ClientSession() as session, session.post(self.target, json=question) as response:
            return await response.json()


@asynccontextmanager
async def served(handler: Any, method: str = "*", path: str = "/{tail:.*}") -> AsyncIterator[str]:
    """A local HTTP server with one handler; its URL."""
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route(method, path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def chain_proxy(target: str) -> AsyncIterator[ChainProxy]:
    proxy = ChainProxy(target)
    async with served(proxy._forward) as url:
        proxy.url = url
        yield proxy
