"""How many GPUs: `python -m bench.capacity [--per-hour 10 100 1000 10000] [--gpu-hour-price 2.5]`.

Simulates days of songs with the scaling of deploy/k8s/components/autoscaling, and tells what people waited
for their first audio and which GPUs were paid. docs/capacity.md says what is measured of it and what assumed.
"""

import argparse
import itertools
import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

import numpy as np

from bench.capacity_fleet import Stalled, simulate
from bench.capacity_ground import Ground
from bench.capacity_scaling import Scaling, Trigger, read
from bench.capacity_songs import DAY_S, GPUS, HOUR_S, PATTERNS, Making, arrivals, songs


@dataclass(frozen=True)
class Row:
    """What a day came to. Without what was asked for in the first hour, when the fleet is not yet there."""

    per_hour: float
    policy: str
    songs: int
    # slots busy on average, were there enough
    offered: float
    most_gpus: int
    mean_gpus: float
    gpu_hours: float
    # of what was paid
    used: float
    # for a slot, the writing of words left out
    wait_p99_s: float
    wait_longest_s: float
    first_audio_p50_s: float
    first_audio_p99_s: float
    # of songs whose pod became ready after they had come
    cold: float
    lost_pods: int
    per_song: float


# Of the table: a field of Row, its heading, width and format.
COLUMNS = {
    "per_hour": ("songs/h", 8, ",.0f"),
    "policy": ("policy", 10, ""),
    "offered": ("busy", 6, ".2f"),
    "most_gpus": ("GPUs", 4, ""),
    "mean_gpus": ("mean", 6, ".1f"),
    "gpu_hours": ("GPU-h", 7, ".1f"),
    "used": ("used", 5, ".0%"),
    "wait_p99_s": ("wait p99", 8, ".1f"),
    "wait_longest_s": ("longest", 7, ".1f"),
    "first_audio_p50_s": ("first p50", 9, ".1f"),
    "first_audio_p99_s": ("p99", 6, ".1f"),
    "cold": ("cold", 7, ".2%"),
    "per_song": ("a song", 8, ".4f"),
}


