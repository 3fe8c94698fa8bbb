"""Which addresses a target stands for now.

"dns:///name:port" is a name with as many addresses as there are pods; anything else is one address.
"""

import asyncio
import socket
from typing import Any


def name_of(target: str) -> tuple[str, int] | None:
    """(host, port) of a target that is looked up, None for one that is an address."""
    if not target.startswith("dns:///"):
        return None
    host, _, port = target.removeprefix("dns:///").rpartition(":")
    return host, int(port)


async def addresses_of(target: str) -> frozenset[str]:
    """ "address:port" of everything behind the target. Raises OSError when the name cannot be looked up."""
    name = name_of(target)
    if name is None:
        return frozenset({target})
    found = await asyncio.get_running_loop().getaddrinfo(*name, type=socket.SOCK_STREAM)
    return frozenset(_written(family, address) for family, _, _, _, address in found)


def _written(family: socket.AddressFamily, address: Any) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
