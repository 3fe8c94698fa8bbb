"""A song's timeline: as its engine gave it, with the words that are stored with the song; and as LRC or MIDI.

The use case behind both faces. Knows no transport.
"""

import asyncio
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from google.protobuf.message import DecodeError

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from services.common.errors import Internal, InvalidField, NotFound
from services.gateway.audio.download import require_done
from services.gateway.disclosure import named, sentence
from services.gateway.lookup import song_of_account
from services.gateway.models import Account, Scope, Song
from services.gateway.objects import Objects, key_of
from services.gateway.sharing import Sharing
from services.gateway.store import Store
from services.gateway.timeline.lrc import lrc_file
from services.gateway.timeline.midi import midi_file


class TimelineFormat(StrEnum):
    JSON = "json"
    LRC = "lrc"
    MIDI = "midi"

    @property
    def media_type(self) -> str:
        """Of LRC none is registered; this is what its programs say."""
        return {"json": "application/json", "lrc": "application/lrc", "midi": "audio/midi"}[self]


FORMATS: Mapping[int, TimelineFormat] = {
    pb.TIMELINE_FORMAT_UNSPECIFIED: TimelineFormat.JSON,
    pb.TIMELINE_FORMAT_LRC: TimelineFormat.LRC,
    pb.TIMELINE_FORMAT_MIDI: TimelineFormat.MIDI,
}
FORMAT_NAMES = "json, lrc or midi"


@dataclass(frozen=True)
class Told:
    """What a face shows, and of which song."""

    title: str
    response: pb.GetTimelineResponse


class Timelines:
    """May raise Unavailable (the database, the objects), NotFound (SONG_NOT_FOUND, SHARE_NOT_FOUND,
    TIMELINE_UNKNOWN), FailedPrecondition (the song is not done) and InvalidField (UNKNOWN_VALUE).
    """

    def __init__(self, store: Store, sharing: Sharing, objects: Objects) -> None:
        self._store, self._sharing, self._objects = store, sharing, objects

    async def of_account(self, account: Account, request: pb.GetTimelineRequest) -> Told:
        account.require(Scope.READ)
        return await self._told(await song_of_account(self._store, account, request.song_id), request)

    async def of_anyone(self, request: pb.GetTimelineRequest) -> Told:
        """Of a song that is shared."""
        return await self._told(await self._sharing.song(request.share_token), request)

    async def _told(self, song: Song, request: pb.GetTimelineRequest) -> Told:
        if request.format not in FORMATS:
            raise InvalidField(
                "UNKNOWN_VALUE", "format", f"format {request.format} is not known", limit=FORMAT_NAMES
            )
        require_done(song)
        stored = await self._stored(song)
        # In a thread: a long song has thousands of notes.
        response = await asyncio.to_thread(_response, song, stored, FORMATS[request.format], request.words)
        return Told(song.title, response)

    async def _stored(self, song: Song) -> bytes:
        if song.timeline_sha256 is None:
            raise NotFound("TIMELINE_UNKNOWN", f"the engine {song.engine} told nothing of this song's time")
        key = key_of(song.timeline_sha256)
        return await self._objects.read_all(key, 0, await self._objects.size(key))


def _response(
    song: Song, stored: bytes, timeline_format: TimelineFormat, words: bool
) -> pb.GetTimelineResponse:
    try:
        timeline = music_pb.Timeline.FromString(stored)
        _fill_in(timeline, song)
        if timeline_format is TimelineFormat.LRC:
            file = lrc_file(timeline, song.title, f"AceSteps, engine {named(song.engine)}", words=words)
        elif timeline_format is TimelineFormat.MIDI:
            file = midi_file(timeline, song.title, sentence(song.engine))
        else:
            timeline.ClearField("tracks")
            return pb.GetTimelineResponse(timeline=timeline)
    except (DecodeError, LookupError, ValueError, ArithmeticError) as error:
        # What a pod said of its own song, and nobody has proved.
        raise Internal("TIMELINE_MALFORMED", "the song's timeline cannot be read") from error
    return pb.GetTimelineResponse(media_type=timeline_format.media_type, file=file)


def _fill_in(timeline: music_pb.Timeline, song: Song) -> None:
    """The words, which only the song has. Raises IndexError for lines that it has not."""
    document = lyrics_pb.LyricDocument.FromString(song.lyrics or b"")
    for line in timeline.lines:
        text = document.sections[line.section].lines[line.line].text
        line.text = unicodedata.normalize("NFC", text).strip()  # as it was sung
        bounds = [*(syllable.first_character for syllable in line.syllables), len(line.text)]
        for syllable, (start, end) in zip(line.syllables, pairwise(bounds), strict=True):
            syllable.text = line.text[start:end]
