"""The instruments by name: a timbre, where it sits in the stereo field, how loud, and how much room it takes.

A table and its look-up with a bounded cache of rendered notes. Knows no score.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.music.sketch.randomness import Seed, stream
from services.music.sketch.timbres import Analog, Blown, Boom, Driven, Fm, Struck, Timbre
from services.music.sketch.tones import midi_hz


@dataclass(frozen=True)
class Instrument:
    timbre: Timbre
    gain_db: float = 0.0
    send: float = 1.0  # into the reverb, against the genre's usual amount
    lowest: int = 21  # MIDI pitches it is written for
    highest: int = 108


def _choir(formants: tuple[tuple[float, float, float], ...]) -> Blown:
    return Blown(
        tilt=1.5, attack_s=0.5, release_s=0.9, breath=0.02, formants=formants, harmonics=12, section=4
    )


_AH = ((700.0, 180.0, 3.0), (1150.0, 220.0, 2.0), (2800.0, 400.0, 0.8))

SOUNDS: Mapping[str, Instrument] = {
    # keys
    "piano": Instrument(Struck(9.0, 1.15, 0.30, 0.0004, 0.12, 0.10, 0.35, 24), 0, 0.8),
    "felt_piano": Instrument(Struck(7.0, 1.9, 0.5, 0.0003, 0.0, 0.05, 0.6, 12, lowpass_hz=3_000), 0, 1.2),
    "mellow_piano": Instrument(Struck(6.0, 1.5, 0.45, 0.0004, 0.12, 0.07, 0.3, 16, lowpass_hz=4_500), 0, 0.9),
    "dark_piano": Instrument(Struck(7.0, 1.35, 0.4, 0.0006, 0.1, 0.08, 0.5, 18, lowpass_hz=4_000), 0, 1.3),
    "epiano": Instrument(Fm(1.0, 1.9, 1.4, 4.5, 0.10, 0.3, 0.28), 0, 0.9),
    "organ": Instrument(
        Blown(1.0, 0.012, 0.06, 5, 6.2, 0.0, formants=((880.0, 500.0, 0.6),), harmonics=8, section=2), -1, 0.7
    ),
    # plucked
    "nylon_guitar": Instrument(
        Struck(3.2, 1.5, 0.5, 0.0001, 0.28, 0.10, 0.18, 18, lowpass_hz=6_000), 1, 0.9, 40
    ),
    "steel_guitar": Instrument(Struck(4.5, 1.1, 0.32, 0.0001, 0.16, 0.16, 0.18, 24), 0, 0.8, 40),
    "clean_guitar": Instrument(
        Struck(5.0, 1.25, 0.35, 0.0001, 0.2, 0.08, 0.15, 20, lowpass_hz=7_000), 0, 0.9, 40
    ),
    "skank_guitar": Instrument(
        Struck(1.2, 1.0, 0.3, 0.0001, 0.12, 0.16, 0.05, 22, lowpass_hz=8_000), 1, 0.7, 45
    ),
    "banjo": Instrument(Struck(1.3, 0.9, 0.3, 0.0001, 0.1, 0.2, 0.1, 22), -1, 0.7, 48),
    "harp": Instrument(Struck(4.0, 1.7, 0.5, 0.0, 0.35, 0.06, 0.8, 14), 1, 1.3, 36),
    # bars and bells
    "bells": Instrument(
        Struck(3.5, 1.1, 0.35, 0.0, 0.0, 0.04, 0.9, ratios=(1.0, 2.0, 2.76, 4.07, 5.4, 8.93)), -3, 1.5, 60
    ),
    "vibes": Instrument(Fm(4.0, 0.6, 0.4, 4.0, 0.0, 0.5, 0.35), 0, 1.2, 53),
    "marimba": Instrument(Struck(0.9, 1.2, 0.8, 0.0, 0.0, 0.12, 0.2, ratios=(1.0, 3.93, 9.4)), 1, 0.9, 45),
    # basses
    "round_bass": Instrument(
        Analog("triangle", 1, 0, 220, 900, 0.006, 0.4, 0.75, 0.07, sub=0.3), 0, 0.1, 24, 55
    ),
    "synth_bass": Instrument(
        Analog("saw", 1, 0, 180, 1_700, 0.004, 0.16, 0.7, 0.05, sub=0.7), 0, 0.1, 24, 55
    ),
    "acid_bass": Instrument(
        Analog("saw", 1, 0, 260, 4_200, 0.003, 0.10, 0.6, 0.04, sub=0.5, drive=1.5), -1, 0.2, 26, 55
    ),
    "sub_bass": Instrument(Analog("sine", 1, 0, 300, 500, 0.08, 1.0, 0.9, 0.5), 0, 0.2, 24, 50),
    "reese_bass": Instrument(
        Analog("saw", 2, 18, 260, 900, 0.01, 0.8, 0.9, 0.08, opening_s=0.9, sub=0.9), 0, 0.1, 24, 50
    ),
    "wobble_bass": Instrument(
        Analog("saw", 2, 12, 160, 3_400, 0.004, 0.6, 0.9, 0.05, sub=1.0, drive=1.2, wobble_hz=7),
        -1,
        0.1,
        24,
        48,
    ),
    "808": Instrument(Boom(), 1, 0.05, 24, 48),
    "finger_bass": Instrument(
        Struck(3.0, 1.4, 0.6, 0.0001, 0.25, 0.06, 0.07, 12, lowpass_hz=2_800), 1, 0.15, 28, 55
    ),
    "pick_bass": Instrument(
        Struck(3.0, 1.0, 0.4, 0.0001, 0.15, 0.15, 0.06, 18, lowpass_hz=4_500), 1, 0.1, 28, 55
    ),
    "slap_bass": Instrument(
        Struck(1.8, 0.9, 0.4, 0.0001, 0.1, 0.30, 0.05, 22, lowpass_hz=7_000), 1, 0.12, 28, 58
    ),
    "upright_bass": Instrument(
        Struck(1.6, 1.6, 0.7, 0.0, 0.3, 0.10, 0.12, 10, lowpass_hz=2_200), 2, 0.25, 28, 55
    ),
    "dub_bass": Instrument(
        Analog("triangle", 1, 0, 150, 420, 0.008, 0.5, 0.85, 0.06, sub=0.2), 1, 0.1, 24, 50
    ),
    "low_strings": Instrument(
        Blown(1.1, 0.09, 0.3, 10, breath=0.01, formants=((350.0, 200.0, 0.8),), harmonics=14, section=2),
        0,
        0.9,
        28,
        60,
    ),
    # pads
    "warm_pad": Instrument(Analog("saw", 4, 11, 500, 1_500, 0.45, 1.0, 0.9, 0.9, opening_s=1.8), -2, 1.3),
    "dark_pad": Instrument(Analog("saw", 4, 14, 240, 750, 0.7, 1.0, 0.9, 1.0, opening_s=2.5), -2, 1.4),
    "strings": Instrument(
        Blown(1.25, 0.28, 0.45, 12, breath=0.015, formants=((500.0, 250.0, 0.6),), harmonics=14, section=4),
        -1,
        1.2,
        40,
    ),
    "choir": Instrument(_choir(_AH), -1, 1.4, 43, 84),
    # short chords
    "stab": Instrument(Analog("saw", 4, 8, 500, 3_600, 0.003, 0.12, 0.35, 0.12), -1, 1.3),
    "poly_synth": Instrument(Analog("saw", 4, 9, 600, 3_400, 0.006, 0.35, 0.55, 0.25), -1, 1.0),
    "supersaw": Instrument(Analog("saw", 8, 19, 1_200, 6_500, 0.005, 0.5, 0.8, 0.18), -1, 1.1),
    "pluck": Instrument(Analog("saw", 2, 6, 450, 4_200, 0.002, 0.07, 0.08, 0.16), -1, 1.5),
    "staccato_strings": Instrument(
        Blown(1.1, 0.02, 0.16, 6, breath=0.03, formants=((600.0, 300.0, 0.6),), harmonics=14, section=2),
        0,
        1.1,
        40,
    ),
    "crunch_guitar": Instrument(Driven(5.0, palm_s=0.13), -1, 0.6, 36, 64),
    "heavy_guitar": Instrument(Driven(12.0, palm_s=0.17), -1, 0.5, 33, 62),
    # melodies
    "soft_lead": Instrument(
        Analog("triangle", 2, 5, 900, 3_000, 0.02, 0.5, 0.8, 0.22, vibrato_cents=9), 0, 1.2
    ),
    "saw_lead": Instrument(
        Analog("saw", 4, 9, 1_100, 4_500, 0.008, 0.4, 0.8, 0.18, vibrato_cents=8), -1, 1.1
    ),
    "square_lead": Instrument(Analog("pulse", 2, 6, 800, 3_200, 0.006, 0.25, 0.6, 0.14), -1, 1.1),
    "lead_guitar": Instrument(Driven(7.0, chord=False, ring_s=6.0), -1, 1.3, 45, 86),
    "flute": Instrument(Blown(2.2, 0.05, 0.12, 16, 5.0, 0.09, harmonics=8), 0, 1.3, 60, 93),
    "sax": Instrument(
        Blown(1.15, 0.035, 0.10, 18, 5.1, 0.05, formants=((650.0, 300.0, 1.2), (1600.0, 500.0, 0.8))),
        0,
        1.1,
        49,
        80,
    ),
    "melodica": Instrument(Blown(0.9, 0.03, 0.08, 10, 5.6, 0.03, 0.6, harmonics=12), -1, 1.3, 53, 88),
    "trumpet": Instrument(
        Blown(0.95, 0.025, 0.09, 10, 5.6, 0.02, formants=((1300.0, 500.0, 1.2), (2500.0, 700.0, 0.5))),
        -1,
        1.1,
        52,
        84,
    ),
    "muted_trumpet": Instrument(
        Blown(1.2, 0.025, 0.09, 12, 5.4, 0.03, formants=((1700.0, 500.0, 2.0),), harmonics=14),
        -1,
        1.2,
        54,
        82,
    ),
    "brass": Instrument(
        Blown(0.95, 0.03, 0.10, 6, 5.4, 0.01, formants=((1000.0, 500.0, 0.8),), harmonics=16, section=3),
        -1,
        1.0,
        45,
        80,
    ),
    "horn": Instrument(
        Blown(1.5, 0.09, 0.25, 7, 5.0, 0.01, formants=((450.0, 200.0, 1.2),), harmonics=14, section=2),
        1,
        1.3,
        41,
        77,
    ),
    "violin": Instrument(
        Blown(1.05, 0.08, 0.2, 20, 5.8, 0.03, formants=((480.0, 150.0, 0.7), (2700.0, 700.0, 0.8))),
        0,
        1.2,
        55,
        95,
    ),
    "fiddle": Instrument(
        Blown(0.95, 0.03, 0.1, 12, 5.9, 0.05, formants=((480.0, 150.0, 0.7), (2700.0, 700.0, 0.6))),
        -1,
        1.0,
        55,
        93,
    ),
    "cello": Instrument(
        Blown(1.15, 0.09, 0.25, 16, 5.3, 0.03, formants=((250.0, 100.0, 0.8), (1500.0, 500.0, 0.5))),
        1,
        1.2,
        36,
        74,
    ),
}

_CACHE_BYTES = 96 << 20


class Player:
    """Renders notes by name, and remembers what it rendered: most of a bar was in the bar before.

    A note depends on its own key only, so what the cache forgets is made again alike.
    """

    def __init__(self, seed: Seed) -> None:
        self._seed = seed
        self._notes: OrderedDict[tuple[str, int, int, int], NDArray[np.float32]] = OrderedDict()
        self._bytes = 0

    def note(self, name: str, pitch: int, hold_s: float, velocity: float) -> NDArray[np.float32]:
        """Sound of a note at unit gain: (n,) or (n, 2). Velocity colours it; loudness is the mix's."""
        strength = min(max(round(velocity * 6), 1), 6)
        key = (name, pitch, round(hold_s * 1000), strength)
        sound = self._notes.get(key)
        if sound is None:
            rng = stream(self._seed, "note", *key)
            sound = SOUNDS[name].timbre.sound(midi_hz(pitch), key[2] / 1000, strength / 6, rng)
            self._remember(key, sound)
        else:
            self._notes.move_to_end(key)
        return sound

    def _remember(self, key: tuple[str, int, int, int], sound: NDArray[np.float32]) -> None:
        self._notes[key] = sound
        self._bytes += sound.nbytes
        while self._bytes > _CACHE_BYTES:
            _, oldest = self._notes.popitem(last=False)
            self._bytes -= oldest.nbytes
