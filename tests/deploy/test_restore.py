"""A database that is dumped and restored as docs/operations.md says is one that the services can use."""

import asyncio
import os
import re
import subprocess
from pathlib import Path

from deploy.local import postgres as local_postgres
from deploy.local.cluster import binary
from services.common.migrations import migrate, missing_at
from services.gateway import database as gateway
from services.signer import database as signer

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_what_the_page_dumps_and_restores_can_be_used_by_both_services(tmp_path: Path) -> None:
    (block,) = (b for b in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S) if "pg_dump" in b)
    with local_postgres.start(tmp_path / "postgres" / "data") as server:
        full, empty = server.create_database("in_use"), server.create_database("restored")
        asyncio.run(migrate(full.gateway_dsn, gateway.SCHEMA, gateway.MIGRATIONS))
        asyncio.run(migrate(full.signer_owner_dsn, signer.SCHEMA, signer.MIGRATIONS))
        environment = {
            "PATH": f"{Path(binary('psql')).parent}:{os.environ['PATH']}",
            "ADMIN_URL": full.superuser_dsn,
            "EMPTY_URL": empty.superuser_dsn,
        }
        subprocess.run(["bash", "-euc", block], cwd=tmp_path, env=environment, check=True, timeout=60)
        assert asyncio.run(missing_at(empty.gateway_dsn, gateway.SCHEMA, gateway.MIGRATIONS)) == []
        assert asyncio.run(missing_at(empty.signer_dsn, signer.SCHEMA, signer.MIGRATIONS)) == []
