"""The use cases, put together from what was opened; and what sends to webhooks beside them.

Knows every room and no rule.
"""

import asyncio
import logging
import secrets

from services.gateway.accounts import Accounts
from services.gateway.allowances import Allowances
from services.gateway.arranging import Arranging
from services.gateway.audio.chunks import Chunks
from services.gateway.audio.download import Files
from services.gateway.audio.listening import Listening
from services.gateway.audio.pictures import Pictures
from services.gateway.audio.signed_urls import SignedUrls, drawn_key
from services.gateway.audio.workbench import Workbench
from services.gateway.batch_store import BatchStore
from services.gateway.batches import Batches
from services.gateway.capabilities import Capabilities
from services.gateway.identity.identities import Identities
from services.gateway.identity.leaving import Leaving
from services.gateway.identity.signing_in import SigningIn, Site
from services.gateway.identity.use_cases import AccountUseCases
from services.gateway.minting.saving import Saver
from services.gateway.minting.use_cases import Minting
from services.gateway.operating import Operating
from services.gateway.ordering import Ordering
from services.gateway.resources import Resources
from services.gateway.settings import GatewaySettings
from services.gateway.sharing import Sharing
from services.gateway.shelf import Shelf
from services.gateway.songs import Songs
from services.gateway.store import Store
from services.gateway.timeline.timelines import Timelines
from services.gateway.use_cases import UseCases
from services.gateway.waiting import WaitingRoom
from services.gateway.webhooks.addresses import look_up
from services.gateway.webhooks.delivering import Delivering
from services.gateway.webhooks.hooks import Hooks
from services.gateway.webhooks.sending import Sender
from services.gateway.webhooks.signing import Secrets
from services.gateway.webhooks.use_cases import Webhooks
from services.gateway.words import Words
from services.gateway.work.lyricist import Lyricist

_log = logging.getLogger(__name__)


def assemble(opened: Resources, draining: asyncio.Event) -> tuple[UseCases, Delivering]:
    settings, database, notices = opened.settings, opened.database, opened.notices
    store, shelf, identities = Store(database), Shelf(database), Identities(database)
    site = Site(settings.site, settings.chain_id)
    signing_in = SigningIn(
        identities, site, opened.chain, tier=opened.tiers.first, session_s=settings.session_s
    )
    allowances = Allowances(store, opened.tiers)
    identity = AccountUseCases(identities, signing_in, allowances)
    ordering = Ordering(store, Lyricist(opened.lyrics), allowances)
    waiting = WaitingRoom(database, opened.tiers)
    workbench = Workbench()
    files = Files(opened.objects, workbench)
    saver = Saver(store, opened.objects, opened.keeper, opened.signer, public_url=settings.public_url)
    sharing = Sharing(shelf, settings.public_url)
    webhooks, delivering = _webhooks(opened, store)
    use_cases = UseCases(
        accounts=Accounts(identities, development=settings.auth == "development"),
        signing_in=signing_in,
        identity=identity,
        leaving=Leaving(database, store, identity),
        allowances=allowances,
        songs=Songs(store, notices, ordering, waiting, draining),
        batches=Batches(BatchStore(database), notices, ordering, waiting, draining),
        words=Words(opened.lyrics),
        listening=Listening(store, Chunks(database), files, notices, _signed_urls(settings), draining),
        pictures=Pictures(store, files, workbench),
        arranging=Arranging(store, shelf, settings.public_url),
        sharing=sharing,
        timelines=Timelines(store, sharing, opened.objects),
        operating=Operating(shelf),
        capabilities=Capabilities(lambda: opened.pods.ready, opened.lyrics, settings.chain_id),
        minting=Minting(store, opened.objects, saver, settings.contract_abi_file),
        webhooks=webhooks,
    )
    return use_cases, delivering


def _webhooks(opened: Resources, store: Store) -> tuple[Webhooks, Delivering]:
    settings, hooks = opened.settings, Hooks(opened.database)
    anywhere, made_of = settings.webhooks_anywhere, Secrets(_webhook_key(settings))
    sender = Sender(opened.session, store, made_of, anywhere=anywhere)
    delivering = Delivering(hooks, sender, opened.notices, pause_s=settings.webhook_pause_s)
    return Webhooks(hooks, made_of, delivering, anywhere=anywhere, look_up=look_up), delivering


def _webhook_key(settings: GatewaySettings) -> bytes:
    if settings.webhook_key is not None:
        return settings.webhook_key.get_secret_value().encode()
    _log.info("GATEWAY_WEBHOOK_KEY is not set: the secrets of webhooks are good at this process only")
    return secrets.token_bytes(32)


def _signed_urls(settings: GatewaySettings) -> SignedUrls:
    keys = [key.get_secret_value() for key in settings.url_keys]
    if not keys:
        keys = [drawn_key()]
        _log.info("GATEWAY_URL_KEYS is not set: signed URLs are good at this process only, and end with it")
    return SignedUrls(keys, settings.url_s, settings.public_url)
