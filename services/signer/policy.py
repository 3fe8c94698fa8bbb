"""Whether a song deserves a permit: every rule one named check with its own reason, as data.

Pure functions over a well-formed request, its verified statements and the signer's own scope. Knows no key,
no ledger and no clock; the ledger's own conditions are listed here and checked there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from services.common.cid import raw_cid
from services.common.errors import FailedPrecondition
from services.common.provenance import SongStatement, strict_json
from services.common.trust import AttestationRefused, TrustBundle, chain_complaint, verify
from services.signer.request import IPFS_SCHEME, PermitFormat, PermitRequest

# The only format that can be minted.
MINTABLE_MEDIA_TYPE = "audio/mpeg"
# The procedural engine is not AI, so its songs never reach a chain where they could be sold as such.
PROCEDURAL_ENGINE = "sketch"
# As long as any id of ours; the ledger keeps it, so it has to be text that can be kept and shown.
MAX_SONG_ID_CHARACTERS = 128
# What the metadata says that is compared; no other key may be taken for one of them.
COMPARED_KEYS = ("audio_hash", "animation_url")
# Anvil's and Hardhat's default chain id, and that of Ganache and Geth's --dev.
DEVELOPMENT_CHAINS = frozenset({31337, 1337})


@dataclass(frozen=True)
class Scope:
    """What this signer is for: one chain, one contract (20 bytes), and the formats it has a key for."""

    chain_id: int
    contract: bytes
    formats: frozenset[PermitFormat]


@dataclass(frozen=True)
class Case:
    """What a rule judges: the request, its verified statements (the song's own first), the signer's scope."""

    request: PermitRequest
    statements: Sequence[SongStatement]
    scope: Scope

    @property
    def song(self) -> SongStatement:
        return self.statements[0]

    @cached_property
    def document(self) -> dict[str, Any]:
        """The metadata; raises ValueError unless it is strict JSON."""
        return strict_json(self.request.metadata)


@dataclass(frozen=True)
class Condition:
    """One condition of a permit: its name, the reason of its refusals, and what it demands, in words."""

    name: str
    reason: str
    demand: str


@dataclass(frozen=True)
class Rule(Condition):
    """A condition over a request. `complaint` says what is wrong, or None when the rule is kept."""

    complaint: Callable[[Case], str | None]


def check_scope(request: PermitRequest, scope: Scope) -> None:
    """Refuse what is not for this signer before any work is done for it.

    Raises:
        FailedPrecondition: CHAIN_NOT_ALLOWED, PACKED_FORMAT_OFF.
    """
    _apply(SCOPE_RULES, Case(request, (), scope))


def verified_statements(
    request: PermitRequest, bundle: TrustBundle, now: datetime
) -> tuple[SongStatement, ...]:
    """The statements of all envelopes, in order.

    Raises:
        FailedPrecondition: with the reason of the first envelope that does not count.
    """
    statements = []
    for i, envelope in enumerate(request.envelopes):
        try:
            statements.append(verify(envelope, bundle, now))
        except AttestationRefused as refusal:
            metadata = {"rule": "attestation", "envelope": str(i)}
            raise FailedPrecondition(
                refusal.reason, f"envelope {i}: {refusal}", metadata=metadata
            ) from refusal
    return tuple(statements)


def keepable_song_id(song_id: str) -> bool:
    """Whether the ledger can keep this id, and people read it: a pod may attest any text."""
    return 0 < len(song_id) <= MAX_SONG_ID_CHARACTERS and song_id.isascii() and song_id.isprintable()


def check_song(request: PermitRequest, statements: Sequence[SongStatement], scope: Scope) -> None:
    """Refuse a song that breaks a rule.

    Raises:
        FailedPrecondition: with the reason of the first rule broken, and its name as metadata "rule".
    """
    _apply(SONG_RULES, Case(request, statements, scope))


def _apply(rules: Sequence[Rule], case: Case) -> None:
    for rule in rules:
        if complaint := rule.complaint(case):
            raise FailedPrecondition(rule.reason, complaint, metadata={"rule": rule.name})


def _chain(case: Case) -> str | None:
    request, scope = case.request, case.scope
    if request.chain_id != scope.chain_id:
        return f"this signer signs for chain {scope.chain_id}, not {request.chain_id}"
    return None


def _contract(case: Case) -> str | None:
    if case.request.contract != case.scope.contract:
        return f"this signer signs for contract 0x{case.scope.contract.hex()} only"
    return None


def _format(case: Case) -> str | None:
    if case.request.format not in case.scope.formats:
        return f"this signer has no key for the {case.request.format} format"
    return None


def _song_id(case: Case) -> str | None:
    for i, statement in enumerate(case.statements):
        if not keepable_song_id(statement.song_id):
            return (
                f"envelope {i}: the song's id is not 1 to {MAX_SONG_ID_CHARACTERS} printable ASCII characters"
            )
    return None


def _source_chain(case: Case) -> str | None:
    """Every song but the last names the next as its source; the last one was made from nothing."""
    return chain_complaint(case.statements)


def _engine_on_chain(case: Case) -> str | None:
    if case.scope.chain_id in DEVELOPMENT_CHAINS:
        return None
    if any(statement.engine == PROCEDURAL_ENGINE for statement in case.statements):
        return f"songs of the procedural engine {PROCEDURAL_ENGINE!r} are for development chains only"
    return None


def _media_type(case: Case) -> str | None:
    if case.song.media_type != MINTABLE_MEDIA_TYPE:
        return f"only {MINTABLE_MEDIA_TYPE} can be minted, not {case.song.media_type!r}"
    return None


def _creator(case: Case) -> str | None:
    creator = case.song.creator_address
    if not creator:
        return "the song was made without a wallet and cannot be minted"
    if creator.lower() != f"0x{case.request.to.hex()}":
        return "the song was made for another wallet"
    return None


def _source_creators(case: Case) -> str | None:
    """A song made without a wallet says that it cannot be minted: an edit of it would mint it after all."""
    for i, statement in enumerate(case.statements[1:], 1):
        if not statement.creator_address:
            return f"envelope {i}: the source was made without a wallet, its edits cannot be minted"
        if statement.creator_address.lower() != f"0x{case.request.to.hex()}":
            return f"envelope {i}: the source was made for another wallet"
    return None


def _audio_hash(case: Case) -> str | None:
    if case.request.audio_hash != case.song.audio_sha256:
        return "audio_hash is not the attested hash"
    return None


def _metadata_form(case: Case) -> str | None:
    try:
        _ = case.document
    except ValueError as error:
        return f"metadata is not strict JSON: {error}"
    return None


def _metadata_lookalikes(case: Case) -> str | None:
    """Some JSON parsers match keys whatever their case, and the last counts: they would read another hash."""
    for key in case.document:
        if key not in COMPARED_KEYS and key.casefold() in COMPARED_KEYS:
            return f"metadata has a key that is {key.casefold()} but for its case"
    return None


def _metadata_audio_hash(case: Case) -> str | None:
    if case.document.get("audio_hash") != f"0x{case.request.audio_hash.hex()}":
        return 'audio_hash in the metadata is not "0x" and the lower-case hex of audio_hash'
    return None


def _metadata_animation_url(case: Case) -> str | None:
    if case.document.get("animation_url") != IPFS_SCHEME + case.song.audio_cid:
        return "animation_url in the metadata is not the attested audio CID"
    return None


def _metadata_cid(case: Case) -> str | None:
    if case.request.metadata_uri != IPFS_SCHEME + raw_cid(case.request.metadata):
        return "metadata_uri is not the CID of metadata"
    return None


SCOPE_RULES = (
    Rule("chain", "CHAIN_NOT_ALLOWED", "`chain_id` is the signer's own", _chain),
    Rule("contract", "CHAIN_NOT_ALLOWED", "`contract` is the signer's own", _contract),
    Rule("format", "PACKED_FORMAT_OFF", "the signer has a key for the format", _format),
)

# Of every envelope; checked by `services.common.trust.verify`, in this order.
ATTESTATION = (
    Condition("attestation", "KEY_UNKNOWN", "the trust bundle lists the key that signed the envelope"),
    Condition(
        "attestation",
        "ATTESTATION_INVALID",
        "the envelope is at most 64 KiB, well formed and of the right payload type, its signature fits its "
        "bytes, its statement has exactly the fields that it must have, and tells of a song finished neither "
        "before it was started nor in the future",
    ),
    Condition("attestation", "KEY_REVOKED", "the key is not revoked now"),
    Condition("attestation", "KEY_EXPIRED", "the song was finished within the key's validity"),
    Condition("attestation", "ENGINE_NOT_ALLOWED", "the key may attest this engine"),
    Condition("attestation", "TASK_NOT_ALLOWED", "the key may attest this task"),
    Condition("attestation", "WEIGHTS_NOT_ALLOWED", "the key may attest these weights"),
    Condition("attestation", "ADAPTER_NOT_ALLOWED", "the key may attest each of the adapters"),
)

SONG_RULES = (
    Rule(
        "song_id",
        "ATTESTATION_INVALID",
        f"every song's id is 1 to {MAX_SONG_ID_CHARACTERS} printable ASCII characters",
        _song_id,
    ),
    Rule(
        "source_chain",
        "SOURCE_CHAIN_BROKEN",
        "every song but the last names the audio of the next as its source, the last one was made from "
        "nothing, and no audio is there twice",
        _source_chain,
    ),
    Rule(
        "engine_on_chain",
        "ENGINE_NOT_ALLOWED",
        "no song of the chain is by the procedural engine `sketch`, unless `chain_id` is 31337 or 1337",
        _engine_on_chain,
    ),
    Rule("media_type", "MEDIA_TYPE_NOT_ALLOWED", "the song is an MP3, `audio/mpeg`", _media_type),
    Rule("creator", "NOT_THE_CREATOR", "`to` is the wallet that the song was made for", _creator),
    Rule(
        "source_creators",
        "NOT_THE_CREATOR",
        "`to` is the wallet that every source was made for; a source made without a wallet is nobody's",
        _source_creators,
    ),
    Rule("audio_hash", "HASH_MISMATCH", "`audio_hash` is the attested hash", _audio_hash),
    Rule(
        "metadata_form",
        "METADATA_MISMATCH",
        "`metadata` is one JSON object in UTF-8 with nothing before or behind it, and without a byte order "
        "mark, NaN, Infinity, or a key that is repeated at any depth",
        _metadata_form,
    ),
    Rule(
        "metadata_lookalikes",
        "METADATA_MISMATCH",
        "no key is `audio_hash` or `animation_url` but for its case",
        _metadata_lookalikes,
    ),
    Rule(
        "metadata_audio_hash",
        "METADATA_MISMATCH",
        "its `audio_hash` is `0x` and the attested hash in lower-case hex",
        _metadata_audio_hash,
    ),
    Rule(
        "metadata_animation_url",
        "METADATA_MISMATCH",
        "its `animation_url` is `ipfs://` and the attested CID",
        _metadata_animation_url,
    ),
    Rule(
        "metadata_cid",
        "METADATA_MISMATCH",
        "`metadata_uri` is `ipfs://` and the CID of `metadata`",
        _metadata_cid,
    ),
)

# Checked by the ledger, under its lock, in this order.
LEDGER_CONDITIONS = (
    Condition("pause", "PAUSED", "no operator has paused the signer"),
    Condition("single_use", "ALREADY_PERMITTED", "the audio has no permit, or one of the same identity"),
    Condition("creator_quota", "QUOTA_EXCEEDED", "a new permit is within the creator's daily quota"),
    Condition("overall_quota", "QUOTA_EXCEEDED", "a new permit is within the daily quota of all creators"),
)

# All that a permit takes, in the order in which it is checked; docs/permits.md has the same table.
CONDITIONS: tuple[Condition, ...] = (*SCOPE_RULES, *ATTESTATION, *SONG_RULES, *LEDGER_CONDITIONS)
