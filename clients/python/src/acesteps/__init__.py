"""The AceSteps client: songs from prompts, over the gateway's gRPC.

What is imported from here is loaded when it is first used: who only needs the generated modules
(`acesteps.gateway.v1` and its neighbours) does not load a client with them.
"""

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

# In a wheel the generated modules lie in this folder; in a checkout they are built into another one.
__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"

if TYPE_CHECKING:
    from acesteps.aio.client import AsyncClient as AsyncClient
    from acesteps.channel import Tls as Tls
    from acesteps.errors import Aborted as Aborted
    from acesteps.errors import AcestepsError as AcestepsError
    from acesteps.errors import AlreadyExists as AlreadyExists
    from acesteps.errors import AudioMismatch as AudioMismatch
    from acesteps.errors import Cancelled as Cancelled
    from acesteps.errors import DeadlineExceeded as DeadlineExceeded
    from acesteps.errors import FailedPrecondition as FailedPrecondition
    from acesteps.errors import Internal as Internal
    from acesteps.errors import InvalidArgument as InvalidArgument
    from acesteps.errors import NotFound as NotFound
    from acesteps.errors import OutOfRange as OutOfRange
    from acesteps.errors import PermissionDenied as PermissionDenied
    from acesteps.errors import ResourceExhausted as ResourceExhausted
    from acesteps.errors import SongFailed as SongFailed
    from acesteps.errors import Unauthenticated as Unauthenticated
    from acesteps.errors import Unavailable as Unavailable
    from acesteps.errors import Unimplemented as Unimplemented
    from acesteps.files import AudioPiece as AudioPiece
    from acesteps.files import Downloaded as Downloaded
    from acesteps.gateway.v1.gateway_service_pb2 import Song as Song
    from acesteps.lyrics.v1.lyrics_service_pb2 import GenerateLyricsRequest as GenerateLyricsRequest
    from acesteps.music.v1.music_service_pb2 import Extend as Extend
    from acesteps.music.v1.music_service_pb2 import LyricEdit as LyricEdit
    from acesteps.music.v1.music_service_pb2 import Repaint as Repaint
    from acesteps.music.v1.music_service_pb2 import Sampling as Sampling
    from acesteps.music.v1.music_service_pb2 import Variation as Variation
    from acesteps.orders import SongFields as SongFields
    from acesteps.orders import has_ended as has_ended
    from acesteps.orders import state_of as state_of
    from acesteps.sync.client import Client as Client

_ERRORS = (
    "Aborted", "AcestepsError", "AlreadyExists", "AudioMismatch", "Cancelled", "DeadlineExceeded",
    "FailedPrecondition", "Internal", "InvalidArgument", "NotFound", "OutOfRange", "PermissionDenied",
    "ResourceExhausted", "SongFailed", "Unauthenticated", "Unavailable", "Unimplemented",
)  # fmt: skip
_MUSIC = ("Extend", "LyricEdit", "Repaint", "Sampling", "Variation")
# Name to (module, name there).
_HOMES = {
    "AsyncClient": ("aio.client", "AsyncClient"),
    "Client": ("sync.client", "Client"),
    "Tls": ("channel", "Tls"),
    "AudioPiece": ("files", "AudioPiece"),
    "Downloaded": ("files", "Downloaded"),
    "GenerateLyricsRequest": ("lyrics.v1.lyrics_service_pb2", "GenerateLyricsRequest"),
    "Song": ("gateway.v1.gateway_service_pb2", "Song"),
    "SongFields": ("orders", "SongFields"),
    "has_ended": ("orders", "has_ended"),
    "state_of": ("orders", "state_of"),
    **{name: ("errors", name) for name in _ERRORS},
    **{name: ("music.v1.music_service_pb2", name) for name in _MUSIC},
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, there = _HOMES[name]
    value = getattr(import_module(f"{__name__}.{module}"), there)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
