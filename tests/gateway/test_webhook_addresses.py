"""Where webhooks may lead: to addresses that everybody reaches, by whatever name or spelling."""

import socket
from typing import Any

import pytest

from services.common.errors import InvalidField
from services.gateway.webhooks.addresses import CheckedResolver, NotGlobal, checked_url, is_global, look_up
from services.gateway.webhooks.sending import open_session

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1",
    "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:1::1", "fe80::1%eth0", "nonsense", "",
]  # fmt: skip
GLOBAL = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_not_everybody_reaches_is_none(address: str) -> None:
    assert not is_global(address)


@pytest.mark.parametrize("address", GLOBAL)
def test_an_address_that_everybody_reaches_is_one(address: str) -> None:
    assert is_global(address)


def names(*answers: list[str]) -> Any:
    """A look-up that gives these answers, one after another, and the last for ever."""
    left = list(answers)

    async def look(host: str, port: int) -> list[Any]:
        addresses = left.pop(0) if len(left) > 1 else left[0]
        if not addresses:
            raise socket.gaierror("no such host")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return look


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "REQUIRED"),
        ("https://x.example/" + "a" * 2000, "TOO_LONG"),
        ("http://x.example/", "MALFORMED"),
        ("ftp://x.example/", "MALFORMED"),
        ("file:///etc/passwd", "MALFORMED"),
        ("https://", "MALFORMED"),
        ("https:///x", "MALFORMED"),
        ("https://user@x.example/", "MALFORMED"),
        ("https://x.example@evil.example/", "MALFORMED"),
        ("https://x.example/#a", "MALFORMED"),
        ("https://x.example:99999/", "MALFORMED"),
        ("https://x.example\\@evil/", "MALFORMED"),
        ("https://ex ample/", "MALFORMED"),
        ("https://[::1", "MALFORMED"),
        ("https://exämple.example/", "MALFORMED"),
    ],
)
async def test_a_url_that_cannot_be_called_is_refused(url: str, reason: str) -> None:
    with pytest.raises(InvalidField) as refused:
        await checked_url(url, anywhere=False, look_up=names(["1.1.1.1"]))
    assert (refused.value.reason, refused.value.field) == (reason, "url")


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["1.1.1.1", "127.0.0.1"], []])
async def test_a_name_that_leads_into_a_network_of_its_own_is_refused(addresses: list[str]) -> None:
    with pytest.raises(InvalidField) as refused:
        await checked_url("https://x.example/", anywhere=False, look_up=names(addresses))
    assert refused.value.reason == "OUT_OF_RANGE"


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "localhost"])
async def test_no_spelling_of_the_loopback_passes(host: str) -> None:
    with pytest.raises(InvalidField):
        await checked_url(f"https://{host}/", anywhere=False, look_up=look_up)


async def test_a_global_name_passes() -> None:
    url = "https://hooks.example:8443/a?b=c"
    assert await checked_url(url, anywhere=False, look_up=names(["93.184.216.34"])) == url


async def test_a_name_that_changes_after_it_was_checked_is_not_followed() -> None:
    """DNS rebinding: the first answer is global, the second, at the call, is not."""
    look = names(["93.184.216.34"], ["127.0.0.1"])
    await checked_url("https://x.example/", anywhere=False, look_up=look)
    with pytest.raises(NotGlobal):
        await CheckedResolver(look).resolve("x.example", 443)
    async with open_session(anywhere=False, look_up=names(["127.0.0.1"])) as session:
        with pytest.raises(OSError, match="Cannot connect") as refused:
            await session.post("https://x.example/")
    assert isinstance(refused.value.__cause__, NotGlobal)
