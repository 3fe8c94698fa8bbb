"""The documentation says what the code says."""

from docs.settings_table import TARGET, page


def test_the_page_of_settings_is_up_to_date() -> None:
    assert TARGET.read_text() == page(), "run: make docs"
