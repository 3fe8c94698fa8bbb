"""What songs can be asked for here: words that are understood, limits, and the engines that are ready.

The use case behind both faces, for anyone. Asks the pods at most every few seconds, whoever asks here.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import grpc

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.lyrics.v1.lyrics_service_pb2_grpc import LyricsServiceStub
from acesteps.music.v1 import music_service_pb2 as music_pb
from acesteps.music.v1.music_service_pb2_grpc import MusicServiceStub
from services.gateway.batches import MOST_PROMPTS, MOST_SONGS, MOST_VARIATIONS
from services.gateway.creation import DEFAULT_S, LONGEST_LYRICS, SHORTEST_S
from services.gateway.edits import LONGEST_CHAIN, LONGEST_RENDER_S, LONGEST_SONG_S
from services.gateway.review import LONGEST_PROMPT
from services.gateway.review.reading import vocabulary
from services.gateway.titles import LONGEST_TITLE

ASK_EVERY_S, ANSWER_WITHIN_S = 5.0, 1.0
# One call reaches one of the pods: what others said before still holds for as long as this.
HOLDS_S = 60.0


T = TypeVar("T")


class Capabilities:
    def __init__(
        self,
        music: Callable[[], Sequence[grpc.aio.Channel]],
        lyrics: grpc.aio.Channel,
        chain_id: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`music` gives a channel to every music pod that is ready."""
        self._music, self._lyrics = music, LyricsServiceStub(lyrics)
        self._chain_id, self._now = chain_id, now
        self._engines: Sequence[music_pb.DescribeEngineResponse] = ()
        self._written: frozenset[str] = frozenset()
        self._asked_at_s = float("-inf")
        self._asking = asyncio.Lock()

    async def get(self, request: pb.GetCapabilitiesRequest) -> pb.GetCapabilitiesResponse:
        async with self._asking:
            if self._now() - self._asked_at_s >= ASK_EVERY_S:
                await self._ask()
                self._asked_at_s = self._now()
        engines = self._engines
        known = vocabulary()
        return pb.GetCapabilitiesResponse(
            genres=[pb.Supported(name=genre.name, tier=genre.tier) for genre in known.supported_genres],
            moods=known.mood_names,
            instruments=known.instrument_names,
            languages=[
                pb.SupportedLanguage(
                    code=one.code, name=one.name, tier=one.tier, written=one.code in self._written
                )
                for one in known.languages
            ],
            limits=pb.CreationLimits(
                prompt_characters=LONGEST_PROMPT,
                title_characters=LONGEST_TITLE,
                lyrics_characters=LONGEST_LYRICS,
                min_duration_s=SHORTEST_S,
                max_duration_s=LONGEST_RENDER_S,
                default_duration_s=DEFAULT_S,
                max_edited_duration_s=LONGEST_SONG_S,
                chain_songs=LONGEST_CHAIN + 1,
                batch_prompts=MOST_PROMPTS,
                batch_variations=MOST_VARIATIONS,
                batch_songs=MOST_SONGS,
            ),
            engines=map(_engine, engines),
            adapters=sorted({name for engine in engines for name in engine.adapters}),
            permit_formats=[pb.PERMIT_FORMAT_EIP712, pb.PERMIT_FORMAT_PACKED],
            chain_id=self._chain_id,
        )

    async def _ask(self) -> None:
        """All at once; one that is away is as if it had nothing."""
        asked = music_pb.DescribeEngineRequest()
        lyricist, told = await asyncio.gather(
            _answer(
                self._lyrics.DescribeLyricist(lyrics_pb.DescribeLyricistRequest(), timeout=ANSWER_WITHIN_S)
            ),
            asyncio.gather(
                *(
                    _answer(MusicServiceStub(pod).DescribeEngine(asked, timeout=ANSWER_WITHIN_S))
                    for pod in self._music()
                )
            ),
        )
        self._written = frozenset(lyricist.languages if lyricist else ())
        each = {(engine.engine, engine.engine_version): engine for engine in told if engine is not None}
        self._engines = [engine for _, engine in sorted(each.items())]


async def _answer(call: Awaitable[T]) -> T | None:
    try:
        return await call
    except grpc.aio.AioRpcError:
        return None


def _engine(said: music_pb.DescribeEngineResponse) -> pb.Engine:
    return pb.Engine(
        name=said.engine,
        version=said.engine_version,
        ai=said.ai,
        min_duration_s=said.min_duration_s,
        max_duration_s=said.max_duration_s,
        slots=said.slots,
        tasks=said.tasks,
        adapters=said.adapters,
    )
