"""How a gRPC call says who makes it."""

from collections.abc import Mapping
from typing import Any

import grpc

Context = grpc.aio.ServicerContext[Any, Any]


def credentials_of(context: Context) -> Mapping[str, str]:
    """The call's metadata, as `Accounts` reads it. Cookies are browsers': no call brings one."""
    metadata = context.invocation_metadata() or ()
    return {name: value for name, value in metadata if isinstance(value, str) and name != "cookie"}
