"""Requests that must be refused, by the reason and the rule that refuses them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from acesteps.signer.v1 import signer_service_pb2 as pb
from services.common.cid import raw_cid
from services.common.provenance import AttestationKey, SongStatement, attest
from tests.signer.attested import (
    EDIT,
    EXPIRED_POD,
    OTHER_CONTRACT,
    POD,
    REVOKED_POD,
    STRANGER,
    Pod,
    chain_of_edits,
    metadata_of,
    request_for,
    statement,
)

Request = pb.SignMintPermitRequest
Build = Callable[[], Request]


def asked(**changes: Any) -> Build:
    """A good song, and a request that says something else than its attestation."""
    return lambda: request_for(statement(), **changes)


def document(write: Callable[[SongStatement], bytes]) -> Build:
    """A good song with another metadata document, under that document's right CID."""

    def build() -> Request:
        song = statement()
        return request_for(song, metadata=write(song))

    return build


def _forged(**changes: Any) -> Build:
    """A song whose pod attested something that may not be minted."""
    return lambda: request_for(statement(**changes))


def _chained(link: Callable[[list[SongStatement]], Sequence[SongStatement]]) -> Build:
    return lambda: request_for(*link(chain_of_edits(3)))


def _fields(**changes: Any) -> Build:
    return document(lambda song: metadata_of(song, **changes))


def _spliced(before: bytes, after: bytes = b"") -> Build:
    """The metadata with raw bytes added right inside the object's braces."""
    return document(lambda song: b"{" + before + metadata_of(song)[1:-1] + after + b"}")


def _signature_of_another_song() -> Request:
    song = statement()
    own, other = (json.loads(attest(s, POD.key)) for s in (song, statement()))
    return request_for(song, envelopes=[json.dumps(own | {"signatures": other["signatures"]}).encode()])


def _unknown_pod_in_the_chain() -> Request:
    songs = chain_of_edits(3)
    envelopes = [attest(song, POD.key) for song in songs]
    envelopes[1] = attest(songs[1], AttestationKey.new())
    return request_for(*songs, envelopes=envelopes)


def _hash_of_another_song() -> Request:
    song, other = statement(), statement()
    return request_for(song, audio_hash=other.audio_sha256, metadata=metadata_of(other))


def _uri_of_another_document() -> Request:
    song = statement()
    return request_for(song, metadata_uri=f"ipfs://{raw_cid(metadata_of(song, name='Another'))}")


