"""Whether a request that brings a cookie was meant by the person whose cookie it is.

A browser sends cookies along whoever wrote the page. Where the cookie alone says who is calling, a request
that changes something has to come from a page of ours, which browsers say in headers that no page can write.
"""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from services.common.errors import PermissionDenied
from services.gateway.accounts import session_cookie

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def require_meant(method: str, headers: Mapping[str, str], origins: Collection[str]) -> None:
    """`origins`: of our own pages, and of others that may call.

    Raises:
        PermissionDenied: CROSS_SITE_REQUEST.
    """
    if method in _SAFE or "authorization" in headers or session_cookie(headers.get("cookie", "")) is None:
        return
    origin = headers.get("origin")
    meant = origin in origins if origin is not None else headers.get("sec-fetch-site") == "same-origin"
    if not meant:
        raise PermissionDenied(
            "CROSS_SITE_REQUEST",
            "a request with a session's cookie has to come from a page of this gateway",
            metadata={"field": "Origin", "limit": ", ".join(sorted(origins))},
        )


def origin_of(url: str) -> str:
    """scheme://host[:port] of a URL, as browsers write it; "" for none."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""
