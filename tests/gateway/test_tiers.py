"""The file of tiers: the default is one, and a wrong one says what is wrong."""

from pathlib import Path

import pytest

from services.gateway.tiers import DEFAULT_FILE, DEVELOPMENT, TiersError, read_tiers


def test_the_default_has_a_first_tier_and_one_for_development() -> None:
    tiers = read_tiers(DEFAULT_FILE)
    assert tiers.first == "free"
    assert tiers.of(DEVELOPMENT).songs_per_day == 0
    assert tiers.of("no longer there") == tiers.of("free")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no tier"),
        ("[free]\npriority = 0", "free.concurrency: Field required"),
        ("[free]\npriority = 0\nconcurrency = 0\nlongest_s = 60\nsongs_per_day = 0", "free.concurrency"),
        ("[free]\npriority = 0\nconcurrency = 1\nlongest_s = 601\nsongs_per_day = 0", "free.longest_s"),
        ("[free]\npriority = 0\nconcurrency = 1\nlongest_s = 60\nsongs_per_day = 0\nx = 1", "free.x"),
        ("[free", "Expected"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "tiers.toml"
    file.write_text(text)
    with pytest.raises(TiersError, match=told):
        read_tiers(file)
    with pytest.raises(TiersError):
        read_tiers(tmp_path / "none.toml")
