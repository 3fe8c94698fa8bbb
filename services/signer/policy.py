"""Whether a song deserves a permit: every rule one named check with its own reason.

Pure functions over a well-formed request, its verified statements and the signer's own scope. Knows no key,
no ledger and no clock.
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
class Rule:
    """One condition of a permit. `complaint` says what is wrong, or None when the rule is kept."""

    name: str
    reason: str
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
    Rule("chain", "CHAIN_NOT_ALLOWED", _chain),
    Rule("contract", "CHAIN_NOT_ALLOWED", _contract),
    Rule("format", "PACKED_FORMAT_OFF", _format),
)

SONG_RULES = (
    Rule("source_chain", "SOURCE_CHAIN_BROKEN", _source_chain),
    Rule("engine_on_chain", "ENGINE_NOT_ALLOWED", _engine_on_chain),
    Rule("media_type", "MEDIA_TYPE_NOT_ALLOWED", _media_type),
    Rule("creator", "NOT_THE_CREATOR", _creator),
    Rule("audio_hash", "HASH_MISMATCH", _audio_hash),
    Rule("metadata_form", "METADATA_MISMATCH", _metadata_form),
    Rule("metadata_audio_hash", "METADATA_MISMATCH", _metadata_audio_hash),
    Rule("metadata_animation_url", "METADATA_MISMATCH", _metadata_animation_url),
    Rule("metadata_cid", "METADATA_MISMATCH", _metadata_cid),
)
