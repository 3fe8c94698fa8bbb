"""The synchronous client as a whole."""

from acesteps.sync.accounts import Accounts
from acesteps.sync.audio import Audio
from acesteps.sync.batches import Batches
from acesteps.sync.minting import Minting
from acesteps.sync.operating import Operating
from acesteps.sync.songs import Songs
from acesteps.sync.webhooks import Webhooks
from acesteps.sync.words import Words


class Client(
    Songs,
    Batches,
    Words,
    Audio,
    Minting,
    Accounts,
    Webhooks,
    Operating,
):
    """A gateway, as one account sees it.

    Answers are the gateway's own messages, described in `acesteps/gateway/v1`. Calls that the gateway
    misses are made again until it is back or the client's patience is at its end; none of them does
    anything twice. One client may be used by any number of threads.

        with Client("127.0.0.1:50050") as client:
            song = client.make("calm piano at night, 70 BPM", duration_s=30)
            client.download(song.id, "night.mp3")
    """
