"""`python -m services.gateway.migrate`: bring the gateway's schema up to date, or wait until it is.

Reads GATEWAY_DATABASE_URL and nothing else: where many replicas start at once, one job does it before them.
"""

import sys
from collections.abc import Sequence

from services.common.migrations import run_command
from services.gateway.database import MIGRATIONS, SCHEMA


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(__doc__, "GATEWAY_DATABASE_URL", SCHEMA, MIGRATIONS, argv)


if __name__ == "__main__":
    sys.exit(main())