# (reason, rule) → name → request
HOSTILE: Mapping[tuple[str, str], Mapping[str, Build]] = {
    ("ATTESTATION_INVALID", "attestation"): {
        "no_envelope": asked(envelopes=[b"{}"]),
        "signature_of_another_song": _signature_of_another_song,
        "song_of_tomorrow": _forged(finished_at=datetime.now(UTC) + timedelta(hours=20)),
    },
    ("KEY_UNKNOWN", "attestation"): {
        "unknown_pod": asked(pod=Pod(AttestationKey.new())),
        "unknown_pod_in_the_chain": _unknown_pod_in_the_chain,
    },
    ("KEY_EXPIRED", "attestation"): {"expired_pod": asked(pod=EXPIRED_POD)},
    ("KEY_REVOKED", "attestation"): {"revoked_pod": asked(pod=REVOKED_POD)},
    ("ENGINE_NOT_ALLOWED", "attestation"): {"engine_not_in_bundle": _forged(engine="upload")},
    ("TASK_NOT_ALLOWED", "attestation"): {"task_not_in_bundle": _forged(task="audio2audio")},
    ("WEIGHTS_NOT_ALLOWED", "attestation"): {"weights_not_in_bundle": _forged(weights_digest="ee" * 32)},
    ("ADAPTER_NOT_ALLOWED", "attestation"): {"adapter_not_in_bundle": _forged(adapter_digests=("ee" * 32,))},
    ("SOURCE_CHAIN_BROKEN", "source_chain"): {
        "source_left_out": _chained(lambda s: s[:2]),
        "link_left_out": _chained(lambda s: [s[0], s[2]]),
        "links_swapped": _chained(lambda s: [s[0], s[2], s[1]]),
        "another_source": _chained(lambda s: [s[0], s[1], statement()]),
        "text2music_and_a_second_envelope": lambda: request_for(statement(), statement()),
        "text2music_with_a_source": _forged(source_audio_sha256=b"\1" * 32),
        "edit_without_a_source": _forged(task=EDIT),
    },
    ("MEDIA_TYPE_NOT_ALLOWED", "media_type"): {"wav": _forged(media_type="audio/wav")},
    ("NOT_THE_CREATOR", "creator"): {
        "to_a_stranger": asked(to=STRANGER),
        "song_without_a_wallet": _forged(creator_address=""),
    },
    ("HASH_MISMATCH", "audio_hash"): {"hash_of_another_song": _hash_of_another_song},
    ("METADATA_MISMATCH", "metadata_form"): {
        "not_json": document(lambda s: b"<svg/>"),
        "a_list": document(lambda s: b"[" + metadata_of(s) + b"]"),
        "utf16": document(lambda s: metadata_of(s).decode().encode("utf-16")),
        "byte_order_mark": document(lambda s: b"\xef\xbb\xbf" + metadata_of(s)),
        "not_utf8": _spliced(b'"x":"\xff",'),
        "nan": _spliced(b'"x":NaN,'),
        "infinity": _spliced(b'"x":-Infinity,'),
        "more_behind_it": document(lambda s: metadata_of(s) + b"{}"),
        "nested_without_end": document(lambda s: b"[" * 200_000),
        "second_hash_before": _spliced(b'"audio_hash":"0x00",'),
        "second_hash_behind": _spliced(b"", b',"audio_hash":"0x00"'),
        "second_hash_by_escape": _spliced(b'"\\u0061udio_hash":"0x00",'),
        "key_twice_deep_inside": _spliced(b'"x":[{"y":1,"y":2}],'),
    },
    ("METADATA_MISMATCH", "metadata_audio_hash"): {
        "no_hash": _fields(audio_hash=None),
        "other_hash": _fields(audio_hash="0x" + "11" * 32),
        "hash_in_capitals": document(
            lambda s: metadata_of(s, audio_hash=f"0x{s.audio_sha256.hex().upper()}")
        ),
        "hash_without_0x": document(lambda s: metadata_of(s, audio_hash=s.audio_sha256.hex())),
        "hash_in_a_list": document(lambda s: metadata_of(s, audio_hash=[f"0x{s.audio_sha256.hex()}"])),
    },
    ("METADATA_MISMATCH", "metadata_animation_url"): {
        "no_animation": _fields(animation_url=None),
        "other_animation": _fields(animation_url=f"ipfs://{raw_cid(b'another song')}"),
        "by_gateway": document(lambda s: metadata_of(s, animation_url=f"https://ipfs.io/ipfs/{s.audio_cid}")),
        "with_a_path": document(lambda s: metadata_of(s, animation_url=f"ipfs://{s.audio_cid}/x")),
    },
    ("METADATA_MISMATCH", "metadata_cid"): {"uri_of_another_document": _uri_of_another_document},
    ("CHAIN_NOT_ALLOWED", "chain"): {"another_chain": asked(chain_id=1)},
    ("CHAIN_NOT_ALLOWED", "contract"): {"another_contract": asked(contract=OTHER_CONTRACT)},
}


def _edit_of_sketch() -> Request:
    newer, source = chain_of_edits(2, engine="acestep")
    return request_for(newer, replace(source, engine="sketch"), chain_id=1)


# The same for a signer on Ethereum's main chain without a key for packed permits.
HOSTILE_ON_MAINNET: Mapping[tuple[str, str], Mapping[str, Build]] = {
    ("ENGINE_NOT_ALLOWED", "engine_on_chain"): {
        "sketch": lambda: request_for(statement(engine="sketch"), chain_id=1),
        "edit_of_sketch": _edit_of_sketch,
    },
    ("PACKED_FORMAT_OFF", "format"): {
        "packed": lambda: request_for(
            statement(engine="acestep"), chain_id=1, format=pb.PERMIT_FORMAT_PACKED
        ),
    },
}
