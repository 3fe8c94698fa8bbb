"""Signing in with a wallet, and out: nonces, messages that are meant for this gateway, sessions.

The use cases behind both faces. What a message says is `siwe`'s, who signed it `signatures`'s.
"""

import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from acesteps.gateway.v1 import account_service_pb2 as pb
from services.common.errors import InvalidField, Unauthenticated
from services.gateway.chain import Chain
from services.gateway.identity.credentials import SESSION, kept, new_secret
from services.gateway.identity.identities import Identities
from services.gateway.identity.signatures import require_signed, signature_bytes
from services.gateway.identity.siwe import SiweMessage, parse
from services.gateway.messages import timestamp
from services.gateway.models import Account

NONCE_LIFETIME_S = 600.0
NONCE_CHARACTERS = 24
STATEMENT = "Sign in to AceSteps. This costs nothing and sends no transaction."
# Clocks of wallets differ.
LEEWAY = timedelta(minutes=2)

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Site:
    """What a message has to name to be meant for this gateway."""

    # scheme://host[:port] of the page that asks for the signature, without a path
    uri: str
    chain_id: int

    @property
    def domain(self) -> str:
        return urlsplit(self.uri).netloc


@dataclass(frozen=True)
class Session:
    secret: str
    expires_at: datetime
    account: Account


class SigningIn:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE)."""

    def __init__(
        self, identities: Identities, site: Site, chain: Chain | None, *, tier: str, session_s: float
    ) -> None:
        """`tier`: of an account that is new. `session_s`: how long a session lasts."""
        self._identities, self._site, self._chain = identities, site, chain
        self._tier, self._session_s = tier, session_s

    async def nonce(self) -> pb.CreateNonceResponse:
        nonce = "".join(secrets.choice(_ALPHABET) for _ in range(NONCE_CHARACTERS))
        expires_at = await self._identities.add_nonce(nonce, NONCE_LIFETIME_S)
        return pb.CreateNonceResponse(
            nonce=nonce,
            expire_time=timestamp(expires_at),
            domain=self._site.domain,
            uri=self._site.uri,
            chain_id=self._site.chain_id,
            statement=STATEMENT,
        )

    async def sign_in(self, request: pb.SignInRequest) -> Session:
        """Raises as the proto's SignIn says."""
        address = await self.require_wallet(request.message, request.signature)
        account_id = await self._identities.enter(address, self._tier)
        secret = new_secret(SESSION)
        expires_at = await self._identities.add_session(kept(secret), account_id, address, self._session_s)
        holder = await self._identities.of_account(account_id)
        tier = holder.tier if holder is not None else self._tier
        return Session(secret, expires_at, Account(account_id, tier=tier))

    async def sign_out(
        self, account: Account, secret: str | None, request: pb.SignOutRequest
    ) -> pb.SignOutResponse:
        """Ends the session of `secret`, or all of the account's.

        Raises:
            PermissionDenied: SESSION_REQUIRED.
        """
        account.require_session()
        if request.everywhere:
            await self._identities.end_sessions(account.id)
        elif secret is not None:
            await self._identities.end_session(kept(secret))
        return pb.SignOutResponse()

    async def require_wallet(self, text: str, signature: str) -> str:
        """The wallet that signed this message for this gateway just now; its nonce is used up.

        Raises:
            InvalidField: the message or the signature is malformed, or is not meant for this gateway.
            Unauthenticated: NONCE_INVALID, MESSAGE_EXPIRED, SIGNATURE_INVALID.
            Unavailable: CHAIN_UNAVAILABLE.
        """
        message, signed = parse(text), signature_bytes(signature)
        self._require_meant(message)
        _require_current(message, datetime.now(UTC))
        await require_signed(text, message.address, signed, self._chain)
        # Last: a chain that is away costs nobody a nonce.
        if not await self._identities.use_nonce(message.nonce):
            raise Unauthenticated(
                "NONCE_INVALID",
                "the nonce is none of ours, was used, or is too old",
                metadata={
                    "field": "message.nonce",
                    "limit": f"one of the last {NONCE_LIFETIME_S / 60:g} minutes",
                },
            )
        return message.address

    def _require_meant(self, message: SiweMessage) -> None:
        site = self._site
        scheme = urlsplit(site.uri).scheme
        for field, found, wanted in (
            ("domain", message.domain, site.domain),
            ("scheme", message.scheme or scheme, scheme),
            ("chain_id", str(message.chain_id), str(site.chain_id)),
        ):
            if found != wanted:
                raise InvalidField("OUT_OF_RANGE", f"message.{field}", f"{field} is {found}", limit=wanted)
        if message.uri != site.uri and not message.uri.startswith(f"{site.uri}/"):
            limit = f"{site.uri} or below"
            raise InvalidField("OUT_OF_RANGE", "message.uri", "uri is another site's", limit=limit)


def _require_current(message: SiweMessage, now: datetime) -> None:
    """Raises Unauthenticated (MESSAGE_EXPIRED)."""
    try:
        begins = message.not_before or message.issued_at
        current = message.issued_at <= now + LEEWAY and begins <= now + LEEWAY
        current = current and (message.expiration_time is None or now < message.expiration_time)
    except OverflowError:  # a moment at the end of the calendar
        current = False
    if not current:
        raise Unauthenticated(
            "MESSAGE_EXPIRED",
            "the message is not valid yet, or not any more",
            metadata={"field": "message", "limit": "issued before now, and not expired"},
        )
