"""The bundle of a verifier never goes back; the commands that make bundles do not either."""

import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.common.provenance import AttestationKey, version_digest
from services.common.trust import TrustBundle, TrustStore
from services.common.trust.__main__ import main as trust_cli
from tests.common.test_provenance import trusted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    TrustBundle(version=3, keys=()).save(tmp_path / "bundle.json")
    return tmp_path / "bundle.json"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "seen.json"


def test_a_roll_back_is_refused_also_when_the_state_file_is_deleted_meanwhile(
    path: Path, state: Path
) -> None:
    store = TrustStore(path, state)
    TrustBundle(version=4, keys=()).save(path)
    assert store.bundle().version == 4
    state.unlink()
    TrustBundle(version=3, keys=()).save(path)
    assert store.bundle().version == 4


def test_a_start_without_its_state_file_takes_what_it_finds_but_not_below_the_least_version(
    path: Path, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert TrustStore(path, state).bundle().version == 3
    assert "no trust state" in caplog.text
    state.unlink()
    with pytest.raises(ValueError, match="version 3 is below 4"):
        TrustStore(path, state, least_version=4)


def test_metrics_tell_the_bundle_in_use_and_the_one_that_is_refused(path: Path, state: Path) -> None:
    def told() -> tuple[float | None, float | None]:
        names = "acesteps_trust_bundle_version", "acesteps_trust_bundle_found_version"
        return REGISTRY.get_sample_value(names[0]), REGISTRY.get_sample_value(names[1])

    store = TrustStore(path, state)
    assert told() == (3, 3)
    TrustBundle(version=2, keys=()).save(path)
    for _ in range(2):  # as long as it is there
        store.bundle()
        assert told() == (3, 2)
    path.write_text("{}")
    store.bundle()
    assert told() == (3, 0)
    TrustBundle(version=4, keys=()).save(path)
    store.bundle()
    assert told() == (4, 4)


def test_another_bundle_of_the_same_version_is_refused_but_spaces_do_not_count(
    path: Path, state: Path
) -> None:
    store = TrustStore(path, state)
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert store.bundle().keys == ()
    TrustBundle(version=3, keys=(trusted(),)).save(path)
    assert store.bundle().keys == ()
    with pytest.raises(ValueError, match="another one than that of this version"):
        TrustStore(path, state)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version":"3"}', '{"version":true}', "\x00" * 40])
def test_a_state_file_that_is_not_ours_stops_the_start(path: Path, state: Path, content: str) -> None:
    state.write_text(content)
    with pytest.raises(ValueError, match="not the state of a trust bundle"):
        TrustStore(path, state)


def test_a_revocation_counts_although_its_version_cannot_be_kept(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    store = TrustStore(path, folder / "seen.json")
    (folder / "seen.json").unlink()
    folder.rmdir()
    TrustBundle(version=4, keys=(trusted(revoked_at=datetime.now(UTC)),)).save(path)
    with caplog.at_level(logging.ERROR):
        assert store.bundle().version == store.bundle().version == 4
    assert caplog.text.count("cannot be kept") == 1
    folder.mkdir()
    store.bundle()
    assert json.loads((folder / "seen.json").read_text())["version"] == 4


def test_a_file_that_could_not_be_read_for_a_moment_is_taken_later(path: Path, state: Path) -> None:
    store = TrustStore(path, state)
    path.unlink()
    path.mkdir()
    assert store.bundle().version == 3
    path.rmdir()
    assert store.bundle().version == 3
    TrustBundle(version=5, keys=()).save(path)
    assert store.bundle().version == 5


def add(bundle: Path, key: Path, *more: str) -> int:
    words = ["--engine", "sketch", "--task", "text2music", "--weights-digest", version_digest("1")]
    return trust_cli(["bundle", "--bundle", str(bundle), "--key", str(key), *words, *more])


def test_a_key_is_rotated_with_an_overlap_and_only_its_public_half(tmp_path: Path) -> None:
    bundle, old, new, public = (tmp_path / name for name in ("trust.json", "old", "new", "new.pub"))
    assert trust_cli(["new-key", "--out", str(old)]) == 0
    assert trust_cli(["new-key", "--out", str(new), "--public-out", str(public)]) == 0
    assert b"PRIVATE" not in public.read_bytes()
    old_id, new_id = AttestationKey.load(old).key_id, AttestationKey.load(new).key_id
    assert add(bundle, old) == 0
    assert add(bundle, public, "--replaces", old_id, "--overlap-hours", "2") == 0
    keys = TrustBundle.parse(bundle.read_bytes()).by_id()
    now = datetime.now(UTC)
    assert timedelta(hours=1) < keys[old_id].not_after - now <= timedelta(hours=2)
    assert keys[new_id].not_before < now < keys[new_id].not_after
    assert add(bundle, public, "--replaces", "0" * 64) == 1


def test_a_revoked_key_is_not_trusted_again_by_adding_it_again(tmp_path: Path) -> None:
    bundle, key = tmp_path / "trust.json", tmp_path / "pod.pem"
    trust_cli(["new-key", "--out", str(key)])
    add(bundle, key)
    key_id = AttestationKey.load(key).key_id
    assert trust_cli(["revoke", "--bundle", str(bundle), "--key-id", key_id]) == 0
    revoked = bundle.read_bytes()
    assert trust_cli(["revoke", "--bundle", str(bundle), "--key-id", key_id]) == 0  # already
    assert add(bundle, key) == 1
    assert bundle.read_bytes() == revoked


def test_a_key_that_is_added_again_keeps_what_it_made_before(tmp_path: Path) -> None:
    bundle, key = tmp_path / "trust.json", tmp_path / "pod.pem"
    trust_cli(["new-key", "--out", str(key)])
    add(bundle, key)
    (first,) = TrustBundle.parse(bundle.read_bytes()).keys
    add(bundle, key, "--task", "repaint")
    (second,) = TrustBundle.parse(bundle.read_bytes()).keys
    assert second.not_before == first.not_before
    assert second.tasks == ("text2music", "repaint")


@pytest.mark.parametrize(
    "arguments",
    [
        ["bundle", "--bundle", "{missing}", "--key", "{bad}"],
        ["revoke", "--bundle", "{bad}", "--key-id", "0"],
        ["show", "--bundle", "{missing}"],
    ],
)
def test_a_file_that_is_not_one_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    (tmp_path / "bad").write_text("not a file of ours")
    words = [a.format(missing=tmp_path / "missing", bad=tmp_path / "bad") for a in arguments]
    if words[0] == "bundle":
        words += ["--engine", "e", "--task", "t", "--weights-digest", "0" * 64]
    assert trust_cli(words) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "missing").exists()


def test_help_tells_of_every_command_and_of_rotation() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "services.common.trust", "--help"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(word in shown for word in ("new-key", "bundle", "revoke", "show", "Rotation"))
