"""Checks a song for anyone: `python -m services.signer.verify --help`. Needs no service, key or network.

Says line by line what is proven of a file, and by what. Knows what the signer knows of songs, not of permits.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rfc8785

from services.common.cid import raw_cid, unixfs_cid
from services.common.provenance import SongStatement, strict_json
from services.common.trust import AttestationRefused, TrustBundle, chain_complaint, open_envelope, verify
from services.signer.policy import PROCEDURAL_ENGINE
from services.signer.request import IPFS_SCHEME

_EPILOG = """\
Exit status: 0 when all of it holds, 1 when something does not or is not proven, 2 for wrong arguments.
Whose word counts is in the trust bundle, which the platform publishes; without one nobody's does, so nothing
is proven of where the file comes from. Of an edit, give the envelopes of its sources too, newest first.
"""


@dataclass(frozen=True)
class Finding:
    """One line of the answer."""

    holds: bool
    what: str
    text: str


@dataclass(frozen=True)
class Evidence:
    """What there is to check: the file, the envelopes (its own first), and, where given, the rest."""

    audio: bytes
    envelopes: Sequence[bytes]
    bundle: TrustBundle | None = None
    metadata: bytes | None = None


def findings(evidence: Evidence, now: datetime) -> Iterator[Finding]:
    """Everything that can be said of a song; ends early where nothing more can be read. Raises nothing."""
    document: dict[str, Any] = {}
    if evidence.metadata is not None:
        try:
            document = strict_json(evidence.metadata)
        except ValueError as error:
            yield Finding(False, "metadata", f"not strict JSON: {error}")
            return
    envelopes = list(evidence.envelopes)
    if (own := document.get("provenance")) is not None:
        embedded = _canonical(own)
        if not envelopes:
            envelopes = [embedded]
        elif _same(envelopes[0], embedded):
            yield Finding(True, "metadata", "holds the same envelope")
        else:
            yield Finding(False, "metadata", "holds another envelope than the one given")
    if not envelopes:
        yield Finding(False, "envelope", "there is none, neither given nor in the metadata")
        return

    statements: list[SongStatement] = []
    for i, envelope in enumerate(envelopes):
        name = "envelope" if i == 0 else f"source {i}"
        statement, finding = _attested(name, envelope, evidence.bundle, now)
        yield finding
        if statement is None:
            return
        statements.append(statement)
    song = statements[0]
    yield from _about_the_file(evidence.audio, song)
    yield _about_the_chain(statements)
    if evidence.metadata is not None:
        yield from _about_the_metadata(document, evidence.metadata, song)


def _attested(
    name: str, envelope: bytes, bundle: TrustBundle | None, now: datetime
) -> tuple[SongStatement | None, Finding]:
    try:
        if bundle is not None:
            statement = verify(envelope, bundle, now)
            _, key_id, _ = open_envelope(envelope)
            text = f"signed by key {key_id}, which is trusted; {_made(statement)}"
            return statement, Finding(True, name, text)
        payload, key_id, _ = open_envelope(envelope)
        statement = SongStatement.from_json(payload)
    except AttestationRefused as refusal:
        return None, Finding(False, name, f"{refusal.reason}: {refusal}")
    except ValueError as error:
        return None, Finding(False, name, f"ATTESTATION_INVALID: the statement is malformed: {error}")
    text = f"signature not checked, there is no trust bundle (--bundle); claims to be by key {key_id}"
    return statement, Finding(False, name, f"{text}; {_made(statement)}")


def _made(song: SongStatement) -> str:
    kind = "procedural, not AI" if song.engine == PROCEDURAL_ENGINE else "AI"
    return (
        f"made by {song.engine!r} {song.engine_version!r} ({kind}), task {song.task!r}, seed {song.seed}, "
        f"finished {song.finished_at:%Y-%m-%d %H:%M:%S} UTC on pod {song.pod_id!r}"
    )


def _about_the_file(audio: bytes, song: SongStatement) -> Iterator[Finding]:
    digest = hashlib.sha256(audio).digest()
    if digest == song.audio_sha256:
        yield Finding(True, "file", f"is the attested one; its sha256 and token id is 0x{digest.hex()}")
    else:
        yield Finding(False, "file", f"has sha256 {digest.hex()}, attested is {song.audio_sha256.hex()}")
    if len(audio) != song.audio_bytes:
        yield Finding(False, "length", f"is {len(audio)} bytes, attested are {song.audio_bytes}")
    cid = unixfs_cid(audio)
    if cid == song.audio_cid:
        yield Finding(True, "cid", f"of the file is the attested one, {cid}")
    else:
        yield Finding(False, "cid", f"of the file is {cid}, attested is {song.audio_cid!r}")
    creator = (
        f"may be minted by {song.creator_address}" if song.creator_address else "may be minted by nobody"
    )
    yield Finding(True, "creator", creator)


def _about_the_chain(statements: Sequence[SongStatement]) -> Finding:
    if complaint := chain_complaint(statements):
        return Finding(False, "chain", complaint)
    edits = len(statements) - 1
    return Finding(
        True, "chain", f"{edits} edit(s) back to a song from nothing" if edits else "made from nothing"
    )


def _about_the_metadata(document: dict[str, Any], data: bytes, song: SongStatement) -> Iterator[Finding]:
    for name, expected in (
        ("audio_hash", f"0x{song.audio_sha256.hex()}"),
        ("animation_url", IPFS_SCHEME + song.audio_cid),
    ):
        if document.get(name) == expected:
            yield Finding(True, "metadata", f"{name} is the attested one")
        else:
            yield Finding(False, "metadata", f"{name} is {document.get(name)!r}, attested is {expected!r}")
    yield Finding(True, "metadata", f"its URI, if this is all of it, is {IPFS_SCHEME}{raw_cid(data)}")


def _canonical(value: Any) -> bytes:
    """RFC 8785 JSON; of what has none, something that is no envelope either."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError, RecursionError):
        return b""


