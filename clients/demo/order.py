"""What the demo is asked for: options from the command line or, for `make demo`, from the environment.

Checks only what the gateway cannot: the gateway's own errors name field and limit.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

# A path, or something with a file's suffix.
_A_NAME = re.compile(r"\S*/\S*|.*\.[A-Za-z]\w{0,4}")

N = TypeVar("N", int, float)

MAX_SEED = 2**32 - 1
MAX_PORT = 2**16 - 1
DEFAULT_PROMPT = (
    "uplifting synth-pop with warm bass and bright keys about city lights after the rain, 112 BPM"
)


@dataclass(frozen=True)
class Order:
    prompt: str
    duration_s: float
    # The words themselves; empty: the lyrics service writes them.
    lyrics: str
    seed: int | None
    instrumental: bool
    # True: end after the summary.
    once: bool
    http_port: int
    grpc_port: int
    data_dir: Path
    out_dir: Path


def read_order(argv: Sequence[str] | None, environment: Mapping[str, str]) -> Order:
    """Exits with argparse's message and status 2 on what cannot be read."""
    given = {name: value for name, value in environment.items() if value}
    parser = argparse.ArgumentParser(
        prog="python -m clients.demo",
        description="Make, stream, sign and mint one song on this machine, then keep serving.",
        epilog="Each option can also be given by the variable in brackets, as `make demo` does.",
    )

    def option(name: str, text: str, default: str | None) -> None:
        variable = name.upper().replace("-", "_")
        value = given.get(variable, default)
        parser.add_argument(f"--{name}", default=value, metavar="…", help=f"[{variable}] {text}")

    option("prompt", "what the song is like", DEFAULT_PROMPT)
    option("duration", "seconds, 5 to 240 (default: 30)", "30")
    option("lyrics", "a file with your own words, or the words themselves", None)
    option("seed", "0 to 4294967295; the same seed gives the same samples", None)
    option("http-port", "REST, SSE and audio (default: 8080)", "8080")
    option("grpc-port", "gRPC (default: 50050)", "50050")
    option("data-dir", "folder of database, chain and keys (default: var/demo-<http port>)", None)
    option("out", "folder for the song (default: out)", "out")
    for name, text in (("instrumental", "no voice"), ("once", "stop after the summary")):
        variable = name.upper()
        parser.add_argument(
            f"--{name}",
            action="store_true",
            default=_yes(given.get(variable, "")),
            help=f"[{variable}=1] {text}",
        )
    read = parser.parse_args(argv)
    try:
        return Order(
            prompt=read.prompt,
            duration_s=_number("duration", float, read.duration),
            lyrics=_words(read.lyrics or ""),
            seed=_seed(read.seed) if read.seed else None,
            instrumental=read.instrumental,
            once=read.once,
            http_port=_port("http-port", read.http_port),
            grpc_port=_port("grpc-port", read.grpc_port),
            data_dir=Path(read.data_dir or f"var/demo-{read.http_port}"),
            out_dir=Path(read.out),
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))


def _yes(value: str) -> bool:
    return value.lower() not in ("", "0", "no", "false")


def _number(name: str, kind: type[N], text: str) -> N:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"--{name}: {text!r} is not a number") from None


def _port(name: str, text: str) -> int:
    port = _number(name, int, text)
    if not 0 <= port <= MAX_PORT:
        raise ValueError(f"--{name}: {port} is not between 0 and {MAX_PORT}")
    return port


def _seed(text: str) -> int:
    seed = _number("seed", int, text)
    if not 0 <= seed <= MAX_SEED:  # another number does not even fit into the request
        raise ValueError(f"--seed: {seed} is not between 0 and {MAX_SEED}")
    return seed


def _words(text: str) -> str:
    """The file's content where `text` names one; else the text, in which \\n is a line break."""
    with suppress(OSError):  # lyrics can be too long for a name
        if text and Path(text).is_file():
            return Path(text).read_text(encoding="utf-8")
    if _A_NAME.fullmatch(text):  # nobody's lyrics, but a slip that would be sung and minted
        raise ValueError(f"--lyrics: there is no file {text!r}")
    return text.replace("\\n", "\n")
