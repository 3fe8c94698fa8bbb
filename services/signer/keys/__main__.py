"""`python -m services.signer.keys`: makes, shows and rotates permit keys."""

import sys

from services.signer.keys.commands import main
from services.signer.keys.memory import forbid_core_dumps

if __name__ == "__main__":
    forbid_core_dumps()
    sys.exit(main())
