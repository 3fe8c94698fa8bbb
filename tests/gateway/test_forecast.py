"""The claims to come, played through ahead of time: held to a second implementation, honest about time."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.forecast import RECENT_S, Made, Making, Speed, Turns, Waiting, forecast, speed_of
from services.gateway.models import Place

ALICE, BOB = UUID(int=0xA), UUID(int=0xB)
ANY = {ALICE: Turns(most=9, served_s=float("-inf")), BOB: Turns(most=9, served_s=float("-inf"))}


def song(number: int, account: UUID = ALICE, **fields: Any) -> Waiting:
    asked = {"priority": 0, "due_in_s": number - 1000.0, "duration_s": 10.0}
    return Waiting(id=UUID(int=number), account_id=account, **{**asked, **fields})


def order(places: dict[UUID, Place]) -> list[int]:
    return [id_.int for id_ in sorted(places, key=lambda id_: places[id_].position)]


@dataclass
class Account:
    most: int
    served: float
    running: int = 0


def simulated(
    waiting: list[Waiting], making: list[Making], accounts: dict[UUID, Turns], speed: Speed
) -> dict[UUID, tuple[int, float]]:
    """As the claim's own words have it, a sort for every claim: (position, end) of each song."""
    state = {id_: Account(turns.most, turns.served_s) for id_, turns in accounts.items()}
    pace, left, places, now = speed.pace or 1.0, list(waiting), dict[UUID, tuple[int, float]](), 0.0
    running = [(m.eta_s or max(0.0, m.duration_s * pace - m.elapsed_s), m.account_id) for m in making]
    for one in making:
        state[one.account_id].running += 1
    slots, clock = max(speed.slots, len(making)), max([0.0, *(a.served for a in state.values())])
    while left:
        able = [
            s for s in left if s.due_in_s <= now and state[s.account_id].running < state[s.account_id].most
        ]
        firsts: dict[UUID, Waiting] = {}
        for one in sorted(able, key=lambda s: (-s.priority, s.due_in_s, s.id)):
            firsts.setdefault(one.account_id, one)
        if firsts and len(running) < slots:
            chosen = min(
                firsts.values(),
                key=lambda s: (
                    -s.priority, state[s.account_id].running, state[s.account_id].served, s.due_in_s, s.id,
                ),
            )  # fmt: skip
            clock += 1
            state[chosen.account_id].running += 1
            state[chosen.account_id].served = clock
            left.remove(chosen)
            running.append((now + chosen.duration_s * pace, chosen.account_id))
            places[chosen.id] = (len(places) + 1, now + chosen.duration_s * pace)
            continue
        now = min([end for end, _ in running] + [s.due_in_s for s in left if s.due_in_s > now])
        for end, account in [r for r in running if r[0] <= now]:
            running.remove((end, account))
            state[account].running -= 1
    return places


ACCOUNTS = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from([float("-inf"), 5.0, 9.0])), min_size=1, max_size=4
)
LENGTHS = st.sampled_from([5.0, 10.0, 30.0, 31.0])


@st.composite
def queues(draw: st.DrawFn) -> tuple[list[Waiting], list[Making], dict[UUID, Turns], Speed]:
    accounts = {UUID(int=n): Turns(*turns) for n, turns in enumerate(draw(ACCOUNTS), start=1)}
    whose = st.sampled_from(list(accounts))
    waiting = [
        song(
            number,
            draw(whose),
            priority=draw(st.integers(0, 1)),
            due_in_s=draw(st.sampled_from([-20.0, -3.0, -1.0, 0.0, 7.0, 40.0])),
            duration_s=draw(LENGTHS),
        )
        for number in range(draw(st.integers(0, 12)))
    ]
    making = [
        Making(
            draw(whose),
            draw(LENGTHS),
            draw(st.sampled_from([0.0, 3.0, 60.0])),
            draw(st.sampled_from([0.0, 4.0])),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    return waiting, making, accounts, Speed(draw(st.integers(1, 4)), draw(st.sampled_from([None, 0.5, 2.0])))


@given(queue=queues())
def test_every_place_is_the_one_that_a_second_implementation_finds(
    queue: tuple[list[Waiting], list[Making], dict[UUID, Turns], Speed],
) -> None:
    *_, speed = queue
    expected = {
        id_: Place(position, round(end, 1) if speed.pace else 0.0)
        for id_, (position, end) in simulated(*queue).items()
    }
    assert forecast(*queue) == expected


def test_accounts_take_turns_however_much_one_of_them_asks_for() -> None:
    waiting = [*(song(n) for n in range(1, 7)), song(7, BOB), song(8, BOB)]
    assert order(forecast(waiting, [], ANY, Speed(1, None))) == [1, 7, 2, 8, 3, 4, 5, 6]


def test_whoever_was_served_longer_ago_is_next_and_a_higher_tier_before_all() -> None:
    accounts = {ALICE: Turns(most=9, served_s=20.0), BOB: Turns(most=9, served_s=10.0)}
    waiting = [song(1), song(2, BOB), song(3, priority=5)]
    assert order(forecast(waiting, [], accounts, Speed(1, None))) == [3, 2, 1]


def test_the_end_is_that_of_what_is_before_it_and_of_its_own_making() -> None:
    making = [Making(ALICE, duration_s=10.0, elapsed_s=1.0, eta_s=3.0)]
    waiting = [song(1), song(2, duration_s=20.0)]
    places = forecast(waiting, making, ANY, Speed(slots=1, pace=2.0))
    assert places == {UUID(int=1): Place(1, 23.0), UUID(int=2): Place(2, 63.0)}
    assert forecast(waiting, making, ANY, Speed(slots=3, pace=2.0)) == {
        UUID(int=1): Place(1, 20.0), UUID(int=2): Place(2, 40.0),
    }  # fmt: skip


def test_an_accounts_own_limit_makes_it_wait_though_there_is_room() -> None:
    accounts = {ALICE: Turns(most=1, served_s=0.0), BOB: Turns(most=1, served_s=1.0)}
    waiting = [song(1), song(2), song(3, BOB)]
    places = forecast(waiting, [], accounts, Speed(slots=5, pace=1.0))
    assert [places[UUID(int=n)].eta_s for n in (1, 2, 3)] == [10.0, 20.0, 10.0]


def test_nothing_is_said_of_time_before_anything_was_measured() -> None:
    assert forecast([song(1)], [], ANY, Speed(1, None)) == {UUID(int=1): Place(1, 0.0)}


@pytest.mark.parametrize(
    ("made", "running", "speed"),
    [
        ([], 0, Speed(1, None)),
        ([], 3, Speed(3, None)),
        # one after the other, then three at once
        ([Made(5.0, 10.0, 0.0), Made(5.0, 10.0, 5.0)], 0, Speed(1, 0.5)),
        ([Made(5.0, 10.0, 0.0), Made(6.0, 10.0, 1.0), Made(9.0, 20.0, 2.0)], 1, Speed(3, 0.5)),
        # what was made at once long ago tells the pace only
        ([Made(5.0, 10.0, RECENT_S + 1), Made(5.0, 10.0, RECENT_S + 2)], 0, Speed(1, 0.5)),
    ],
)
def test_the_speed_is_that_of_the_songs_made_lately(made: list[Made], running: int, speed: Speed) -> None:
    assert speed_of(made, running) == speed
