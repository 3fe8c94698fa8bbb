"""Has a song's files pinned at other places too: asks before there is a permit, follows what becomes of it.

Knows which file is to be where; how a place is spoken to is `pinning`.
"""

import asyncio
import logging
import mimetypes
from collections.abc import Sequence

from services.common.errors import Internal, Unavailable
from services.gateway import metrics
from services.gateway.database import DatabaseUnavailable
from services.gateway.minting.pinning import File, Held, Place
from services.gateway.minting.remote_pins import UNWANTED, RemotePin, RemotePins
from services.gateway.models import PinState, Song
from services.gateway.objects import Objects

_log = logging.getLogger(__name__)

# Waiting doubles up to this: for a place that is at work, and for one that has failed or is away.
LONGEST_WAIT_S = 300.0
LONGEST_BACKOFF_S = 3600.0


class Keeper:
    """Every replica may have one."""

    def __init__(self, pins: RemotePins, objects: Objects, places: Sequence[Place], *, poll_s: float) -> None:
        """`places` in the order in which they are asked: one may fetch the files from the one before."""
        self._pins, self._objects, self.places = pins, objects, places
        self._by_name = {place.name: place for place in places}
        self._poll_s = poll_s

    async def keep(self, song: Song) -> None:
        """Returns once every place has the files of a song whose metadata is fixed, or has taken the request.

        Raises:
            PinningUnavailable, WrongCid: one has not; it is asked again behind the caller's back.
            Unavailable: the database's, the object store's.
        """
        cids = (song.audio_cid, song.image_cid, song.metadata_cid)
        for place in self.places:
            pins = await self._pins.enter(song.id, cids, place.name)
            outcomes = await asyncio.gather(*(self._ask(place, p) for p in pins), return_exceptions=True)
            errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            if errors:
                for pin, outcome in zip(pins, outcomes, strict=True):
                    if outcome is not None:
                        await self._put_off(pin, outcome)
                raise errors[0]

    async def run(self) -> None:
        """Follows pins until cancelled, those too that were saved before their place was set."""
        names = list(self._by_name)
        entered = False
        while True:
            try:
                if not entered:
                    await self._pins.enter_saved(names)
                    entered = True
                while (pin := await self._pins.due(names)) is not None:
                    await self._follow(pin)
            except DatabaseUnavailable:
                pass
            await asyncio.sleep(self._poll_s)

    async def _follow(self, pin: RemotePin) -> None:
        place = self._by_name[pin.place]
        try:
            if pin.state == UNWANTED:
                await place.unpin(pin.cid, pin.request_id)
                await self._pins.gone(pin)
                return
            if pin.request_id and pin.state != PinState.FAILED:
                held = await place.look(pin.cid, pin.request_id)
                if held is not None:
                    await self._note(pin, held)
                    return
            await self._ask(place, pin)
        except DatabaseUnavailable:
            raise
        except (Unavailable, Internal) as error:
            await self._put_off(pin, error)

    async def _ask(self, place: Place, pin: RemotePin) -> None:
        async def read() -> bytes:
            return await self._objects.read_all(pin.object_key or "", 0, pin.bytes or 0)

        suffix = mimetypes.guess_extension(pin.media_type or "") or ""
        await self._note(pin, await place.pin(File(pin.cid, f"{pin.song_id}{suffix}", read)))

    async def _note(self, pin: RemotePin, held: Held) -> None:
        metrics.PINS.labels(pin.place, held.state.lower()).inc()
        if held.state is PinState.PINNED:
            wait_s = None
        else:
            looks = pin.looks if held.state == pin.state else 0
            failed = held.state is PinState.FAILED
            wait_s = self._wait_s(looks, LONGEST_BACKOFF_S if failed else LONGEST_WAIT_S)
        await self._pins.note(pin, held, wait_s)

    async def _put_off(self, pin: RemotePin, error: BaseException) -> None:
        why = str(error)
        _log.warning("a file is not pinned", extra={"cid": pin.cid, "place": pin.place, "why": why})
        metrics.PINS.labels(pin.place, "unavailable").inc()
        await self._pins.put_off(pin, why, self._wait_s(pin.looks, LONGEST_BACKOFF_S))

    def _wait_s(self, looks: int, most_s: float) -> float:
        return float(min(most_s, self._poll_s * 2 ** min(looks, 20)))
