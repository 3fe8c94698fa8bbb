"""The room that all instruments share: one impulse response, made once per song, and convolution with it.

Knows no mix: what is sent to it comes back as reverberation alone.
"""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from services.music.sketch.randomness import Seed, stream
from services.music.sketch.tones import Signal, decay, highpass, lowpass, noise, samples

Stereo = NDArray[np.float32]  # (n, 2)


class Room:
    """An impulse response made of noise: early reflections, then a tail whose treble dies first."""

    def __init__(self, time_s: float, wet: float, seed: Seed) -> None:
        rng = stream(seed, "room")
        n = samples(time_s)
        tail = np.empty((n, 2), np.float32)
        for channel in (0, 1):
            low = lowpass(noise(n, rng), 2_200, 1) * decay(n, time_s)
            high = highpass(lowpass(noise(n, rng), 7_500, 1), 2_200, 1) * decay(n, time_s * 0.45)
            tail[:, channel] = low + np.float32(0.7) * high
        tail *= np.minimum(np.arange(n, dtype=np.float32) / 1_500, 1)[:, None]
        for delay_s, gain in ((0.011, 22.0), (0.019, 16.0), (0.029, 13.0), (0.041, 9.0)):
            for channel in (0, 1):
                tail[samples(delay_s * (1 + 0.13 * channel)), channel] += np.float32(gain)
        tail = np.concatenate((np.zeros((samples(0.012), 2), np.float32), tail))
        for channel in (0, 1):
            tail[:, channel] = highpass(tail[:, channel], 220)
        self._impulse = tail * np.float32(1.6 * wet / np.sqrt(np.sum(tail[:, 0] ** 2)))
        self._spectra: dict[int, NDArray[np.complex64]] = {}

    def ring(self, send: Signal) -> Stereo:
        """(n,) in, the whole answer of the room out: (n + length of the impulse - 1, 2)."""
        length = len(send) + len(self._impulse) - 1
        size = scipy.fft.next_fast_len(length, real=True)
        if size not in self._spectra:
            self._spectra = {
                size: scipy.fft.rfft(self._impulse, size, axis=0)
            }  # one is enough: bars are alike
        answer = scipy.fft.irfft(scipy.fft.rfft(send, size)[:, None] * self._spectra[size], size, axis=0)
        return np.asarray(answer[:length], dtype=np.float32)
