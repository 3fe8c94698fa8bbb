"""`make demo`: the whole mesh on this machine, one song from prompt to token, then serving until Ctrl-C."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from acesteps import AcestepsError
from acesteps.wallet import MintFailed
from clients.demo.journey import JourneyFailed, Mesh, Outcome, travel
from clients.demo.order import Order, read_order
from clients.demo.screen import Screen
from deploy.local.stack import START_ERRORS, Stack, interrupt_on_signals


def main(argv: Sequence[str] | None = None) -> int:
    order, screen = read_order(argv, os.environ), Screen()
    interrupt_on_signals()
    try:
        screen.head("Starting the mesh")
        stack = Stack(
            order.data_dir, http_port=order.http_port, grpc_port=order.grpc_port, report=screen.line
        )
        with stack:
            made = _make(order, stack, screen)
            if not made or order.once:
                return 0 if made else 1
            _invite(stack, screen)
            signal.pause()
    except START_ERRORS as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        screen.line("everything is stopped")
    return 0


def _make(order: Order, stack: Stack, screen: Screen) -> bool:
    try:
        outcome = asyncio.run(travel(order, Mesh(stack.gateway_target, stack.rpc_url), screen))
    except (AcestepsError, MintFailed, JourneyFailed) as error:
        print(f"demo: {error}", file=sys.stderr)
    else:
        _summarise(outcome, screen)
        return True
    return False


def _summarise(outcome: Outcome, screen: Screen) -> None:
    song, heard, minted = outcome.song, outcome.heard, outcome.minted
    tempo = f"{song.music.tempo_bpm:g} BPM" if song.music.tempo_bpm else ""
    heard_as = (song.music.genre, song.music.mood, tempo, song.music.key)
    screen.head("The song is yours")
    screen.summary(
        [
            (
                "file",
                f"{heard.file.path}  ({heard.file.size_bytes / 1e6:.2f} MB, {song.audio.duration_s:.3f} s)",
            ),
            ("title", song.title),
            ("music", ", ".join(filter(None, heard_as))),
            (
                "engine",
                f"{song.engine}, seed {song.seed}" + (" (procedural, not AI)" * (song.engine == "sketch")),
            ),
            ("first audio", f"{heard.first_audio_s:.2f} s after it was asked for"),
            (
                "whole song",
                f"{outcome.made_s:.1f} s, {song.audio.duration_s / outcome.made_s:.0f}× real time",
            ),
            ("sha256", song.audio.sha256),
            ("PCM sha256", song.audio.pcm_sha256),
            ("token", f"0x{song.audio.sha256} (the file's sha256), owned by {minted.owner}"),
            ("tokenURI", minted.token_uri),
            ("the gateway says", f"MINTED in block {song.mint.block_number}"),
            ("transaction", f"{minted.transaction}, {minted.gas_used:,} gas"),
        ]
    )


def _invite(stack: Stack, screen: Screen) -> None:
    screen.head("Serving until Ctrl-C")
    screen.summary(
        [
            ("REST", f"{stack.gateway_url}/docs"),
            ("gRPC", f"{stack.gateway_target} (reflection is on)"),
            ("chain", stack.rpc_url),
            ("make one", f"curl -s -X POST {stack.gateway_url}/v1/songs -H 'content-type: application/json'"),
            ("", """  -d '{"prompt": "calm piano at night", "duration_s": 30}'"""),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
