"""Requests that must be refused, by the reason and the rule that refuses them."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from acesteps.signer.v1 import signer_service_pb2 as pb
from services.common.cid import raw_cid
from services.common.provenance import (
    PAYLOAD_TYPE,
    AttestationKey,
    SongStatement,
    attest,
    pre_authentication_encoding,
)
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


def _key_twice_in_the_envelope() -> Request:
    song = statement()
    envelope = attest(song, POD.key)
    return request_for(song, envelopes=[b'{"payloadType":"x",' + envelope[1:]])


def _another_payload_type() -> Request:
    song = statement()
    fields = json.loads(attest(song, POD.key)) | {"payloadType": "application/json"}
    return request_for(song, envelopes=[json.dumps(fields).encode()])


def _own_source() -> Request:
    song = statement()
    return request_for(replace(song, task=EDIT, source_audio_sha256=song.audio_sha256), song)


def _half_a_character() -> Request:
    """JSON can spell a lone surrogate, which is no text that could be kept."""
    song = statement(song_id="a-surrogate")
    payload = song.to_json().replace(b'"a-surrogate"', b'"\\ud800"')
    return request_for(song, envelopes=[_sealed(payload)])


def _sealed(payload: bytes) -> bytes:
    """An envelope by a trusted pod around any payload."""
    signature = POD.key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    fields = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": POD.key.key_id, "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(fields).encode()


def _long_id_of_a_source() -> Request:
    newer, source = chain_of_edits(2)
    return request_for(newer, replace(source, song_id="x" * 129))


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
        "id_in_half_a_character": _half_a_character,
        "no_envelope": asked(envelopes=[b"{}"]),
        "signature_of_another_song": _signature_of_another_song,
        "envelope_with_a_key_twice": _key_twice_in_the_envelope,
        "another_payload_type": _another_payload_type,
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
        "song_that_is_its_own_source": _own_source,
    },
    ("ATTESTATION_INVALID", "song_id"): {
        "no_id": _forged(song_id=""),
        "long_id": _forged(song_id="x" * 129),
        "id_with_a_nul": _forged(song_id="a\0b"),
        "long_id_of_a_source": _long_id_of_a_source,
    },
    ("MEDIA_TYPE_NOT_ALLOWED", "media_type"): {"wav": _forged(media_type="audio/wav")},
    ("NOT_THE_CREATOR", "creator"): {
        "to_a_stranger": asked(to=STRANGER),
        "song_without_a_wallet": _forged(creator_address=""),
    },
    ("NOT_THE_CREATOR", "source_creators"): {
        "edit_of_somebody_elses_song": _chained(lambda s: [*s[:2], replace(s[2], creator_address=STRANGER)]),
        "somebody_else_between": _chained(lambda s: [s[0], replace(s[1], creator_address=STRANGER), s[2]]),
        "edit_of_a_song_without_a_wallet": _chained(lambda s: [*s[:2], replace(s[2], creator_address="")]),
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
        "infinity_as_a_value": _spliced(b'"x":[Infinity],'),
        "number_of_10000_digits": _spliced(b'"x":' + b"1" * 10_000 + b","),
        "control_character": _spliced(b'"x":"\n",'),
        "comment": _spliced(b"/* */"),
        "nothing_but_spaces": document(lambda s: b"  "),
        "more_behind_it": document(lambda s: metadata_of(s) + b"{}"),
        "nested_without_end": document(lambda s: b"[" * 200_000),
        "nested_deep_inside": _spliced(b'"x":' + b"[" * 100_000 + b"]" * 100_000 + b","),
        "second_hash_before": _spliced(b'"audio_hash":"0x00",'),
        "second_hash_behind": _spliced(b"", b',"audio_hash":"0x00"'),
        "second_hash_by_escape": _spliced(b'"\\u0061udio_hash":"0x00",'),
        "key_twice_deep_inside": _spliced(b'"x":[{"y":1,"y":2}],'),
    },
    ("METADATA_MISMATCH", "metadata_lookalikes"): {
        "hash_in_another_case": _spliced(b"", b',"Audio_Hash":"0x00"'),
        "animation_in_another_case": _spliced(b"", b',"ANIMATION_URL":"https://example.com"'),
        "long_s": _spliced(b"", ',"audio_ha\u017fh":"0x00"'.encode()),
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
