"""The drums, by synthesis: kicks, snares, cymbals, hands and sticks, in the sound of each kit.

Turns (kit, piece, variant) into sound, mono (n,), peak near 1. Knows no patterns and no mix.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from services.music.sketch.randomness import Seed, stream
from services.music.sketch.tones import (
    Signal,
    bandpass,
    cycles,
    decay,
    fade_out,
    highpass,
    lowpass,
    noise,
    samples,
    seconds_axis,
    sine,
)

# A stroke sounds a little different each time; more than these nobody can tell.
VARIANTS = 3


@dataclass(frozen=True)
class Kit:
    kick_hz: float = 50
    kick_drop: float = 3.5  # how far above kick_hz the stroke begins
    kick_s: float = 0.35
    click: float = 0.3
    snare_hz: float = 190
    snare_s: float = 0.20
    wires: float = 0.8  # noise against drum head
    bright_hz: float = 11_000  # where the whole kit ends
    drive: float = 0.0
    gate_s: float = 0.0  # a burst of room on the snare, cut off


KITS: Mapping[str, Kit] = {
    "electronic": Kit(47, 4.5, 0.38, 0.35, 205, 0.18, 0.9, 14_000, 0.6),
    "heavy": Kit(52, 4.0, 0.30, 0.60, 195, 0.24, 0.9, 13_000, 1.0),
    "trap": Kit(48, 3.5, 0.30, 0.40, 215, 0.17, 1.0, 15_000, 0.6),
    "dusty": Kit(58, 2.4, 0.26, 0.25, 185, 0.17, 0.7, 6_500, 0.8),
    "acoustic": Kit(57, 2.6, 0.26, 0.45, 188, 0.24, 0.8, 12_000),
    "studio": Kit(54, 3.0, 0.28, 0.40, 196, 0.20, 0.85, 13_000, 0.3),
    "gated": Kit(52, 3.2, 0.30, 0.40, 180, 0.24, 0.9, 12_000, 0.4, 0.28),
    "brush": Kit(60, 1.8, 0.22, 0.12, 200, 0.16, 1.0, 9_000),
    "soft": Kit(55, 2.0, 0.25, 0.15, 190, 0.16, 0.7, 8_000),
    "latin": Kit(56, 2.4, 0.24, 0.30, 210, 0.17, 0.7, 12_000),
    "orchestra": Kit(44, 1.8, 0.60, 0.20, 185, 0.26, 0.8, 9_000),
}

_Maker = Callable[[Kit, np.random.Generator], Signal]

# Inharmonic square-wave cluster of the TR-808's cymbal circuit, Hz.
_METAL_HZ = (263.0, 400.0, 421.0, 474.0, 587.0, 845.0)


class Drummer:
    """Strokes of one kit; each piece is made once per variant and kept (a few seconds of sound in all)."""

    def __init__(self, kit: str, seed: Seed) -> None:
        self._kit, self._name, self._seed = KITS[kit], kit, seed
        self._strokes: dict[tuple[str, int], Signal] = {}

    def stroke(self, piece: str, variant: int) -> Signal:
        key = piece, variant % VARIANTS
        if key not in self._strokes:
            rng = stream(self._seed, "stroke", self._name, *key)
            sound = lowpass(_PIECES[piece](self._kit, rng), self._kit.bright_hz, 1)
            sound = sound / np.float32(max(float(np.max(np.abs(sound))), 1e-6))
            fade_out(sound, min(len(sound), 400))
            self._strokes[key] = sound
        return self._strokes[key]


def _kick(kit: Kit, rng: np.random.Generator) -> Signal:
    n = samples(kit.kick_s * 1.4)
    t = seconds_axis(n)
    sweep = kit.kick_hz * (1 + kit.kick_drop * np.exp(-t * 42) + 2 * np.exp(-t * 220))
    body = sine(cycles(sweep, n)) * decay(n, kit.kick_s * 1.4)
    tick = bandpass(noise(n, rng), 1_500, 5_000) * decay(n, 0.02)
    return np.tanh((body + np.float32(kit.click * 0.7) * tick) * np.float32(1 + kit.drive))


def _snare(kit: Kit, rng: np.random.Generator) -> Signal:
    n = samples(max(kit.snare_s * 1.6, kit.gate_s))
    t = seconds_axis(n)
    hz = kit.snare_hz * rng.uniform(0.985, 1.015)
    head = sine(cycles(hz * (1 + 0.5 * np.exp(-t * 90)), n)) * decay(n, 0.16)
    head += np.float32(0.6) * sine(cycles(hz * 1.78, n)) * decay(n, 0.10)
    wires = bandpass(noise(n, rng), 1_600, 8_500) * decay(n, kit.snare_s * 1.5)
    crack = highpass(noise(n, rng), 3_000) * decay(n, 0.025)
    out = head + np.float32(kit.wires * 1.5) * wires + np.float32(0.5) * crack
    if kit.gate_s:
        room = bandpass(noise(n, rng), 500, 6_000) * np.float32(0.45)
        shut = samples(kit.gate_s) - 900
        room[shut:] = 0
        room[shut - 300 : shut] *= np.linspace(1, 0, 300, dtype=np.float32)
        out += room
    return np.asarray(np.tanh(out * np.float32(0.8 + 0.5 * kit.drive)), dtype=np.float32)


def _clap(kit: Kit, rng: np.random.Generator) -> Signal:
    n = samples(0.28)
    hands = np.zeros(n, dtype=np.float32)
    for start_s in (0.0, 0.011, 0.021, 0.030):
        at = samples(start_s + rng.uniform(0, 0.002)) if start_s else 0
        hands[at:] += decay(n - at, 0.025 if start_s < 0.03 else 0.19)
    return (
        bandpass(noise(n, rng), 850, 2_600) * hands
        + np.float32(0.15) * highpass(noise(n, rng), 4_000) * hands
    )


def _snap(kit: Kit, rng: np.random.Generator) -> Signal:
    n = samples(0.12)
    return bandpass(noise(n, rng), 1_700, 3_200) * decay(n, 0.07) + np.float32(0.3) * sine(
        cycles(1_950.0, n)
    ) * decay(n, 0.03)


def _metal(n: int, rng: np.random.Generator, scale: float) -> Signal:
    out = np.zeros(n, dtype=np.float32)
    for hz in _METAL_HZ:
        out += np.sign(sine(cycles(hz * scale * rng.uniform(0.995, 1.005), n, rng.random())))
    return out / np.float32(6) + np.float32(0.9) * noise(n, rng)


def _cymbal(length_s: float, low_hz: float, scale: float, stick: float = 0.0) -> _Maker:
    def make(kit: Kit, rng: np.random.Generator) -> Signal:
        n = samples(length_s * 1.1)
        out = highpass(_metal(n, rng, scale), low_hz, 3) * decay(n, length_s)
        if stick:
            out += np.float32(stick) * bandpass(noise(n, rng), 3_000, 5_000) * decay(n, 0.03)
        return out

    return make


def _crash(kit: Kit, rng: np.random.Generator) -> Signal:
    n = samples(2.2)
    wash = highpass(_metal(n, rng, 1.3), 2_800, 2)
    swell = 1 - np.float32(0.6) * decay(n, 0.05)
    return wash * decay(n, 2.4) * swell


def _swell(kit: Kit, rng: np.random.Generator) -> Signal:
    return np.ascontiguousarray(_crash(kit, rng)[::-1])


def _shaker(kit: Kit, rng: np.random.Generator) -> Signal:
    n = samples(0.09)
    shape = np.sin(np.pi * np.linspace(0, 1, n, dtype=np.float32)) ** 2
    return np.asarray(bandpass(noise(n, rng), 4_500, 9_500) * shape, dtype=np.float32)


def _tambourine(kit: Kit, rng: np.random.Generator) -> Signal:
    n = samples(0.18)
    out = highpass(noise(n, rng), 6_000)
    for hz in (6_100.0, 7_900.0, 9_300.0):
        out += np.float32(0.4) * sine(cycles(hz * rng.uniform(0.99, 1.01), n))
    return out * decay(n, 0.16)


def _wood(hz: float, length_s: float) -> _Maker:
    def make(kit: Kit, rng: np.random.Generator) -> Signal:
        n = samples(length_s)
        out = sine(cycles(hz, n)) + np.float32(0.5) * sine(cycles(hz * 1.54, n))
        return out * decay(n, length_s * 0.8) + np.float32(0.3) * highpass(noise(n, rng), 2_000) * decay(
            n, 0.01
        )

    return make


def _skin(hz: float, length_s: float, drop: float = 0.25, slap: float = 0.3) -> _Maker:
    def make(kit: Kit, rng: np.random.Generator) -> Signal:
        n = samples(length_s)
        t = seconds_axis(n)
        pitch = hz * rng.uniform(0.98, 1.02)
        out = sine(cycles(pitch * (1 + drop * np.exp(-t * 30)), n)) * decay(n, length_s)
        out += np.float32(0.35) * sine(cycles(pitch * 1.59, n)) * decay(n, length_s * 0.5)
        return out + np.float32(slap) * bandpass(noise(n, rng), 300, 3_000) * decay(n, 0.04)

    return make


_PIECES: Mapping[str, _Maker] = {
    "kick": _kick,
    "snare": _snare,
    "clap": _clap,
    "snap": _snap,
    "closed": _cymbal(0.055, 7_000, 1.35),
    "hat": _cymbal(0.28, 6_500, 1.35),
    "pedal": _cymbal(0.07, 5_500, 1.2, 0.3),
    "ride": _cymbal(0.75, 5_200, 1.6, 0.5),
    "crash": _crash,
    "cymbal": _swell,
    "shaker": _shaker,
    "tambourine": _tambourine,
    "rim": _wood(1_050, 0.06),
    "clave": _wood(2_350, 0.08),
    "tom": _skin(120, 0.38),
    "floor_tom": _skin(82, 0.45),
    "conga": _skin(215, 0.26, 0.08, 0.4),
    "timpani": _skin(66, 1.6, 0.05, 0.2),
    "taiko": _skin(62, 0.9, 0.35, 0.7),
}

PIECES = frozenset(_PIECES)
