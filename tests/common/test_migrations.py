"""Migrations on a real PostgreSQL: in order, once, whole or not at all, also from many replicas at once."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.common.migrations import MigrationError, migrate, run_command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_songs.sql").write_text("CREATE TABLE songs (id int PRIMARY KEY);")
    (tmp_path / "0002_titles.sql").write_text("ALTER TABLE songs ADD title text NOT NULL DEFAULT '';")
    return tmp_path


async def test_replicas_that_start_together_apply_each_file_once(database: Any, folder: Path) -> None:
    done = await asyncio.gather(*(migrate(database.gateway_dsn, "gateway", folder) for _ in range(5)))
    assert sorted(done) == [[], [], [], [], ["0001_songs.sql", "0002_titles.sql"]]


async def test_data_survives_the_next_version(database: Any, folder: Path) -> None:
    await migrate(database.gateway_dsn, "gateway", folder)
    connection = await asyncpg.connect(database.gateway_dsn)
    await connection.execute("INSERT INTO gateway.songs VALUES (7, 'kept')")
    (folder / "0003_moods.sql").write_text("ALTER TABLE songs ADD mood text;")
    assert await migrate(database.gateway_dsn, "gateway", folder) == ["0003_moods.sql"]
    assert await connection.fetchval("SELECT title FROM gateway.songs WHERE mood IS NULL") == "kept"
    await connection.close()


async def test_a_file_that_fails_leaves_nothing_behind(database: Any, folder: Path) -> None:
    (folder / "0003_broken.sql").write_text("CREATE TABLE half (id int); SELECT 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database.gateway_dsn, "gateway", folder)
    (folder / "0003_broken.sql").write_text("CREATE TABLE half (id int);")
    assert await migrate(database.gateway_dsn, "gateway", folder) == ["0003_broken.sql"]


async def test_a_file_changed_after_it_was_applied_is_refused(database: Any, folder: Path) -> None:
    await migrate(database.gateway_dsn, "gateway", folder)
    (folder / "0001_songs.sql").write_text("CREATE TABLE songs (id bigint PRIMARY KEY);")
    with pytest.raises(MigrationError, match=r"0001_songs\.sql was changed"):
        await migrate(database.gateway_dsn, "gateway", folder)


async def test_a_number_used_twice_is_refused(database: Any, folder: Path) -> None:
    (folder / "0002_again.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationError, match="twice"):
        await migrate(database.gateway_dsn, "gateway", folder)


async def test_who_waits_goes_on_once_another_has_migrated(
    database: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", database.gateway_dsn)

    def command(*argv: str) -> int:
        return run_command("", "GATEWAY_DATABASE_URL", "gateway", folder, argv)

    assert await asyncio.to_thread(command, "--wait", "0") == 1
    assert "0001_songs.sql is not applied" in capsys.readouterr().err
    waiting = asyncio.create_task(asyncio.to_thread(command, "--wait", "60"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    assert await asyncio.to_thread(command) == 0
    assert capsys.readouterr().out == "0001_songs.sql\n0002_titles.sql\n"
    assert await waiting == 0


async def test_who_waits_for_a_server_that_is_away_says_so_and_gives_up_in_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    status = await asyncio.to_thread(
        run_command, "", "GATEWAY_DATABASE_URL", "gateway", folder, ["--wait", "1.5"]
    )
    assert status == 1
    assert "waiting: " in capsys.readouterr().err
