"""Secrets that stand for somebody: how they are made, and what is kept of them.

256 random bits need no slow hash: what is kept is their SHA-256, under which they are found.
"""

import hashlib
import secrets

SESSION, API_KEY, SERVICE = "ses_", "ace_", "svc_"
# Of a secret, to tell it by: its kind and four characters.
SHOWN = 8


def new_secret(kind: str) -> str:
    """The kind and 43 characters of [A-Za-z0-9_-]."""
    return f"{kind}{secrets.token_urlsafe(32)}"


def kept(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