def _same(envelope: bytes, canonical: bytes) -> bool:
    try:
        return _canonical(strict_json(envelope)) == canonical
    except ValueError:
        return False


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if not arguments.envelopes and arguments.metadata is None:
        _parser().error("give an envelope, or the metadata that holds it (--metadata)")
    try:
        evidence = _read(arguments)
    except (OSError, ValueError) as error:
        print(f"verify: {error}", file=sys.stderr)
        return 1
    found = list(findings(evidence, datetime.now(UTC)))
    for finding in found:
        print(f"{'ok  ' if finding.holds else 'FAIL'}  {finding.what:9} {finding.text}")
    proven = all(finding.holds for finding in found)
    print("proven" if proven else "NOT proven")
    return 0 if proven else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.signer.verify",
        description="Check what is attested of a song's file.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the song as it was downloaded or minted (MP3)"
    )
    parser.add_argument(
        "envelopes", type=Path, nargs="*", metavar="ENVELOPE", help="its DSSE envelope (JSON)"
    )
    parser.add_argument("--bundle", type=Path, help="trust bundle (JSON): whose signatures count")
    parser.add_argument("--metadata", type=Path, help="the token's metadata (JSON), which holds the envelope")
    return parser


def _read(arguments: argparse.Namespace) -> Evidence:
    bundle = None
    if arguments.bundle is not None:
        try:
            bundle = TrustBundle.parse(arguments.bundle.read_bytes())
        except ValueError as error:
            raise ValueError(f"{arguments.bundle} is not a trust bundle: {error}") from error
    return Evidence(
        audio=arguments.file.read_bytes(),
        envelopes=[path.read_bytes() for path in arguments.envelopes],
        bundle=bundle,
        metadata=arguments.metadata.read_bytes() if arguments.metadata is not None else None,
    )


if __name__ == "__main__":
    sys.exit(main())
