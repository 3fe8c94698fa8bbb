"""All that can be asked of the gateway, as both faces have it."""

from dataclasses import dataclass

from services.gateway.accounts import Accounts
from services.gateway.allowances import Allowances
from services.gateway.arranging import Arranging
from services.gateway.audio.listening import Listening
from services.gateway.audio.pictures import Pictures
from services.gateway.batches import Batches
from services.gateway.capabilities import Capabilities
from services.gateway.identity.leaving import Leaving
from services.gateway.identity.signing_in import SigningIn
from services.gateway.identity.use_cases import AccountUseCases
from services.gateway.minting.use_cases import Minting
from services.gateway.operating import Operating
from services.gateway.sharing import Sharing
from services.gateway.songs import Songs
from services.gateway.timeline.timelines import Timelines
from services.gateway.webhooks.use_cases import Webhooks
from services.gateway.words import Words


@dataclass(frozen=True)
class UseCases:
    accounts: Accounts
    signing_in: SigningIn
    identity: AccountUseCases
    leaving: Leaving
    allowances: Allowances
    songs: Songs
    batches: Batches
    words: Words
    listening: Listening
    pictures: Pictures
    timelines: Timelines
    minting: Minting
    webhooks: Webhooks
    arranging: Arranging
    sharing: Sharing
    operating: Operating
    capabilities: Capabilities
