"""A song's ERC-721 metadata, in the form that marketplaces read and the signer checks.

Canonical bytes (RFC 8785), so that the same song always has the same CID. Knows no store and no signer.
"""

import base64
import json
from collections.abc import Iterator

import rfc8785

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from services.common.errors import Internal
from services.common.provenance import SongStatement
from services.gateway.messages import ipfs_uri
from services.gateway.models import Song

# They say everywhere that they are no AI.
PROCEDURAL_ENGINES = frozenset({"sketch"})


def metadata_json(song: Song, image_cid: str) -> bytes:
    """The metadata of a finished song. The prompt is in it only if the creator agreed.

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
    traits = [*_traits(song), *_origin(attested)]
    document = {
        "name": song.title,
        "description": _description(song),
        "image": ipfs_uri(image_cid),
        "animation_url": ipfs_uri(song.audio_cid),
        "audio_hash": f"0x{song.audio_sha256.hex()}",
        "attributes": [{"trait_type": name, "value": value} for name, value in traits if value != ""],
        "provenance": envelope,
    }
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


def _engine(song: Song) -> str:
    return f"{song.engine} (procedural, not AI)" if song.engine in PROCEDURAL_ENGINES else song.engine


def _description(song: Song) -> str:
    kind = "instrumental" if song.instrumental else "song"
    made = "procedurally, without AI," if song.engine in PROCEDURAL_ENGINES else "by AI"
    genre = f"{song.genre} " if song.genre else ""
    return f"{song.audio_duration_s:.0f} seconds of {genre}{kind}, made {made} on AceSteps."


def _traits(song: Song) -> list[tuple[str, str | int | float]]:
    return [
        ("Genre", song.genre),
        ("Mood", song.mood),
        ("BPM", round(song.tempo_bpm, 1) or ""),
        ("Key", song.musical_key),
        ("Duration", f"{song.audio_duration_s:.3f} s"),
        ("Seed", song.seed),
        ("Engine", _engine(song)),
    ]


def _origin(attested: SongStatement) -> Iterator[tuple[str, str]]:
    """Of a song that was made from another: how, and from which file. As it is attested."""
    if attested.source_audio_sha256 is not None:
        yield "Task", attested.task
        yield "Source", f"0x{attested.source_audio_sha256.hex()}"
