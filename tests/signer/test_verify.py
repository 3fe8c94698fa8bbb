"""Anyone can check a song: what the command prints, and when it says that something is not proven."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from services.common.cid import unixfs_cid
from services.common.errors import FailedPrecondition
from services.common.provenance import SongStatement, attest, strict_json
from services.common.trust import TrustBundle
from services.signer import policy
from services.signer.request import PermitFormat, read_request
from services.signer.verify import Evidence, findings, main
from tests.common.test_hostile_bytes import changed, mutated
from tests.signer.attested import (
    CONTRACT,
    POD,
    REVOKED_POD,
    chain_of_edits,
    metadata_of,
    request_for,
    statement,
    write_bundle,
)

SCOPE = policy.Scope(31337, bytes.fromhex(CONTRACT[2:]), frozenset(PermitFormat))
AUDIO = b"not music, but a file" * 1000


def song_of(audio: bytes, **changes: Any) -> SongStatement:
    digest = hashlib.sha256(audio).digest()
    return statement(audio_sha256=digest, audio_cid=unixfs_cid(audio), audio_bytes=len(audio), **changes)


SONG = song_of(AUDIO)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A song, its envelope, the bundle, and its metadata, all of them right."""
    envelope = attest(SONG, POD.key)
    (tmp_path / "song.mp3").write_bytes(AUDIO)
    (tmp_path / "envelope").write_bytes(envelope)
    (tmp_path / "metadata").write_bytes(metadata_of(SONG, provenance=json.loads(envelope)))
    write_bundle(tmp_path / "bundle")
    return {name: tmp_path / name for name in ("song.mp3", "envelope", "bundle", "metadata")}


def check(files: dict[str, Path], *words: str) -> int:
    return main([str(files["song.mp3"]), *words])


def whole(files: dict[str, Path]) -> tuple[str, ...]:
    return (str(files["envelope"]), "--bundle", str(files["bundle"]), "--metadata", str(files["metadata"]))


def test_a_song_that_holds_is_proven_line_by_line(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(files, *whole(files)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "proven"
    assert all(line.startswith("ok  ") for line in lines[:-1])
    for words in (SONG.audio_sha256.hex(), SONG.audio_cid, POD.key.key_id, "not AI", SONG.creator_address):
        assert any(words in line for line in lines)


def test_the_metadata_alone_brings_the_envelope(files: dict[str, Path]) -> None:
    assert check(files, "--bundle", str(files["bundle"]), "--metadata", str(files["metadata"])) == 0


def test_without_a_bundle_nothing_is_proven_of_where_the_file_comes_from(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(files, str(files["envelope"])) == 1
    shown = capsys.readouterr().out
    assert "signature not checked" in shown
    assert "ok    file" in shown


def spoil_file(files: dict[str, Path]) -> None:
    files["song.mp3"].write_bytes(AUDIO + b"!")


def spoil_envelope(files: dict[str, Path]) -> None:
    other = json.loads(attest(song_of(b"other"), POD.key))
    own = json.loads(files["envelope"].read_bytes())
    files["envelope"].write_text(json.dumps(own | {"signatures": other["signatures"]}))


def spoil_key(files: dict[str, Path]) -> None:
    files["envelope"].write_bytes(attest(SONG, REVOKED_POD.key))


def spoil_cid(files: dict[str, Path]) -> None:
    files["envelope"].write_bytes(attest(replace(SONG, audio_cid=unixfs_cid(b"")), POD.key))


def spoil_metadata(files: dict[str, Path]) -> None:
    files["metadata"].write_bytes(metadata_of(SONG, audio_hash="0x00"))


def spoil_form(files: dict[str, Path]) -> None:
    files["metadata"].write_bytes(b'{"audio_hash":1,"audio_hash":2}')


def another_envelope_inside(files: dict[str, Path]) -> None:
    other = json.loads(attest(song_of(b"other"), POD.key))
    files["metadata"].write_bytes(metadata_of(SONG, provenance=other))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (spoil_file, "FAIL  file "),
        (spoil_envelope, "ATTESTATION_INVALID: the signature does not fit"),
        (spoil_key, "KEY_REVOKED"),
        (spoil_cid, "FAIL  cid "),
        (spoil_metadata, "audio_hash is '0x00'"),
        (spoil_form, "not strict JSON"),
        (another_envelope_inside, "another envelope than the one given"),
    ],
)
def test_what_does_not_hold_is_said_and_ends_in_failure(
    files: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[dict[str, Path]], None],
    line: str,
) -> None:
    spoil(files)
    assert check(files, *whole(files)) == 1
    shown = capsys.readouterr().out
    assert line in shown
    assert shown.splitlines()[-1] == "NOT proven"


def test_an_edit_is_proven_down_to_the_song_from_nothing(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = chain_of_edits(2)
    edit = song_of(AUDIO, task=sources[0].task, source_audio_sha256=sources[0].audio_sha256)
    paths = []
    for i, song in enumerate((edit, *sources)):
        paths.append(tmp_path / f"{i}.json")
        paths[-1].write_bytes(attest(song, POD.key))
    words = [*map(str, paths), "--bundle", str(files["bundle"])]
    assert check(files, *words) == 0
    assert "2 edit(s) back to a song from nothing" in capsys.readouterr().out
    assert check(files, *words[1:]) == 1  # its own is missing
    assert check(files, words[0], *words[2:]) == 1  # a link is missing


def test_it_runs_for_anyone_without_settings(files: dict[str, Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.signer.verify", str(files["song.mp3"]), *whole(files)],
        env={name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("proven\n")


def test_wrong_arguments_and_missing_files_are_one_clear_line(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        check(files)
    assert ended.value.code == 2
    capsys.readouterr()
    for words in (["missing.json"], [str(files["envelope"]), "--bundle", str(files["song.mp3"])]):
        assert check(files, *words) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1


PROVENANCE = json.loads(attest(SONG, POD.key))
METADATA = metadata_of(SONG, provenance=PROVENANCE)


@settings(max_examples=100, deadline=None)
@given(mutated(METADATA) | changed(json.loads(METADATA)))
def test_hostile_metadata_is_answered_with_findings_and_nothing_else(metadata: bytes) -> None:
    bundle = TrustBundle(version=1, keys=(POD.trusted(),))
    for finding in findings(Evidence(AUDIO, (), bundle, metadata), datetime.now(UTC)):
        finding.text.encode()


@settings(max_examples=100, deadline=None)
@given(mutated(METADATA) | changed(json.loads(METADATA)))
def test_hostile_metadata_is_permitted_only_with_the_attested_fields(metadata: bytes) -> None:
    """Also under its own right CID: what is permitted says the attested hash and CID, whoever reads it."""
    if not metadata:
        return
    request = read_request(request_for(SONG, metadata=metadata))
    document = strict_json_or_none(metadata)
    permitted = (
        document is not None
        and document.get("audio_hash") == f"0x{SONG.audio_sha256.hex()}"
        and document.get("animation_url") == f"ipfs://{SONG.audio_cid}"
    )
    with nullcontext() if permitted else pytest.raises(FailedPrecondition, match="metadata"):
        policy.check_song(request, (SONG,), SCOPE)


def strict_json_or_none(data: bytes) -> dict[str, Any] | None:
    try:
        return strict_json(data)
    except ValueError:
        return None
