"""What mints cost on a fresh chain, measured as `make gas` does."""

import pytest

from bench.gas import PAGE, Cost, measure, on_page, table
from deploy.local import chain


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> list[Cost]:
    with chain.start(tmp_path_factory.mktemp("fresh_chain")) as node:
        return measure(node.rpc_url)


def test_repeat_mints_stay_within_their_limits(costs: list[Cost]) -> None:
    limited = {cost.what: cost for cost in costs if cost.limit is not None}
    assert sorted(cost.limit for cost in limited.values() if cost.limit) == [88_000, 88_000, 155_500]
    assert [cost for cost in limited.values() if not cost.within_limit] == []


def test_the_page_says_what_is_measured(costs: list[Cost]) -> None:
    assert on_page(PAGE.read_text()) == table(costs), "run: make gas"
