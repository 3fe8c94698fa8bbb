"""The asynchronous client as a whole."""

from acesteps.aio.accounts import AsyncAccounts
from acesteps.aio.audio import AsyncAudio
from acesteps.aio.batches import AsyncBatches
from acesteps.aio.minting import AsyncMinting
from acesteps.aio.operating import AsyncOperating
from acesteps.aio.songs import AsyncSongs
from acesteps.aio.webhooks import AsyncWebhooks
from acesteps.aio.words import AsyncWords


class AsyncClient(
    AsyncSongs,
    AsyncBatches,
    AsyncWords,
    AsyncAudio,
    AsyncMinting,
    AsyncAccounts,
    AsyncWebhooks,
    AsyncOperating,
):
    """A gateway, as one account sees it.

    Answers are the gateway's own messages, described in `acesteps/gateway/v1`. Calls that the gateway
    misses are made again until it is back or the client's patience is at its end; none of them does
    anything twice. One client may be used by any number of tasks.

        async with AsyncClient("127.0.0.1:50050") as client:
            song = await client.make("calm piano at night, 70 BPM", duration_s=30)
            await client.download(song.id, "night.mp3")
    """
