"""The command that asks health says what health says."""

import asyncio
import socket

import pytest

from services.common import probe
from services.common.server import Health, start_health
from services.common.settings import ServiceSettings


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def asked(port: int, *words: str) -> int:
    return await asyncio.to_thread(probe.main, [str(port), *words])


async def test_the_probe_follows_readiness_and_liveness(capsys: pytest.CaptureFixture[str]) -> None:
    health, port = Health(), free_port()
    server = await start_health(ServiceSettings(health_port=port), health)
    await health.start([])
    try:
        assert await asked(port) == 1
        assert await asked(port, "liveness") == 0
        health.set_ready(True)
        await asyncio.sleep(0.05)
        assert await asked(port) == 0
        assert capsys.readouterr().out.split() == ["NOT_SERVING", "SERVING", "SERVING"]
    finally:
        await server.stop(0)


async def test_a_probe_of_a_port_where_nobody_is_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert await asked(free_port()) == 1
    assert capsys.readouterr().err == "probe: unavailable\n"
