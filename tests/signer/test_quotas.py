"""Daily quotas: exact under a rush and over two processes, rolling, and free for what had been permitted."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acesteps.signer.v1 import signer_service_pb2 as pb
from deploy.local.postgres import Database
from services.common.errors import ResourceExhausted
from tests.signer.attested import request_for, statement
from tests.signer.process import Client, Served, SignerProcess, write_files

CREATOR_QUOTA, QUOTA = 5, 12
DAY_S = 86_400


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], Database]) -> Iterator[Served]:
    folder, database = tmp_path_factory.mktemp("small quotas"), new_database()
    settings = write_files(folder) | {
        "SIGNER_DATABASE_URL": database.signer_dsn,
        "SIGNER_CREATOR_DAILY_QUOTA": str(CREATOR_QUOTA),
        "SIGNER_DAILY_QUOTA": str(QUOTA),
    }
    with SignerProcess(settings, folder / "log").running() as process:
        yield Served(process, database)


@pytest.fixture
async def limited(small: Served) -> Served:
    """A signer with small quotas, none of them used."""
    await age(small, 2 * DAY_S)
    return small


def wallet() -> str:
    return f"0x{secrets.token_hex(20)}"


def song_of(creator: str) -> pb.SignMintPermitRequest:
    return request_for(statement(creator_address=creator), to=creator)


async def outcomes(*asked: tuple[Client, pb.SignMintPermitRequest]) -> Counter[str]:
    """How often each quota refused, and "" for the permits."""

    async def one(client: Client, request: pb.SignMintPermitRequest) -> str:
        try:
            await client.permit(request)
        except ResourceExhausted as refusal:
            return refusal.metadata["quota"]
        return ""

    return Counter(await asyncio.gather(*(one(client, request) for client, request in asked)))


async def age(served: Served, seconds: int) -> None:
    """As if all permits had been given earlier."""
    await served.fetch(
        "UPDATE signer.permits SET permitted_at = permitted_at - make_interval(secs => $1)", seconds
    )


async def test_200_requests_at_once_of_one_creator_get_the_quota_and_no_more(limited: Served) -> None:
    creator = wallet()
    async with limited.process.client() as signer:
        assert await outcomes(*((signer, song_of(creator)) for _ in range(200))) == {
            "": CREATOR_QUOTA,
            "creator": 200 - CREATOR_QUOTA,
        }
    sql = "SELECT FROM signer.permits WHERE recipient = $1"
    assert len(await limited.fetch(sql, bytes.fromhex(creator[2:]))) == CREATOR_QUOTA


async def test_200_requests_at_once_of_200_creators_over_two_signers_get_the_quota(
    limited: Served, tmp_path: Path
) -> None:
    with SignerProcess(limited.process.settings, tmp_path / "other log").running() as second:
        async with limited.process.client() as one, second.client() as other:
            rush = [(client, song_of(wallet())) for _ in range(100) for client in (one, other)]
            assert await outcomes(*rush) == {"": QUOTA, "overall": 200 - QUOTA}
    rows = await limited.fetch("SELECT number FROM signer.permits ORDER BY number")
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))


async def test_a_refusal_says_which_quota_and_when_to_come_again(limited: Served) -> None:
    creator = wallet()
    async with limited.process.client() as signer:
        await signer.permit(song_of(creator))
        await age(limited, DAY_S // 2)
        await outcomes(*((signer, song_of(creator)) for _ in range(CREATOR_QUOTA - 1)))
        with pytest.raises(ResourceExhausted) as refused:
            await signer.permit(song_of(creator))
        assert (refused.value.reason, refused.value.metadata) == (
            "QUOTA_EXCEEDED",
            {"rule": "creator_quota", "quota": "creator"},
        )
        # When the first one is a day old: half a day from now.
        assert refused.value.retry_delay_s == pytest.approx(DAY_S / 2, abs=30)
        entry = (await signer.list(page_size=1)).entries[0]
        assert (entry.reason, entry.rule) == ("QUOTA_EXCEEDED", "creator_quota")
        described = await signer.describe()
    assert (described.creator_daily_quota, described.daily_quota) == (CREATOR_QUOTA, QUOTA)


async def test_the_day_rolls(limited: Served) -> None:
    creator = wallet()
    async with limited.process.client() as signer:
        assert await outcomes(*((signer, song_of(creator)) for _ in range(3))) == {"": 3}
        await age(limited, DAY_S - 60)
        assert await outcomes(*((signer, song_of(creator)) for _ in range(5))) == {"": 2, "creator": 3}
        await age(limited, 61)  # the first three are over a day old, the other two are not
        assert await outcomes(*((signer, song_of(creator)) for _ in range(5))) == {"": 3, "creator": 2}


async def test_repeats_renewals_and_refusals_cost_nothing(limited: Served) -> None:
    creator = wallet()
    songs = [song_of(creator) for _ in range(CREATOR_QUOTA)]
    async with limited.process.client() as signer:
        assert await outcomes(*((signer, song) for song in songs for _ in range(5))) == {
            "": 5 * CREATOR_QUOTA
        }
        await limited.fetch("UPDATE signer.permits SET deadline = now() - interval '1 hour'")
        renewed = await signer.permit(songs[0])
        assert not renewed.repeated_permit
        await outcomes(*((signer, song_of(creator)) for _ in range(20)))
        # The refused ones did not use up what everybody has.
        other = await outcomes(*((signer, song_of(wallet())) for _ in range(20)))
    assert other == {"": QUOTA - CREATOR_QUOTA, "overall": 20 - QUOTA + CREATOR_QUOTA}


async def test_a_quota_of_0_is_none(limited: Served, tmp_path: Path) -> None:
    free = {"SIGNER_CREATOR_DAILY_QUOTA": "0", "SIGNER_DAILY_QUOTA": "0"}
    with SignerProcess({**limited.process.settings, **free}, tmp_path / "free log").running() as process:
        async with process.client() as signer:
            creator = wallet()
            assert await outcomes(*((signer, song_of(creator)) for _ in range(2 * QUOTA))) == {"": 2 * QUOTA}
