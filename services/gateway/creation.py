"""A CreateSongRequest, checked field by field and made into what the queue keeps.

Knows every limit of the request. Texts are normalised here, once: what is stored is what is sung.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from services.common.address import checksum_address
from services.common.errors import InvalidField
from services.common.provenance import request_digest
from services.gateway.models import Account, NewSong
from services.gateway.review import LONGEST_PROMPT, checked_text
from services.gateway.titles import LONGEST_TITLE, title_without_words

LONGEST_LYRICS = 20_000
SHORTEST_S, LONGEST_S, DEFAULT_S = 5.0, 240.0, 60.0

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2}", re.ASCII)


def new_song(account: Account, request: pb.CreateSongRequest) -> NewSong:
    """The song to queue. A seed that was not given is drawn now.

    Raises:
        InvalidField: the first field that is missing or out of its limits.
    """
    if request.request_id and not _REQUEST_ID.fullmatch(request.request_id):
        raise InvalidField(
            "MALFORMED", "request_id", "request_id is malformed", limit="1 to 64 characters of [A-Za-z0-9._-]"
        )
    prompt = checked_text("prompt", request.prompt, LONGEST_PROMPT, required=True)
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
    # What is asked for, whatever way it was written: the same fields are the same request.
    asked: Mapping[str, Any] = {
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
    seed = request.seed if request.HasField("seed") else None
    drawn = secrets.randbelow(1 << 32) if seed is None else seed
    if request.instrumental and not title:  # words, once there are any, bring their own
        shown_title = title_without_words(prompt, revealed=request.reveal_prompt, seed=drawn)
    else:
        shown_title = title
    return NewSong(
        id=uuid4(),
        account_id=account.id,
        request_id=request.request_id or None,
        request_digest=request_digest({**asked, "seed": seed}),
        seed=drawn,
        **{**asked, "title": shown_title},
    )


def _duration_s(duration_s: float) -> float:
    if not SHORTEST_S <= duration_s <= LONGEST_S:  # NaN too
        raise InvalidField(
            "OUT_OF_RANGE",
            "duration_s",
            f"duration_s is {duration_s:g}",
            limit=f"{SHORTEST_S:g} to {LONGEST_S:g} seconds",
        )
    return duration_s
