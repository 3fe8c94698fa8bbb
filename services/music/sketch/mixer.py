"""From the notes of a bar to its sound: levels, stereo field, ducking, echo and one reverb for all.

Works block by block; what rings longer than its block is carried into the next, so borders cannot be heard.
Knows no composition; loudness and peaks are mastering.py's.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from services.music.sketch.drumkit import Drummer
from services.music.sketch.genres import Genre
from services.music.sketch.instruments import SOUNDS, Player
from services.music.sketch.randomness import Seed, stream
from services.music.sketch.room import Room
from services.music.sketch.score import Bar
from services.music.sketch.tones import RATE, Signal, samples
from services.music.sketch.voice import LEAD, sing

Stereo = NDArray[np.float32]  # (n, 2)

# dB of each bus, and how much of it goes to the reverb.
_BUSES: Mapping[str, tuple[float, float]] = {
    "drums": (-3.0, 0.25),
    "bass": (-4.5, 0.05),
    "chords": (-3.0, 0.8),
    "pad": (-7.5, 1.0),
    "arp": (-7.0, 1.0),
    "lead": (-3.5, 0.9),
    "voice": (-3.0, 0.7),
}
# dB of each piece against the kick.
_PIECES: Mapping[str, float] = {
    "kick": -1, "snare": -3, "clap": -4, "snap": -7, "closed": -16, "hat": -15, "pedal": -15, "ride": -15,
    "crash": -13, "cymbal": -16, "shaker": -18, "tambourine": -17, "rim": -11, "clave": -14, "tom": -5,
    "floor_tom": -4, "conga": -8, "timpani": -4, "taiko": -3,
}  # fmt: skip
_DUCKED = ("bass", "chords", "pad", "arp", "lead")
_ECHOED = ("arp", "lead")


class Mixer:
    def __init__(
        self, genre: Genre, player: Player, drummer: Drummer, room: Room, seed: Seed, step_s: float
    ) -> None:
        self._genre, self._player, self._drummer, self._seed = genre, player, drummer, seed
        # A dotted eighth against the drums; a beat where there are none, so that the pulse stays clear.
        self._echo = samples((3 if "kick" in genre.drums else 4) * step_s)
        self._tails: dict[str, Stereo] = {bus: np.zeros((0, 2), np.float32) for bus in _BUSES}
        self._kick = -RATE  # sample of the last one
        self._room, self._ringing = room, np.zeros((0, 2), np.float32)

    def block(self, bar: Bar, start: int, n: int) -> Stereo:
        """Samples `start` to `start + n` of the song before mastering, (n, 2)."""
        for tone in bar.tones:
            instrument = SOUNDS[tone.sound]
            sound = self._player.note(tone.sound, tone.pitch, tone.hold_s, tone.velocity)
            gain = _amplitude(instrument.gain_db + tone.gain_db) * tone.velocity
            self._add(tone.bus, sound, tone.at - start, gain, tone.pan)
            if tone.bus in _ECHOED and self._genre.room[1] >= 0.2:
                for turn, weight in ((1, 0.30), (2, 0.14)):
                    pan = 0.6 if turn % 2 else -0.6
                    self._add(tone.bus, sound, tone.at - start + turn * self._echo, gain * weight, pan)
        for stroke in bar.strokes:
            sound = self._drummer.stroke(stroke.piece, stroke.variant)
            gain = _amplitude(_PIECES[stroke.piece]) * stroke.velocity
            self._add("drums", sound, stroke.at - start, gain, stroke.pan)
        for phrase in bar.phrases:
            sound = sing(phrase.notes, stream(self._seed, "voice", phrase.at))
            at = phrase.at - LEAD - start
            self._add("voice", sound, at, 1.0, 0.0)
            if phrase.doubled:
                for side, delay_s in ((-0.7, 0.017), (0.7, 0.026)):
                    self._add("voice", sound, at + samples(delay_s), 0.35, side)
        return self._mixed(bar, start, n)

    def _add(self, bus: str, sound: NDArray[np.float32], offset: int, gain: float, pan: float) -> None:
        if offset < 0:  # only at the very start of a song
            sound, offset = sound[-offset:], 0
        tail, end = self._tails[bus], offset + len(sound)
        if len(tail) < end:
            grown = np.zeros((max(end, len(tail) + RATE), 2), np.float32)
            grown[: len(tail)] = tail
            self._tails[bus] = tail = grown
        # equal power for mono, balance for what is stereo already
        left, right = np.cos((pan + 1) * np.pi / 4), np.sin((pan + 1) * np.pi / 4)
        for channel, side in enumerate((left, right)):
            source = sound if sound.ndim == 1 else sound[:, channel]
            weight = side if sound.ndim == 1 else min(side * 2**0.5, 1.0)
            tail[offset:end, channel] += source * np.float32(gain * weight)

    def _mixed(self, bar: Bar, start: int, n: int) -> Stereo:
        dry, wet = np.zeros((n, 2), np.float32), np.zeros(n, np.float32)
        duck = self._ducking(bar, start, n)
        for bus, (gain_db, send) in _BUSES.items():
            tail = self._tails[bus]
            now = np.zeros((n, 2), np.float32)
            now[: min(n, len(tail))] = tail[:n]
            self._tails[bus] = tail[n:].copy()
            now *= np.float32(_amplitude(gain_db))
            if duck is not None and bus in _DUCKED:
                now *= duck[:, None]
            dry += now
            wet += (now[:, 0] + now[:, 1]) * np.float32(send * 0.5)
        return dry + self._reverberated(wet)

    def _reverberated(self, send: Signal) -> Stereo:
        answer = self._room.ring(send)
        answer[: len(self._ringing)] += self._ringing
        self._ringing = answer[len(send) :].copy()
        return answer[: len(send)]

    def _ducking(self, bar: Bar, start: int, n: int) -> Signal | None:
        """Gain by which the rest makes room for the kick: down at once, back within a beat."""
        depth = self._genre.pump
        if not depth:
            return None
        since = np.full(n, 10 * RATE, np.float32)
        for kick in (self._kick, *bar.kicks):
            at = kick - start
            since[max(at, 0) :] = np.arange(max(at, 0) - at, n - at, dtype=np.float32)[: n - max(at, 0)]
        self._kick = bar.kicks[-1] if bar.kicks else self._kick
        release = 1 - np.exp(-since / np.float32(0.09 * RATE))
        # 5 ms downwards, so that the duck itself does not click
        onset = np.minimum(since / np.float32(0.005 * RATE), 1)
        return np.asarray(1 - np.float32(depth) * (1 - release) * onset, dtype=np.float32)


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))
