"""The songs that a day brings: when they are asked for, how long they are, how long a GPU makes them.

Knows speeds as they are published or measured; knows no pods and no queue.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]

# Shares of songs by seconds of audio: an assumption. Mean: 88.8 s.
MIX: Mapping[float, float] = {30.0: 0.2, 60.0: 0.4, 120.0: 0.25, 180.0: 0.12, 240.0: 0.03}
MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0


@dataclass(frozen=True)
class Gpu:
    """Seconds of audio that are sampled in a second, as published for the released code, by steps.

    Of a minute on an A100, 60/12.27 - 60/27.27 = 2.69 s for 33 steps leave nothing beside the steps: the
    published figures are of sampling alone, so decoding and encoding are added.
    """

    sampled_s: Mapping[int, float]

    def sampling_rate(self, steps: int) -> float:
        """Linear in the steps, from the nearest figure that there is."""
        nearest = min(self.sampled_s, key=lambda known: abs(known - steps))
        return self.sampled_s[nearest] * nearest / steps


GPUS: Mapping[str, Gpu] = {
    "a100": Gpu({27: 27.27, 60: 12.27}),
    "rtx4090": Gpu({27: 34.48, 60: 15.63}),
    "rtx3090": Gpu({27: 12.76, 60: 6.48}),
    # No figure is published: the A100's times the ratio of memory bandwidths, 3.35 to 2.04 TB/s.
    "h100": Gpu({27: 27.27 * 1.64, 60: 12.27 * 1.64}),
}


@dataclass(frozen=True)
class Making:
    """How long a song takes on a pod. Its words are written before, beside the songs that are being made."""

    gpu: Gpu = GPUS["a100"]
    steps: int = 60
    # Seconds of audio decoded in a second: an assumption, not measured.
    decoded_s: float = 100.0
    # MP3 and FLAC of a second of audio, measured: 1.2 s of a processor for a minute (docs/measurements.md).
    encoded_s: float = 50.0
    # Reading of the prompt, calls, storing: an assumption.
    beside_s: float = 0.5
    lyrics_s: float = 0.3
    # Of audio, sent while the rest is decoded (docs/acestep.md).
    first_window_s: float = 3.0


@dataclass(frozen=True)
class Songs:
    """Arrays of one length, ordered by arrival. All in seconds."""

    arrival: Seconds
    lyrics: Seconds
    # on a slot
    making: Seconds
    # from the slot to the first audio
    first_audio: Seconds

    def __len__(self) -> int:
        return len(self.arrival)

    @property
    def offered(self) -> float:
        """Slots that would be busy on average, over the time from nothing to the last arrival."""
        return float(self.making.sum() / self.arrival[-1])


def songs(arrival: Seconds, making: Making, rng: np.random.Generator) -> Songs:
    audio = rng.choice(list(MIX), p=list(MIX.values()), size=len(arrival))
    sampling = audio / making.gpu.sampling_rate(making.steps)
    finishing = audio * (1 / making.decoded_s + 1 / making.encoded_s)
    window = making.first_window_s * (1 / making.decoded_s + 1 / making.encoded_s)
    return Songs(
        arrival=arrival,
        lyrics=np.full(len(arrival), making.lyrics_s),
        making=making.beside_s + sampling + finishing,
        first_audio=making.beside_s / 2 + sampling + window,
    )


Rate = Callable[[Seconds, np.random.Generator], Seconds]


def steady(minute_s: Seconds, rng: np.random.Generator) -> Seconds:
    return np.ones(len(minute_s))


def daily(minute_s: Seconds, rng: np.random.Generator) -> Seconds:
    """A fifth of the busiest hour's songs at night, where the day begins."""
    return np.asarray(0.6 - 0.4 * np.cos(2 * np.pi * minute_s / DAY_S))


def bursts(minute_s: Seconds, rng: np.random.Generator) -> Seconds:
    """A third of the named rate, and all of it for 10 minutes at a time, about once in an hour and a half."""
    rates = np.full(len(minute_s), 1 / 3)
    for begin in np.flatnonzero(rng.random(len(minute_s)) < 1 / 90):
        rates[begin : begin + 10] = 1.0
    return rates


PATTERNS: Mapping[str, Rate] = {"steady": steady, "daily": daily, "bursts": bursts}


def arrivals(per_hour: float, seconds: float, pattern: Rate, rng: np.random.Generator) -> Seconds:
    """Poisson, with the rate of each minute as `pattern` has it; `per_hour` is the highest."""
    minutes = np.arange(0.0, seconds, MINUTE_S)
    counts = rng.poisson(per_hour / HOUR_S * MINUTE_S * pattern(minutes, rng))
    moments = np.repeat(minutes, counts) + rng.random(counts.sum()) * MINUTE_S
    return np.sort(moments)
