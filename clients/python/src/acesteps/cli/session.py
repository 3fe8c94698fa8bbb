"""What every command works with: a profile, clients made from it, and a screen."""

import sys
from dataclasses import dataclass
from pathlib import Path

from acesteps.aio.client import AsyncClient
from acesteps.channel import Tls
from acesteps.cli.profile import Profile
from acesteps.cli.screen import Screen
from acesteps.errors import AcestepsError
from acesteps.sync.client import Client


class CommandFailed(Exception):
    """The message is for the person who gave the command; exit status 1."""


class Interrupted(Exception):
    """Ctrl-C; the message says how to go on."""


@dataclass(frozen=True)
class Session:
    profile: Profile
    screen: Screen
    patience_s: float

    def client(self) -> Client:
        profile = self.profile
        return Client(
            profile.target,
            api_key=profile.api_key,
            tls=self._tls(),
            patience_s=self.patience_s,
            note=self._away,
        )

    def aio_client(self) -> AsyncClient:
        profile = self.profile
        return AsyncClient(
            profile.target,
            api_key=profile.api_key,
            tls=self._tls(),
            patience_s=self.patience_s,
            note=self._away,
        )

    def _tls(self) -> Tls | bool | None:
        return Tls(self.profile.ca_file) if self.profile.ca_file else self.profile.tls

    def _away(self, error: AcestepsError) -> None:
        self.screen.note(f"{self.profile.target} does not answer, asking again: {error}")


def text_of(path: str) -> str:
    """The text of a file, or of stdin for "-". Raises ValueError and OSError with the file's name."""
    raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text in UTF-8") from None
