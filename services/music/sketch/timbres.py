"""Families of instruments, each a few numbers away from a dozen others: struck, analog, FM, blown, driven.

A timbre turns (Hz, seconds held, strength 0 to 1, randomness) into sound, mono (n,) or stereo (n, 2), all at
one level. Knows no notes, no tempo and no mix.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.music.sketch.tones import (
    Cycles,
    Signal,
    bandpass,
    cycles,
    decay,
    envelope,
    fade_out,
    harmonics,
    highpass,
    leveled,
    lowpass,
    noise,
    overdriven,
    pulse,
    samples,
    saw,
    seconds_axis,
    sine,
    swept_lowpass,
)

# Above this, partials add harshness and cost but no colour.
_CEILING_HZ = 15_000


class Timbre(Protocol):
    def sound(
        self, hz: float, hold_s: float, strength: float, rng: np.random.Generator
    ) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Struck:
    """A string or bar that is hit or plucked and left to ring: partials that die at their own speed."""

    ring_s: float  # of the fundamental at 220 Hz, to -60 dB
    tilt: float = 1.2  # partial k starts at k^-tilt
    damping: float = 0.25  # how much faster higher partials die
    stiffness: float = 0.0  # inharmonicity B: f_k = k f sqrt(1 + B k^2) (Fletcher 1964)
    position: float = 0.0  # where it is plucked, as a part of the string; 0: no comb
    knock: float = 0.1  # noise of hammer, plectrum or finger
    release_s: float = 0.25
    partials: int = 20
    ratios: tuple[float, ...] = ()  # of bars and bells, instead of harmonics
    lowpass_hz: float = 12_000

    def sound(
        self, hz: float, hold_s: float, strength: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        ring_s = self.ring_s * (220 / hz) ** 0.45
        hold = samples(min(hold_s, ring_s))
        n = hold + samples(self.release_s)
        out = np.zeros(n, dtype=np.float32)
        numbers = self.ratios or range(1, self.partials + 1)
        for order, number in enumerate(numbers, start=1):
            frequency = hz * number * np.sqrt(1 + self.stiffness * number * number)
            if frequency > _CEILING_HZ:
                break
            weight = order ** -(self.tilt + 0.7 * (1 - strength))
            if self.position:
                weight *= abs(np.sin(np.pi * number * self.position)) + 0.05
            life_s = ring_s / (1 + self.damping * (order - 1))
            alive = min(n, samples(life_s * 1.2))  # below -72 dB nothing is added
            wave = sine(cycles(frequency, alive, rng.random())) * decay(alive, life_s)
            out[:alive] += np.float32(weight) * wave
        out = leveled(out)
        if self.knock:
            burst = samples(0.03)
            hit = bandpass(noise(burst, rng), min(hz * 2, 2_500), min(hz * 9, 8_000)) * decay(burst, 0.03)
            out[: min(burst, n)] += np.float32(self.knock * strength) * hit[:n]
        rise = min(n, samples(0.0015))
        out[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
        out[hold:] *= decay(n - hold, self.release_s)
        fade_out(out, min(n, 256))
        return lowpass(out, self.lowpass_hz * (0.5 + 0.5 * strength), 1)


@dataclass(frozen=True)
class Analog:
    """Detuned oscillators through one swept low-pass: basses, pads, leads, string machines."""

    shape: str = "saw"
    voices: int = 1
    cents: float = 0.0  # outermost detuning
    low_hz: float = 500
    high_hz: float = 3_000  # the filter's range at 220 Hz; it follows the pitch half-way
    attack_s: float = 0.005
    decay_s: float = 0.3
    sustain: float = 0.7
    release_s: float = 0.2
    opening_s: float = 0.0  # 0: the filter falls with decay_s; else it opens over this time
    sub: float = 0.0  # sine an octave below
    drive: float = 0.0
    vibrato_cents: float = 0.0
    wobble_hz: float = 0.0

    def sound(
        self, hz: float, hold_s: float, strength: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        hold = samples(max(hold_s, 0.03))
        n = hold + samples(self.release_s)
        follow = (hz / 220) ** 0.5
        opening = self._opening(n, hold_s) * np.float32(0.4 + 0.6 * strength)
        loudness = envelope(n, hold, self.attack_s, self.decay_s, self.sustain, self.release_s)
        channels = []
        for side in (-1, 1) if self.voices > 1 else (0,):
            raw = self._oscillators(hz, n, side, rng)
            if self.sub:
                raw = raw + np.float32(self.sub) * sine(cycles(hz / 2, n))
            tone = swept_lowpass(raw, self.low_hz * follow, self.high_hz * follow, opening)
            if self.drive:
                tone = overdriven(tone * np.float32(1 + self.drive)) / np.float32(1 + 0.5 * self.drive)
            channels.append(tone * loudness)
        return leveled(channels[0] if len(channels) == 1 else np.stack(channels, axis=1))

    def _opening(self, n: int, hold_s: float) -> Signal:
        t = seconds_axis(n).astype(np.float32)
        if self.wobble_hz:
            # whole turns within the note, so that it sits in the beat at any tempo
            turns = max(round(hold_s * self.wobble_hz), 1)
            return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * turns / hold_s * t), dtype=np.float32)
        if self.opening_s:
            return np.asarray(np.minimum(t / np.float32(self.opening_s), 1), dtype=np.float32)
        return decay(n, self.decay_s * 3)

    def _oscillators(self, hz: float, n: int, side: int, rng: np.random.Generator) -> Signal:
        """Half of the voices for one side of a stereo sound; each side hears its own detuning."""
        count = max(self.voices // 2, 1) if side else 1
        out = np.zeros(n, dtype=np.float32)
        for index in range(count):
            spread = (index + 0.5) / count if side else 0.0
            cents = side * self.cents * spread * (1 if index % 2 == 0 else -0.6)
            out += self._wave(_bent(hz * 2 ** (cents / 1200), n, self.vibrato_cents, 5.2), n, rng.random())
        return out / np.float32(count**0.5)

    def _wave(self, frequency: float | Cycles, n: int, start: float) -> Signal:
        if self.shape == "pulse":
            return pulse(frequency, n, start, 0.5)
        if self.shape == "thin":
            return pulse(frequency, n, start, 0.2)
        if self.shape == "sine":
            return sine(cycles(frequency, n, start))
        if self.shape == "triangle":
            phase = cycles(frequency, n, start)
            odd = sine(3 * phase) / np.float32(9) - sine(5 * phase) / np.float32(25)
            return np.asarray(sine(phase) - odd, dtype=np.float32)
        return saw(frequency, n, start)


@dataclass(frozen=True)
class Fm:
    """Two-operator frequency modulation (Chowning 1973): electric pianos, bells, vibraphones."""

    ratio: float
    index: float  # modulation at the attack, in radians
    index_decay_s: float
    ring_s: float
    tine: float = 0.0  # a second, high and short modulator
    release_s: float = 0.3
    tremolo: float = 0.0

    def sound(
        self, hz: float, hold_s: float, strength: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        ring_s = self.ring_s * (220 / hz) ** 0.3
        hold = samples(min(hold_s, ring_s))
        n = hold + samples(self.release_s)
        phase = cycles(hz, n)
        index = self.index * (0.35 + 0.65 * strength) * min(1.0, (440 / hz) ** 0.5)
        bend = np.float32(index / (2 * np.pi)) * decay(n, self.index_decay_s) * sine(phase * self.ratio)
        out = sine(phase + bend) * decay(n, ring_s)
        if self.tine:
            short = decay(n, 0.25) * np.float32(self.tine * strength)
            out += short * sine(phase + 0.25 * sine(phase * 14).astype(np.float64))
        out[: samples(0.002)] *= np.linspace(0, 1, samples(0.002), dtype=np.float32)[:n]
        out[hold:] *= decay(n - hold, self.release_s)
        fade_out(out, min(n, 256))
        out = leveled(out)
        if not self.tremolo:
            return out
        # a slow turn from side to side, as the suitcase pianos have it
        sway = np.float32(self.tremolo) * sine(cycles(4.6, n, rng.random()))
        return np.stack([out * (1 + sway), out * (1 - sway)], axis=1)


@dataclass(frozen=True)
class Blown:
    """Bow, reed, lips or breath: harmonics that grow after the attack, vibrato that comes late, some air."""

    tilt: float = 1.4
    attack_s: float = 0.06
    release_s: float = 0.12
    vibrato_cents: float = 14
    vibrato_hz: float = 5.4
    breath: float = 0.03
    odd: float = 1.0  # weight of even harmonics; below 1 sounds hollow
    formants: tuple[tuple[float, float, float], ...] = ()  # (centre Hz, width Hz, gain)
    harmonics: int = 18
    section: int = 1  # players

    def sound(
        self, hz: float, hold_s: float, strength: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        hold = samples(max(hold_s, 0.08))
        n = hold + samples(self.release_s)
        loudness = envelope(n, hold, min(self.attack_s, hold_s * 0.6), 1.5, 0.85, self.release_s)
        # Two players are enough work; who sits behind them is heard through the room, a moment later.
        voices = [self._player(hz, n, strength, rng, loudness) for _ in range(min(self.section, 2))]
        if self.breath:
            air = bandpass(noise(n, rng), min(hz * 1.5, 3_000), min(hz * 6, 9_000))
            voices[0] += np.float32(self.breath * self.section) * loudness * air
        if self.section == 1:
            return leveled(voices[0])
        front = np.stack(voices, axis=1)
        sound = front.copy()
        for delay_s in (0.023, 0.037)[: self.section - 2]:
            behind = samples(delay_s)
            sound[behind:] += front[: n - behind, ::-1]
        fade_out(sound[:, 0], 256)
        fade_out(sound[:, 1], 256)
        return leveled(sound)

    def _player(
        self, hz: float, n: int, strength: float, rng: np.random.Generator, loudness: Signal
    ) -> Signal:
        drift = 1 + rng.uniform(-4, 4) / 1200 if self.section > 1 else 1.0
        frequency = _bent(hz * drift, n, self.vibrato_cents, self.vibrato_hz * rng.uniform(0.94, 1.06))
        phase = cycles(frequency, n, rng.random())
        out, register = np.zeros(n, dtype=np.float32), np.zeros(n, dtype=np.float32)
        growth, audible = loudness, min(self.harmonics, int(_CEILING_HZ / hz))
        for k, wave in enumerate(harmonics(phase, audible), start=1):
            weight = k ** -(self.tilt + 0.5 * (1 - strength)) * (1.0 if k % 2 else self.odd)
            weight *= 1 + sum(g * np.exp(-(((hz * k - c) / w) ** 2)) for c, w, g in self.formants)
            register += np.float32(weight) * wave
            if k % 3 == 0 or k == audible:
                out += register * growth
                register[:] = 0
                growth = growth * loudness  # brightness follows loudness, as in all of these
        return out


@dataclass(frozen=True)
class Driven:
    """A distorted electric guitar: root, fifth, octave bent together, through a loudspeaker, played twice."""

    gain: float
    chord: bool = True
    palm_s: float = 0.0  # palm-muted when held shorter than this
    ring_s: float = 5.0

    def sound(
        self, hz: float, hold_s: float, strength: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        hold, muted = samples(hold_s), hold_s < self.palm_s
        n = hold + samples(0.06)
        life_s = 0.45 if muted else self.ring_s
        intervals = (1.0, 1.4983, 2.0) if self.chord else (1.0,)
        takes = []
        for _ in range(2 if self.chord else 1):
            raw = np.zeros(n, dtype=np.float32)
            for ratio in intervals:
                frequency = _bent(
                    hz * ratio * (1 + rng.uniform(-3, 3) / 1200), n, 0 if self.chord else 16, 5.4
                )
                raw += saw(frequency, n, rng.random())
            raw = lowpass(raw * decay(n, life_s), 900 if muted else 3_200, 1)
            bent = overdriven(highpass(raw, 90) * np.float32(self.gain * (0.6 + 0.4 * strength)))
            speaker = lowpass(highpass(bent, 95), 4_200, 3)
            speaker += np.float32(0.5) * bandpass(bent, 1_400, 2_800)
            gate = envelope(n, hold, 0.003, 4.0, 0.8, 0.06)
            takes.append(np.asarray(speaker * gate * np.sqrt(decay(n, life_s)), dtype=np.float32))
        return leveled(takes[0] if len(takes) == 1 else np.stack(takes, axis=1))


@dataclass(frozen=True)
class Boom:
    """The 808: a sine that drops in pitch and rings, a little overdriven so that small speakers hear it."""

    ring_s: float = 1.6
    drive: float = 1.6

    def sound(
        self, hz: float, hold_s: float, strength: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        hold = samples(min(hold_s, self.ring_s))
        n = hold + samples(0.08)
        t = seconds_axis(n)
        body = sine(cycles(hz * (1 + 1.5 * np.exp(-t * 55)), n)) * decay(n, self.ring_s * 1.6)
        out = np.tanh(body * np.float32(1 + self.drive * strength))
        out[hold:] *= decay(n - hold, 0.08)
        fade_out(out, min(n, 256))
        return leveled(lowpass(out, 2_400))


def _bent(hz: float, n: int, cents: float, rate_hz: float) -> float | Cycles:
    """A frequency with vibrato that sets in after the attack; a plain number when there is none."""
    if not cents:
        return hz
    t = seconds_axis(n).astype(np.float32)  # fine enough for a vibrato
    depth = np.clip((t - np.float32(0.18)) * np.float32(2.9), 0, 1)
    swing = depth * np.sin(np.float32(2 * np.pi * rate_hz) * t)
    return np.asarray(hz + hz * cents / 1200 * np.log(2) * swing, dtype=np.float64)
