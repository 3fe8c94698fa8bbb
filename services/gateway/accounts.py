"""Who is calling. Every route and every RPC goes through `Accounts.authenticate`.

Development has one account, and everyone is it. Knows no song.
"""

from collections.abc import Mapping
from typing import Literal
from uuid import UUID

from services.gateway.models import Account

# Fixed, so that songs survive a restart.
DEVELOPMENT_ACCOUNT = Account(UUID("ace57e95-0000-4000-8000-000000000001"))


class Accounts:
    def __init__(self, mode: Literal["development"]) -> None:
        self._mode = mode

    async def authenticate(self, credentials: Mapping[str, str]) -> Account:
        """The account that `credentials` (HTTP headers or call metadata, names in lower case) stand for.

        Raises:
            Unauthenticated: they stand for none. Not in development, which asks for nothing.
        """
        return DEVELOPMENT_ACCOUNT
