"""`python -m services.signer.migrate`: bring the signer's schema up to date, as the role that owns it.

Reads SIGNER_OWNER_DATABASE_URL and nothing else, so that it can run before the signer, without its keys. To
wait for it (`--wait`), the role that runs the signer is enough.
"""

import sys
from collections.abc import Sequence

from services.common.migrations import run_command
from services.signer.database import MIGRATIONS, SCHEMA


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    waits = any(word.startswith("--wait") for word in words)
    setting = "SIGNER_DATABASE_URL" if waits else "SIGNER_OWNER_DATABASE_URL"
    return run_command(__doc__, setting, SCHEMA, MIGRATIONS, words)


if __name__ == "__main__":
    sys.exit(main())
