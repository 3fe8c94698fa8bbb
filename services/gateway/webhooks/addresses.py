"""Where webhooks may lead: addresses that everybody reaches, looked up once and called as they were checked.

Knows names and addresses. A name that changes between the check and the call changes nothing: what is called
is the address that was checked.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

from services.common.errors import InvalidField

LONGEST_URL = 2000
# (family, type, protocol, name, address) of each, as the system's own look-up has them
LookUp = Callable[[str, int], Awaitable[list[Any]]]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotGlobal(OSError):
    """The name stands for an address that not everybody reaches."""


async def look_up(host: str, port: int) -> list[Any]:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


def is_global(text: str) -> bool:
    """Whether an address is one that everybody reaches, also in whatever it carries within it."""
    try:
        address: _Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.teredo is not None:
            return False
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            address = inner
    return address.is_global and not address.is_multicast and not address.is_reserved


class CheckedResolver(AbstractResolver):
    """Gives a client the addresses of a name, if all of them are global."""

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises NotGlobal, OSError."""
        found = await self._look_up(host, port)
        results = []
        for kind, _, protocol, _, address in found:
            if not is_global(str(address[0])):
                raise NotGlobal(f"{host} leads to an address that is not global")
            results.append(
                ResolveResult(
                    hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )  # fmt: skip
        return results

    async def close(self) -> None:
        """Nothing is held."""


async def checked_url(url: str, *, anywhere: bool, look_up: LookUp) -> str:
    """The URL of a webhook. `anywhere`: http and addresses of one's own network too, for development.

    Raises:
        InvalidField: REQUIRED, TOO_LONG, MALFORMED; OUT_OF_RANGE, where it leads.
    """
    limit = f"an https URL of at most {LONGEST_URL} characters, without user name and fragment"
    if not url:
        raise InvalidField("REQUIRED", "url", "url is missing", limit=limit)
    if len(url) > LONGEST_URL:
        raise InvalidField("TOO_LONG", "url", f"url has {len(url)} characters", limit=limit)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    schemes = ("https", "http") if anywhere else ("https",)
    if not plain or not host or parts.scheme not in schemes or "@" in parts.netloc or "#" in url:
        raise InvalidField("MALFORMED", "url", "url is not one that can be called", limit=limit)
    if not anywhere:
        await _require_global(host, port or 443, look_up)
    return url


async def _require_global(host: str, port: int, look_up: LookUp) -> None:
    limit = "a host whose addresses are all reachable by everyone"
    try:
        found = await look_up(host, port)
    except (OSError, UnicodeError):
        raise InvalidField("OUT_OF_RANGE", "url", "the url's host cannot be found", limit=limit) from None
    if not found or not all(is_global(str(address[0])) for *_, address in found):
        raise InvalidField("OUT_OF_RANGE", "url", "the url leads into a network of its own", limit=limit)
