"""URLs under which a song can be heard for a while without credentials: what an <audio> element needs.

Knows keys and the clock. Whether the account still has the song is asked when the URL is used.
"""

import base64
import hmac
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from services.common.errors import PermissionDenied, Unauthenticated
from services.gateway.models import Account, AudioFormat, Scope

# Anything signed by these keys for another purpose, or in another way, must not pass here.
_PURPOSE = "acesteps audio url 1"
PARAMS = ("account", "expires", "signature")


def drawn_key() -> str:
    """A key for a process that was given none: its URLs end with it."""
    return secrets.token_urlsafe(32)


class SignedUrls:
    def __init__(
        self,
        keys: Sequence[str],
        lifetime_s: float,
        public_url: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """The first key signs, all are believed. URLs begin with `public_url`; without one, with the path."""
        self._keys = [key.encode() for key in keys]
        self._lifetime, self._prefix, self._now = timedelta(seconds=lifetime_s), public_url.rstrip("/"), now

    def sign(self, account_id: UUID, song_id: UUID, audio_format: AudioFormat) -> tuple[str, datetime]:
        """(URL, when it ends)"""
        expires_at = (self._now() + self._lifetime).replace(microsecond=0)
        expires = str(int(expires_at.timestamp()))
        signature = _signature(self._keys[0], str(song_id), str(account_id), audio_format, expires)
        params = {
            "format": audio_format.value,
            "account": str(account_id),
            "expires": expires,
            "signature": signature,
        }
        return f"{self._prefix}/v1/songs/{song_id}/audio?{urlencode(params)}", expires_at

    def bearer(self, song_id: str, audio_format: AudioFormat, params: Mapping[str, str]) -> Account:
        """On whose behalf a signed URL was made, with the right to read. `params`: those of PARAMS.

        Raises:
            PermissionDenied: SIGNATURE_INVALID, not one of ours, or changed.
            Unauthenticated: URL_EXPIRED.
        """
        account, expires, given = (params.get(name, "") for name in PARAMS)
        expected = [_signature(key, song_id, account, audio_format, expires) for key in self._keys]
        # Compared with all: how long it takes tells nothing.
        if not sum(hmac.compare_digest(signature.encode(), given.encode()) for signature in expected):
            raise PermissionDenied(
                "SIGNATURE_INVALID", "the signature is not one of this URL; ask for another"
            )
        if int(expires) <= self._now().timestamp():
            raise Unauthenticated("URL_EXPIRED", "the URL has expired; ask for another")
        return Account(UUID(account), scopes=frozenset({Scope.READ}), in_session=False)


def _signature(key: bytes, song_id: str, account: str, audio_format: AudioFormat, expires: str) -> str:
    """HMAC-SHA256 in URL-safe base64. JSON, so that no two lists of fields read the same."""
    fields = json.dumps((_PURPOSE, song_id, account, audio_format.value, expires))
    mac = hmac.digest(key, fields.encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
