"""A webhook's secrets, and what is signed with them.

Secrets are made of the gateway's key and the webhook's id and number, so that none is stored.
"""

import base64
import hashlib
import hmac
from uuid import UUID


class Secrets:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, webhook_id: UUID, version: int) -> str:
        """ "whsec_" and 43 characters of [A-Za-z0-9_-]."""
        made = hmac.digest(self._key, b"webhook " + webhook_id.bytes + version.to_bytes(4, "big"), "sha256")
        return "whsec_" + base64.urlsafe_b64encode(made).decode().rstrip("=")


def signature(body: bytes, moment_s: int, secrets: list[str]) -> str:
    """The header's value: the time, and one signature for each secret that counts now."""
    signed = b"%d.%s" % (moment_s, body)
    each = (hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets)
    return ",".join([f"t={moment_s}", *(f"v1={digest}" for digest in each)])
