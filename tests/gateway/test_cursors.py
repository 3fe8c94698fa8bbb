"""Cursors of a batch's watch: what goes in comes out, and nothing else is taken."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidField
from services.gateway.cursors import cursor_of, read_cursor


@given(seen=st.dictionaries(st.integers(0, 63), st.integers(1, 2**32 - 1)), batch_id=st.uuids())
def test_a_cursor_holds_what_was_seen(seen: dict[int, int], batch_id: UUID) -> None:
    assert read_cursor(cursor_of(seen, batch_id), batch_id) == seen


@given(cursor=st.one_of(st.text(max_size=60), st.binary(max_size=60).map(bytes.hex)), batch_id=st.uuids())
def test_any_other_text_is_no_cursor(cursor: str, batch_id: UUID) -> None:
    if cursor:
        with pytest.raises(InvalidField):
            read_cursor(cursor, batch_id)
