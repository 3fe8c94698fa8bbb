"""What an account may still ask for: wallets, lengths and songs a day, by its tier.

Knows tiers and what was made within a day. Refusals name the field and the limit.
"""

from dataclasses import replace

from services.common.errors import InvalidField
from services.gateway.models import Account, NewSong
from services.gateway.quota import DAY, Left
from services.gateway.store import Store
from services.gateway.tiers import Tier, Tiers


class Allowances:
    def __init__(self, store: Store, tiers: Tiers) -> None:
        self._store, self._tiers = store, tiers

    def allowed(self, account: Account, new: NewSong) -> NewSong:
        """The song as the account may have it, for one of its wallets, in its turn.

        Raises:
            InvalidField: longer than its tier's songs, or for a wallet that is not its own.
        """
        tier = self._tiers.of(account.tier)
        if new.duration_s > tier.longest_s:
            field = "duration_s" if new.source_song_id is None else "extend"
            limit = f"at most {tier.longest_s:g} seconds"
            message = f"the song has {new.duration_s:g} seconds"
            raise InvalidField("OUT_OF_RANGE", field, message, limit=limit)
        return replace(new, priority=tier.priority, creator_address=_creator(account, new))

    def tier(self, account: Account) -> Tier:
        return self._tiers.of(account.tier)

    def per_day(self, account: Account) -> int:
        """0: any number."""
        return self._tiers.of(account.tier).songs_per_day

    async def left(self, account: Account) -> Left:
        """Raises DatabaseUnavailable."""
        limit = self.per_day(account)
        if not limit:
            return Left(0, 0, None)
        made, oldest = await self._store.made_within(account.id, DAY)
        return Left(limit, max(0, limit - made), oldest + DAY if oldest is not None else None)


def _creator(account: Account, new: NewSong) -> str:
    """Who may mint a song may mint what becomes of it, also when the wallet has left the account since."""
    if account.wallets is None or new.source_song_id is not None:
        return new.creator_address
    if not new.creator_address:
        return account.wallets[0] if account.wallets else ""
    if new.creator_address not in account.wallets:
        limit = f"one of {', '.join(account.wallets)}" if account.wallets else "absent: no wallet is linked"
        message = "creator_address is none of the account's wallets"
        raise InvalidField("OUT_OF_RANGE", "creator_address", message, limit=limit)
    return new.creator_address
