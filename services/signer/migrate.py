"""`python -m services.signer.migrate`: bring the signer's schema up to date, as the role that owns it.

Reads SIGNER_OWNER_DATABASE_URL and nothing else, so that it can run before the signer, without its keys.
"""

import asyncio
import os
import sys

import asyncpg

from services.common.migrations import MigrationError, migrate, why_not_open
from services.signer.database import MIGRATIONS, SCHEMA


def main() -> int:
    dsn = os.environ.get("SIGNER_OWNER_DATABASE_URL", "")
    if not dsn:
        print("migrate: SIGNER_OWNER_DATABASE_URL is not set", file=sys.stderr)
        return 2
    try:
        for name in asyncio.run(migrate(dsn, SCHEMA, MIGRATIONS)):
            print(name)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, MigrationError) as error:
        print(f"migrate: {why_not_open(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
