"""A CreateSongRequest, checked field by field and made into what the queue keeps.

Knows the limits of the request but those of an edit, and what an edit takes from its source. Texts are
normalised here, once: what is stored is what is sung.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from services.common.address import checksum_address
from services.common.errors import InvalidField
from services.common.provenance import request_digest
from services.gateway.edits import LONGEST_RENDER_S, edit_of, edited_duration_s
from services.gateway.models import Account, NewSong, Song
from services.gateway.review import LONGEST_PROMPT, checked_text, read_prompt
from services.gateway.titles import LONGEST_TITLE, title_without_words

LONGEST_LYRICS = 20_000
SHORTEST_S, DEFAULT_S = 5.0, 60.0

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2}", re.ASCII)


def new_song(account: Account, request: pb.CreateSongRequest, source: Song | None) -> NewSong:
    """The song to queue. A seed that was not given is drawn now.

    `source` is the song of `source_song_id`, finished; None where the request names none.

    Raises:
        InvalidField: the first field that is missing or out of its limits.
    """
    request_id = checked_request_id(request.request_id)
    edit = edit_of(request)
    asked = _asked(request)
    kept: Mapping[str, Any] = {
        "edit": edit.SerializeToString(deterministic=True) if edit is not None else None,
        "sampling": _sampling(request),
    }
    # Only where they are given: earlier versions had none of them, and their requests may be repeated.
    more = {name: data.hex() for name, data in kept.items() if data is not None}
    if request.source_song_id:
        more["source_song_id"] = request.source_song_id
    seed = request.seed if request.HasField("seed") else None
    drawn = secrets.randbelow(1 << 32) if seed is None else seed
    fields = _of_nothing(asked, drawn) if edit is None or source is None else _of_source(asked, edit, source)
    return NewSong(
        id=uuid4(),
        account_id=account.id,
        request_id=request_id,
        request_digest=request_digest({**asked, **more, "seed": seed}),
        seed=drawn,
        reading=_reading(fields["prompt"]),
        **kept,
        **fields,
    )


def again(new: NewSong, request: pb.CreateSongRequest, prompt: str, seed: int) -> NewSong:
    """The song that `request`, which made `new`, makes with another prompt (checked) and another seed."""
    title = new.title
    if new.instrumental and new.source_song_id is None and not request.title.strip():
        title = title_without_words(prompt, revealed=new.reveal_prompt, seed=seed)
    return replace(new, id=uuid4(), prompt=prompt, seed=seed, title=title, reading=_reading(prompt))


def _reading(prompt: str) -> bytes | None:
    """What the prompt states, which goes to the engine with it; None where that is nothing."""
    return read_prompt(prompt).SerializeToString(deterministic=True) or None


def checked_request_id(request_id: str) -> str | None:
    """None for none. Raises InvalidField (MALFORMED)."""
    if request_id and not _REQUEST_ID.fullmatch(request_id):
        raise InvalidField(
            "MALFORMED", "request_id", "request_id is malformed", limit="1 to 64 characters of [A-Za-z0-9._-]"
        )
    return request_id or None


def _asked(request: pb.CreateSongRequest) -> Mapping[str, Any]:
    """What is asked for, whatever way it was written: the same fields are the same request."""
    prompt = checked_text("prompt", request.prompt, LONGEST_PROMPT, required=not request.source_song_id)
    title = checked_text("title", request.title, LONGEST_TITLE)
    lyrics = checked_text("lyrics", request.lyrics, LONGEST_LYRICS, lines=True)
    if request.instrumental and lyrics:
        raise InvalidField(
            "OUT_OF_RANGE", "lyrics", "an instrumental has no lyrics", limit="empty when instrumental is true"
        )
    if request.language and not _LANGUAGE.fullmatch(request.language):
        raise InvalidField(
            "MALFORMED",
            "language",
            "language is not a language code",
            limit="two lower-case letters (ISO 639-1)",
        )
    return {
        "prompt": prompt,
        "title": title,
        "given_lyrics": lyrics,
        "language": request.language,
        "instrumental": request.instrumental,
        "duration_s": _duration_s(request.duration_s) if request.HasField("duration_s") else DEFAULT_S,
        "creator_address": checksum_address(request.creator_address, "creator_address")
        if request.creator_address
        else "",
        "reveal_prompt": request.reveal_prompt,
    }


def _of_nothing(asked: Mapping[str, Any], seed: int) -> Mapping[str, Any]:
    title = asked["title"]
    if asked["instrumental"] and not title:  # words, once there are any, bring their own
        title = title_without_words(asked["prompt"], revealed=asked["reveal_prompt"], seed=seed)
    return {**asked, "title": title}


def _of_source(asked: Mapping[str, Any], edit: music_pb.SongSpec, source: Song) -> Mapping[str, Any]:
    """What is asked for, and where that is silent what the source has. Whether the prompt is revealed is
    asked for each song anew.

    Raises:
        InvalidField: the source is too short or too long for the edit, or another's.
    """
    if asked["creator_address"] not in ("", source.creator_address):
        # Whoever may mint a song may mint what becomes of it, and nobody else.
        message = "a song that is changed stays its creator's"
        limit = f"absent, or {source.creator_address}" if source.creator_address else "absent"
        raise InvalidField("OUT_OF_RANGE", "creator_address", message, limit=limit)
    instrumental = asked["instrumental"] or (source.instrumental and not asked["given_lyrics"])
    sung_again = not instrumental and not asked["given_lyrics"]
    return {
        **asked,
        "prompt": asked["prompt"] or source.prompt,
        "title": asked["title"] or source.title,
        "language": asked["language"] or source.language,
        "instrumental": instrumental,
        "duration_s": edited_duration_s(edit, source.audio_duration_s),
        "creator_address": source.creator_address,
        "lyrics": _sung(source.lyrics, asked["language"]) if sung_again else None,
        "source_song_id": source.id,
    }


def _sung(lyrics: bytes | None, language: str) -> bytes:
    """The words as they were sung; in `language`, where there is one."""
    document = lyrics_pb.LyricDocument.FromString(lyrics or b"")
    if language:
        document.language = language
    return document.SerializeToString(deterministic=True)


def _sampling(request: pb.CreateSongRequest) -> bytes | None:
    """How to sample; None where nothing is said of it. Its limits are the engine's."""
    if not request.sampling.ListFields():
        return None
    sampling = music_pb.Sampling()
    sampling.CopyFrom(request.sampling)
    sampling.DiscardUnknownFields()
    return sampling.SerializeToString(deterministic=True)


def _duration_s(duration_s: float) -> float:
    if not SHORTEST_S <= duration_s <= LONGEST_RENDER_S:  # NaN too
        raise InvalidField(
            "OUT_OF_RANGE",
            "duration_s",
            f"duration_s is {duration_s:g}",
            limit=f"{SHORTEST_S:g} to {LONGEST_RENDER_S:g} seconds",
        )
    return duration_s
