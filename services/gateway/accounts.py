"""Who is calling. Every route and every RPC goes through `Accounts.authenticate`.

Knows the kinds of credentials and whom they stand for. Knows no song.
"""

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from uuid import UUID

from services.common.errors import InvalidField, Unauthenticated
from services.gateway.identity.credentials import API_KEY, SERVICE, SESSION, kept
from services.gateway.identity.identities import Identities
from services.gateway.models import Account, Scope
from services.gateway.tiers import DEVELOPMENT

# Fixed, so that songs survive a restart.
DEVELOPMENT_ACCOUNT = Account(UUID("ace57e95-0000-4000-8000-000000000001"), tier=DEVELOPMENT, operator=True)
NOBODY = UUID(int=0)
# With a service's credential: the account on whose behalf it calls.
ON_BEHALF_OF = "acesteps-account"
COOKIE = "acesteps_session"


class Accounts:
    def __init__(self, identities: Identities, *, development: bool) -> None:
        """`development`: whoever brings no credentials is the one local account."""
        self._identities, self._development = identities, development

    async def authenticate(self, credentials: Mapping[str, str]) -> Account:
        """The account that `credentials` (HTTP headers or call metadata, names in lower case) stand for.

        Raises:
            Unauthenticated: CREDENTIALS_MISSING; CREDENTIALS_INVALID, unknown, revoked or expired.
            InvalidField: a service does not name an account.
            Unavailable: DATABASE_UNAVAILABLE.
        """
        secret = secret_of(credentials)
        if secret is None:
            if self._development:
                return DEVELOPMENT_ACCOUNT
            raise Unauthenticated("CREDENTIALS_MISSING", "sign in, or bring an API key")
        match secret[:4]:
            case kind if kind == SESSION:
                holder = await self._identities.of_session(kept(secret))
            case kind if kind == API_KEY:
                holder = await self._identities.of_api_key(kept(secret))
            case kind if kind == SERVICE:
                return await self._on_behalf(secret, credentials.get(ON_BEHALF_OF, ""))
            case _:
                holder = None
        if holder is None or holder.account_id is None:
            raise _invalid()
        scopes = frozenset(map(Scope, holder.scopes)) if secret.startswith(API_KEY) else None
        return Account(
            holder.account_id,
            tier=holder.tier,
            scopes=scopes,
            in_session=scopes is None,
            wallets=holder.wallets,
        )

    async def _on_behalf(self, secret: str, account: str) -> Account:
        holder = await self._identities.of_service(kept(secret))
        if holder is None:
            raise _invalid()
        if holder.operator and not account:  # on nobody's behalf: for operators' own calls, and no other
            return Account(NOBODY, scopes=frozenset(), in_session=False, operator=True)
        try:
            account_id = UUID(account)
        except ValueError:
            account_id = None
        whose = None if account_id is None else await self._identities.of_account(account_id)
        if whose is None or whose.account_id is None:
            limit = "the id of an account (UUID)"
            raise InvalidField("REQUIRED", ON_BEHALF_OF, "a service says for whom it calls", limit=limit)
        return Account(
            whose.account_id,
            tier=whose.tier,
            scopes=frozenset(Scope),
            in_session=False,
            operator=holder.operator,
            wallets=whose.wallets,
        )


def secret_of(credentials: Mapping[str, str]) -> str | None:
    """What was brought: of the header `authorization`, else of the cookie; None for neither.

    Raises:
        Unauthenticated: CREDENTIALS_INVALID, an `authorization` of another scheme.
    """
    if header := credentials.get("authorization", ""):
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise _invalid()
        return secret.strip()
    return session_cookie(credentials.get("cookie", ""))


def session_cookie(header: str) -> str | None:
    """The session's secret in a `Cookie` header; None where there is none."""
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return morsel.value or None if morsel is not None else None


def _invalid() -> Unauthenticated:
    return Unauthenticated("CREDENTIALS_INVALID", "the credentials are unknown, revoked or expired")
