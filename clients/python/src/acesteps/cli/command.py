"""The command line's beginning and end: arguments in, one clear line and an exit status out."""

import os
import sys
from collections.abc import Sequence

from acesteps.cli.parser import UsageError, build_parser
from acesteps.cli.profile import Profile, read_profile
from acesteps.cli.screen import Screen, show_every_character
from acesteps.cli.session import CommandFailed, Interrupted, Session
from acesteps.errors import (
    AcestepsError,
    Cancelled,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    SongFailed,
    Unauthenticated,
    Unavailable,
)  # fmt: skip

REFUSED, WRONG, NOT_FOUND, NOT_ALLOWED, SONG_FAILED, AWAY, INTERRUPTED = 1, 2, 3, 4, 5, 6, 130

# The first class that fits.
_STATUSES: tuple[tuple[type[AcestepsError], int], ...] = (
    (InvalidArgument, WRONG),
    (NotFound, NOT_FOUND),
    (Unauthenticated, NOT_ALLOWED),
    (PermissionDenied, NOT_ALLOWED),
    (SongFailed, SONG_FAILED),
    (Unavailable, AWAY),
    (DeadlineExceeded, AWAY),
    (Cancelled, AWAY),
    (AcestepsError, REFUSED),
)


def main(arguments: Sequence[str] | None = None) -> int:
    show_every_character()
    try:
        return _run([_as_typed(text) for text in (sys.argv[1:] if arguments is None else arguments)])
    except UsageError as error:
        return _fail(str(error), WRONG)
    except AcestepsError as error:
        return _fail(str(error), next(status for kind, status in _STATUSES if isinstance(error, kind)))
    except CommandFailed as error:
        return _fail(str(error), REFUSED)
    except BrokenPipeError:  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return _fail(what, WRONG)
    except ValueError as error:
        return _fail(str(error), WRONG)
    except Interrupted as error:
        return _fail(str(error), INTERRUPTED)
    except KeyboardInterrupt:
        return _fail("stopped", INTERRUPTED)


def _run(arguments: Sequence[str]) -> int:
    asked = build_parser().parse_args(arguments)
    # A broken profile does not keep anyone from writing a new one.
    fresh = asked.command in ("login", "logout")
    profile = Profile() if fresh else read_profile(os.environ, asked.target)
    asked.run(Session(profile, Screen(as_json=asked.json), asked.patience), asked)
    return 0


def _as_typed(argument: str) -> str:
    """UTF-8 that was typed where the locale says ASCII, or something else that it is not."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        raise UsageError(f"{argument!r} is not a text in UTF-8") from None


def _fail(message: str, status: int) -> int:
    print("acesteps:", " ".join(message.split()), file=sys.stderr)
    return status


def run() -> None:
    """The script `acesteps`."""
    sys.exit(main())
