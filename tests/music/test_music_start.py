"""A start that cannot succeed is one clear line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, "MUSIC_ATTESTATION_KEY_FILE"),
        ({"MUSIC_ATTESTATION_KEY_FILE": "/nowhere/pod.pem"}, "MUSIC_ATTESTATION_KEY_FILE"),
        ({"MUSIC_ATTESTATION_KEY_FILE": "x", "MUSIC_ENGINE": "theremin"}, "MUSIC_ENGINE"),
        ({"MUSIC_ATTESTATION_KEY_FILE": "x", "MUSIC_SLOTS": "0"}, "MUSIC_SLOTS"),
        ({"MUSIC_ATTESTATION_KEY_FILE": "x", "MUSIC_VOLUME": "11"}, "MUSIC_VOLUME"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(
    settings: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MUSIC_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.music"],
        env={**environment, **settings},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
