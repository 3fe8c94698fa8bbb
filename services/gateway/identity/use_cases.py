"""What an account has besides songs: wallets and API keys. The use cases behind both faces.

Every method takes who calls, and works on that account only. Knows no transport.
"""

import re
from uuid import UUID

from acesteps.gateway.v1 import account_service_pb2 as pb
from services.common.address import checksum_address
from services.common.errors import AlreadyExists, FailedPrecondition, InvalidField, NotFound
from services.gateway.allowances import Allowances
from services.gateway.identity.credentials import API_KEY, SHOWN, kept, new_secret
from services.gateway.identity.identities import MOST_API_KEYS, ApiKey, Identities
from services.gateway.identity.signing_in import SigningIn
from services.gateway.messages import timestamp
from services.gateway.models import Account, Scope
from services.gateway.review import checked_text

LONGEST_NAME = 80
LONGEST_KEY_DAYS = 366

_SCOPES = {scope: pb.Scope.Value(f"SCOPE_{scope}") for scope in Scope}


class AccountUseCases:
    """Every method may raise Unavailable (DATABASE_UNAVAILABLE), PermissionDenied (SESSION_REQUIRED)."""

    def __init__(self, identities: Identities, signing_in: SigningIn, allowances: Allowances) -> None:
        self._identities, self._signing_in, self._allowances = identities, signing_in, allowances

    async def read(self, account: Account) -> pb.Account:
        wallets = await self._identities.wallets(account.id)
        tier_name, created_at = await self._identities.entry(account.id)
        left, tier = await self._allowances.left(account), self._allowances.tier(account)
        return pb.Account(
            id=str(account.id),
            tier=tier_name,
            create_time=timestamp(created_at),
            limits=pb.AccountLimits(
                songs_per_day=left.limit,
                songs_left=left.left,
                reset_time=timestamp(left.reset_at),
                max_duration_s=tier.longest_s,
                concurrency=tier.concurrency,
            ),
            wallets=[
                pb.Wallet(address=w.address, is_default=w.is_default, link_time=timestamp(w.linked_at))
                for w in wallets
            ],
        )

    async def get(self, account: Account, request: pb.GetAccountRequest) -> pb.GetAccountResponse:
        account.require(Scope.READ)
        return pb.GetAccountResponse(account=await self.read(account))

    async def link_wallet(self, account: Account, request: pb.LinkWalletRequest) -> pb.LinkWalletResponse:
        account.require_session()
        address = await self._signing_in.require_wallet(request.message, request.signature)
        if not await self._identities.link(account.id, address):
            raise AlreadyExists(
                "WALLET_TAKEN", "the wallet is another account's", metadata={"field": "message.address"}
            )
        return pb.LinkWalletResponse(account=await self.read(account))

    async def set_default_wallet(
        self, account: Account, request: pb.SetDefaultWalletRequest
    ) -> pb.SetDefaultWalletResponse:
        account.require_session()
        address = checksum_address(request.address, "address")
        if not await self._identities.set_default(account.id, address):
            raise _wallet_not_found()
        return pb.SetDefaultWalletResponse(account=await self.read(account))

    async def unlink_wallet(
        self, account: Account, request: pb.UnlinkWalletRequest
    ) -> pb.UnlinkWalletResponse:
        account.require_session()
        match await self._identities.unlink(account.id, checksum_address(request.address, "address")):
            case "unknown":
                raise _wallet_not_found()
            case "last":
                raise FailedPrecondition(
                    "LAST_WALLET", "the account has no other wallet", metadata={"field": "address"}
                )
        return pb.UnlinkWalletResponse(account=await self.read(account))

    async def create_api_key(
        self, account: Account, request: pb.CreateApiKeyRequest
    ) -> pb.CreateApiKeyResponse:
        account.require_session()
        name = checked_text("name", request.name, LONGEST_NAME, required=True)
        scopes = _scopes(request)
        days = request.expires_in_days if request.HasField("expires_in_days") else None
        if days is not None and not 1 <= days <= LONGEST_KEY_DAYS:
            limit = f"1 to {LONGEST_KEY_DAYS} days"
            raise InvalidField("OUT_OF_RANGE", "expires_in_days", f"expires_in_days is {days}", limit=limit)
        secret = new_secret(API_KEY)
        made = await self._identities.add_api_key(
            account.id, name, [str(s) for s in scopes], secret[:SHOWN], kept(secret), days
        )
        if made is None:
            raise FailedPrecondition(
                "TOO_MANY",
                "the account has too many API keys",
                metadata={"limit": f"at most {MOST_API_KEYS}"},
            )
        return pb.CreateApiKeyResponse(api_key=_key_message(made), secret=secret)

    async def list_api_keys(self, account: Account, request: pb.ListApiKeysRequest) -> pb.ListApiKeysResponse:
        account.require_session()
        keys = await self._identities.api_keys(account.id)
        return pb.ListApiKeysResponse(api_keys=map(_key_message, keys))

    async def revoke_api_key(
        self, account: Account, request: pb.RevokeApiKeyRequest
    ) -> pb.RevokeApiKeyResponse:
        account.require_session()
        if not await self._identities.revoke_api_key(account.id, _key_id(request.api_key_id)):
            raise _key_not_found()
        return pb.RevokeApiKeyResponse()


def _scopes(request: pb.CreateApiKeyRequest) -> list[Scope]:
    """Each once, in the order of the proto."""
    limit = "one or more of " + ", ".join(f"SCOPE_{scope}" for scope in Scope)
    if not request.scopes:
        raise InvalidField("REQUIRED", "scopes", "scopes are missing", limit=limit)
    for index, number in enumerate(request.scopes):
        if number not in _SCOPES.values():
            raise InvalidField(
                "UNKNOWN_VALUE", f"scopes[{index}]", f"scope {number} is not known", limit=limit
            )
    return [scope for scope, number in _SCOPES.items() if number in request.scopes]


def _key_message(key: ApiKey) -> pb.ApiKey:
    return pb.ApiKey(
        id=str(key.id),
        name=key.name,
        scopes=[_SCOPES[Scope(s)] for s in key.scopes],
        prefix=key.prefix,
        create_time=timestamp(key.created_at),
        last_use_time=timestamp(key.last_used_at),
        expire_time=timestamp(key.expires_at),
    )


def _key_id(text: str) -> UUID:
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text, re.ASCII):
        raise _key_not_found()
    return UUID(text)


def _key_not_found() -> NotFound:
    limit = "the id of an API key of yours (UUID)"
    return NotFound(
        "API_KEY_NOT_FOUND", "there is no such API key", metadata={"field": "api_key_id", "limit": limit}
    )


def _wallet_not_found() -> NotFound:
    limit = "a wallet of yours, EIP-55"
    return NotFound(
        "WALLET_NOT_FOUND", "the account has no such wallet", metadata={"field": "address", "limit": limit}
    )