def main() -> None:
    asked = _parser().parse_args()
    scaling = _scaling(asked)
    making = Making(GPUS[asked.gpu], asked.steps, lyrics_s=asked.lyrics_s)
    ground = Ground(
        node_s=asked.node_s,
        slots=1,
        losses_per_hour=asked.losses_per_hour,
        replicas=asked.replicas,
        ahead=asked.ahead,
        workers=asked.replicas * asked.workers,
        counted_s=min(HOUR_S, asked.hours * HOUR_S / 2),
    )
    if asked.fewest_within_s is not None:
        for per_hour in asked.per_hour:
            pods = fewest(per_hour, asked.fewest_within_s, making, replace(ground, workers=10**9), asked.seed)
            print(f"{per_hour:,.0f} songs/h, {asked.gpu}, {asked.steps} steps: {pods} GPUs always on")
        return
    policies = {f"at least {n}": replace(scaling, least=n) for n in asked.least}
    rows = []
    for per_hour in asked.per_hour:
        named = dict(policies)
        if asked.fixed:
            named |= {f"always {n}": scaling.fixed(n) for n in asked.fixed}
        for name, policy in named.items():
            try:
                rows.append(_row(per_hour, name, policy, making, ground, asked))
            except Stalled as error:
                sys.exit(f"{per_hour:g} songs an hour, {name}: {error}")
    if asked.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        print("\n".join(_table(rows, asked)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    add = parser.add_argument
    add("--per-hour", type=float, nargs="+", default=[10, 100, 1_000, 10_000], help="songs, at the busiest")
    add("--pattern", choices=PATTERNS, default="daily", help="default: %(default)s")
    add("--hours", type=float, default=25.0, help="the first is not counted")
    add("--gpu", choices=GPUS, default="a100", help="default: %(default)s")
    add("--steps", type=int, default=60, help="27 is fast, 60 quality, the default")
    add("--lyrics-s", type=float, default=Making.lyrics_s, help="seconds until the words are written")
    add("--node-s", type=float, default=Ground.node_s, help="median until a GPU node is there")
    add("--losses-per-hour", type=float, default=0.0, help="of each pod, as with spot nodes")
    add("--least", type=int, nargs="*", default=[0, 1], help="pods that there are always: a policy each")
    add("--most", type=int, help="pods at most; this and the next four: the manifest's, if not given")
    add("--trigger", action="append", default=[], metavar="NAME=THRESHOLD", help="only these")
    add("--up-s", type=float, help="stabilisation window of scaling up")
    add("--down-s", type=float, help="and of scaling down")
    add("--cooldown-s", type=float, help="from the last song to no pod")
    add("--fixed", type=int, nargs="*", default=[], help="and a policy each without an autoscaler")
    add("--fewest-within-s", type=float, help="only: the fewest GPUs with which 99 %% wait no longer")
    add("--replicas", type=int, default=2, help="of the gateway, at the least")
    add("--workers", type=int, default=64, help="GATEWAY_WORKERS")
    add("--ahead", type=int, default=Ground.ahead, help="songs that each replica begins beyond free slots")
    add("--gpu-hour-price", type=float, default=1.0, help="in any money")
    add("--seed", type=int, default=1)
    add("--json", action="store_true")
    return parser


def _scaling(asked: argparse.Namespace) -> Scaling:
    scaling = read()
    given = dict(one.split("=") for one in asked.trigger)
    known = {t.name: t for t in scaling.triggers}
    fresh = Trigger("", 1.0, 0.0, "AverageValue")
    triggers = [
        replace(known.get(name, fresh), name=name, threshold=float(text)) for name, text in given.items()
    ]
    changed = {
        "most": asked.most,
        "cooldown_s": asked.cooldown_s,
        "triggers": triggers or None,
        "up": None if asked.up_s is None else replace(scaling.up, window_s=asked.up_s),
        "down": None if asked.down_s is None else replace(scaling.down, window_s=asked.down_s),
    }
    return replace(scaling, **{name: value for name, value in changed.items() if value is not None})


def _row(
    per_hour: float, name: str, scaling: Scaling, making: Making, ground: Ground, asked: argparse.Namespace
) -> Row:
    rng = np.random.default_rng(asked.seed)
    asked_for = songs(arrivals(per_hour, asked.hours * HOUR_S, PATTERNS[asked.pattern], rng), making, rng)
    outcome = simulate(asked_for, scaling, ground, np.random.default_rng(asked.seed + 1))
    counted = outcome.arrival >= ground.counted_s
    waited = (outcome.begun - asked_for.lyrics - outcome.arrival)[counted]
    waits = (outcome.first_audio - outcome.arrival)[counted]
    hours = outcome.ended.max() / HOUR_S
    gpu_hours = outcome.paid_gpu_s / HOUR_S
    return Row(
        per_hour=per_hour,
        policy=name,
        songs=len(asked_for),
        offered=asked_for.offered,
        most_gpus=outcome.most_pods,
        mean_gpus=gpu_hours / hours,
        gpu_hours=gpu_hours,
        used=outcome.busy_slot_s / (outcome.paid_gpu_s * ground.slots),
        wait_p99_s=float(np.quantile(waited, 0.99)),
        wait_longest_s=float(waited.max()),
        first_audio_p50_s=float(np.quantile(waits, 0.5)),
        first_audio_p99_s=float(np.quantile(waits, 0.99)),
        cold=float(outcome.cold[counted].mean()),
        lost_pods=outcome.lost_pods,
        per_song=gpu_hours * asked.gpu_hour_price / len(asked_for),
    )


def fewest(per_hour: float, within_s: float, making: Making, ground: Ground, seed: int) -> int:
    """GPUs that are always on, with which 99 of 100 songs wait at most `within_s` at this rate all day."""
    rng = np.random.default_rng(seed)
    asked_for = songs(arrivals(per_hour, DAY_S, PATTERNS["steady"], rng), making, rng)
    for pods in itertools.count(math.ceil(asked_for.offered)):
        with suppress(Stalled):
            outcome = simulate(asked_for, read().fixed(pods), ground, np.random.default_rng(seed))
            if np.quantile(outcome.begun - asked_for.lyrics - outcome.arrival, 0.99) <= within_s:
                return pods
    raise AssertionError("counting ended")


def _table(rows: Sequence[Row], asked: argparse.Namespace) -> Iterator[str]:
    yield f"{asked.pattern}, {asked.gpu}, {asked.steps} steps, {asked.hours:g} h, seed {asked.seed}"
    yield " ".join(f"{heading:>{width}}" for heading, width, _ in COLUMNS.values())
    for row in rows:
        yield " ".join(f"{getattr(row, name):>{width}{spec}}" for name, (_, width, spec) in COLUMNS.items())


if __name__ == "__main__":
    main()
