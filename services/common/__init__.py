"""What every service needs and nothing more: serving, channels, errors, settings, provenance, CIDs.

Knows no business rule of any service.
"""

import os

# gRPC's C core writes lines of its own to stderr, between the JSON of our logs; it reads this when imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
