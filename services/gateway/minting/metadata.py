"""A song's ERC-721 metadata, in the form that marketplaces read (docs/minting.md) and the signer checks.

Canonical bytes (RFC 8785), so that the same song always has the same CID. Knows no store and no signer.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import rfc8785

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from services.common.errors import Internal
from services.common.provenance import SongStatement
from services.gateway.disclosure import is_procedural, named
from services.gateway.messages import ipfs_uri
from services.gateway.models import Song


def metadata_json(song: Song, image_cid: str, public_url: str = "") -> bytes:
    """The metadata of a finished song. The prompt is in it only if the creator agreed.

    `public_url`: where this gateway can be reached; named only if that is https, for the metadata is forever.

    Raises:
        Internal: the song has no result, or its envelope is none.
    """
    if song.audio_sha256 is None or song.envelope is None:
        raise Internal("RESULT_MISSING", "the song has no result")
    try:
        envelope = json.loads(song.envelope)
        attested = SongStatement.from_json(base64.b64decode(envelope["payload"]))
    except (ValueError, TypeError, LookupError) as error:
        raise Internal("ENVELOPE_MALFORMED", "the song's envelope is not one of ours") from error
    document: dict[str, Any] = {
        "name": song.title,
        "description": _description(song),
        "image": ipfs_uri(image_cid),
        "animation_url": ipfs_uri(song.audio_cid),
        "audio_hash": f"0x{song.audio_sha256.hex()}",
        "attributes": [*_traits(song), *_origin(attested)],
        "provenance": envelope,
    }
    if public_url.startswith("https://"):
        document["external_url"] = f"{public_url.rstrip('/')}/ipfs/{song.audio_cid}"
    if song.lyrics is not None:
        document["lyrics"] = lyrics_text(lyrics_pb.LyricDocument.FromString(song.lyrics))
    if song.reveal_prompt:
        document["prompt"] = song.prompt
    return rfc8785.dumps(document)


def lyrics_text(document: lyrics_pb.LyricDocument) -> str:
    """The words as people write them: tags in brackets, a line per line, a blank one between sections."""
    return "\n\n".join("\n".join([_tag(s), *(line.text for line in s.lines)]) for s in document.sections)


def _tag(section: lyrics_pb.LyricSection) -> str:
    name = lyrics_pb.SectionTag.Name(section.tag).removeprefix("SECTION_TAG_")
    return f"[{name.lower().replace('_', '-')}]"


def _description(song: Song) -> str:
    kind = "instrumental" if song.instrumental else "song"
    made = "procedurally, without AI," if is_procedural(song.engine) else "by AI"
    genre = f"{song.genre} " if song.genre else ""
    return f"{song.audio_duration_s:.0f} seconds of {genre}{kind}, made {made} on AceSteps."


def _traits(song: Song) -> Iterator[dict[str, Any]]:
    yield from _named("Genre", song.genre)
    yield from _named("Mood", song.mood)
    if song.tempo_bpm:
        yield _number("BPM", round(song.tempo_bpm, 1))
    yield from _named("Key", song.musical_key)
    yield from _named("Duration", f"{song.audio_duration_s:.3f} s")
    yield _number("Seed", song.seed)
    yield from _named("Engine", named(song.engine))


def _origin(attested: SongStatement) -> Iterator[dict[str, Any]]:
    """Of a song that was made from another: how, and from which file. As it is attested."""
    if attested.source_audio_sha256 is not None:
        yield from _named("Task", attested.task)
        yield from _named("Source", f"0x{attested.source_audio_sha256.hex()}")


def _named(trait: str, value: str) -> Iterator[dict[str, Any]]:
    """A trait that songs can have in common; none if there is nothing to say."""
    if value:
        yield {"trait_type": trait, "value": value}


def _number(trait: str, value: float) -> dict[str, Any]:
    """Shown as a plain number: without display_type marketplaces take it for a rank."""
    return {"trait_type": trait, "display_type": "number", "value": value}
