"""The command line: goldens in, a table out. Exit status 1: out of tolerance; 2: cannot run.

python -m services.music.conformance PREFIX [--checkpoint DIR]
python -m services.music.conformance --lyric-tokens FILE --vocab FILE
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from services.music.acestep import tiny_checkpoint
from services.music.acestep.config import ConfigError
from services.music.acestep.lyrics.agreement import check_lyric_tokens
from services.music.acestep.weights_loading import CheckpointMismatch
from services.music.conformance.cases import check_cases
from services.music.conformance.comparison import HEADER, Row
from services.music.conformance.goldens import Goldens, GoldensError, TinyCheckpoint
from services.music.conformance.modules import check_modules, load

AGREES, DISAGREES, CANNOT_RUN = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m services.music.conformance",
        description="Runs every case and module of a goldens file through our engine, in float32.",
    )
    parser.add_argument("prefix", type=Path, nargs="?", help="PREFIX.json and PREFIX.safetensors")
    parser.add_argument("--checkpoint", type=Path, help="folder of weights; default: build the tiny one")
    parser.add_argument(
        "--device", type=_device, default="cpu", help="the tolerance is meant for: cpu (default)"
    )
    parser.add_argument("--lyric-tokens", type=Path, help="recorded ids of lyrics, with each line's language")
    parser.add_argument("--vocab", type=Path, help="the lyric vocabulary that they are of")
    options = parser.parse_args(arguments)
    if (options.lyric_tokens is None) != (options.vocab is None):
        parser.error("--lyric-tokens and --vocab go together")
    if options.prefix is None and options.lyric_tokens is None:
        parser.error("nothing to do: give PREFIX, or --lyric-tokens and --vocab")
    agreed = True
    try:
        if options.prefix is not None:
            agreed &= _goldens(options.prefix, options.checkpoint, options.device)
        if options.lyric_tokens is not None:
            agreed &= _lyric_tokens(options.lyric_tokens, options.vocab)
    except (GoldensError, ConfigError, CheckpointMismatch, ValueError) as error:
        print(error, file=sys.stderr)
        return CANNOT_RUN
    return AGREES if agreed else DISAGREES


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # no such kind; none of it here
        raise argparse.ArgumentTypeError(f"there is no device {name!r}") from None
    return device


def _goldens(prefix: Path, checkpoint: Path | None, device: torch.device) -> bool:
    started = time.monotonic()
    goldens = Goldens.read(prefix)
    if checkpoint is None:
        torch.set_num_threads(1)  # on layers of width 32, threads cost more than they bring
    with _checkpoint(checkpoint, goldens.checkpoint) as folder:
        model, text_encoder, codec = load(folder, device)
    print(HEADER)
    rows: list[Row] = []
    for check in (
        check_modules(goldens, model, text_encoder, codec),
        check_cases(goldens, model, text_encoder),
    ):
        for row in check:
            print(row, flush=True)
            rows.append(row)
    if not rows:
        raise GoldensError(f"{prefix}: nothing to compare")
    out = sum(not row.agrees for row in rows)
    print(f"{len(rows)} compared, {out} out of tolerance, {time.monotonic() - started:.1f} s")
    return out == 0


@contextmanager
def _checkpoint(given: Path | None, tiny: TinyCheckpoint) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="acestep-tiny-") as folder:
        yield tiny_checkpoint.write(Path(folder), seed=tiny.seed, heads=tiny.heads, layers=tiny.layers)


def _lyric_tokens(record: Path, vocabulary: Path) -> bool:
    rows = check_lyric_tokens(record, vocabulary)
    print(f"{'lyrics':<36} {'ids':>11} {'golden':>11}")
    for row in rows:
        verdict = "ok" if row.agrees else f"OUT  from id {row.first_difference}"
        print(f"{row.case:<36} {len(row.found):>11} {len(row.expected):>11}  {verdict}")
    out = sum(not row.agrees for row in rows)
    print(f"{len(rows)} compared, {out} different")
    return out == 0


if __name__ == "__main__":
    sys.exit(main())
