"""A master's spectrum over time as a PNG: frequency upwards in equal steps of pitch, level as colour.

Knows windows, bands and colours. Holds the picture and a few seconds of sound, never the song.
"""

import io
from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from services.gateway.audio.master import SAMPLE_RATE_HZ

Array = NDArray[np.float32]

# 93 ms: tells the notes of a bass apart, and still shows where a drum is hit.
WINDOW = 4096
HOP = WINDOW // 2
LOWEST_HZ, HIGHEST_HZ = 30.0, 20_000.0
# Below the loudest. What is softer than this is black, and so is a song without a sound above FLOOR_DB.
RANGE_DB = 80.0
FLOOR_DB = -120.0  # of a sine at full scale
# Of sound that is read at once.
BLOCK_FRAMES = 1 << 19
SHADES = 128

# Black, violet, red, orange, light yellow: after matplotlib's "inferno", whose lightness grows evenly.
_COLOURS = bytes.fromhex("000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4")


def spectrogram(sound: soundfile.SoundFile, width: int, height: int) -> bytes:
    """PNG of `width` x `height` pixels. Blocks: it decodes all of the master."""
    bands = band_weights(height)
    picture = np.concatenate([power @ bands for power in _column_powers(sound, width)])  # (W, H)
    level_db = 10 * np.log10(np.maximum(picture, 10 ** (FLOOR_DB / 10)))
    top_db = max(float(level_db.max()), FLOOR_DB + RANGE_DB)
    shade = np.clip((level_db - top_db) / RANGE_DB + 1, 0, 1) * (SHADES - 1)
    image = Image.fromarray(np.ascontiguousarray(shade.round().astype(np.uint8).T[::-1]), "P")
    image.putpalette(_palette())
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def centres_hz(height: int) -> NDArray[np.float64]:
    """The frequency of each row, from the lowest."""
    return np.geomspace(LOWEST_HZ, HIGHEST_HZ, height)


def band_weights(height: int) -> Array:
    """(bins, H): how much of each bin a row shows. A row is a triangle between its neighbours' centres, never
    narrower than one bin to each side, and adds up to 1."""
    centres = centres_hz(height)
    bin_hz = SAMPLE_RATE_HZ / WINDOW
    reach = np.maximum(centres * (centres[1] / centres[0] - 1), bin_hz)
    distance = np.abs(np.arange(HOP + 1)[:, None] * bin_hz - centres)
    weights = np.maximum(0, 1 - distance / reach)
    shares: Array = (weights / weights.sum(axis=0)).astype(np.float32)
    return shares


def _column_powers(sound: soundfile.SoundFile, width: int) -> Iterator[Array]:
    """(columns, bins): the mean power of each column's windows, some columns at a time. A sine at full scale
    has 1."""
    column = sound.frames / width
    # As many windows as cover the column, at least the one in its middle.
    windows = max(1, int(np.ceil(column / HOP)))
    at_once = max(1, int((BLOCK_FRAMES - WINDOW) / max(column, HOP * windows / 2)))
    shape = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    scale = np.float32(4 / shape.sum() ** 2)
    for first in range(0, width, at_once):
        columns = np.arange(first, min(first + at_once, width))
        middles = (columns[:, None] + (np.arange(windows) + 0.5) / windows) * column
        starts = middles.astype(np.int64) - WINDOW // 2  # (columns, windows)
        mono = _mono(sound, int(starts[0, 0]), int(starts[-1, -1]) + WINDOW)
        power = np.empty((len(columns), HOP + 1), np.float32)
        for place, its_starts in enumerate(starts - starts[0, 0]):
            frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[its_starts]
            power[place] = (np.abs(np.fft.rfft(frames * shape)) ** 2).mean(axis=0) * scale
        yield power


def _mono(sound: soundfile.SoundFile, start: int, end: int) -> Array:
    """(end - start,) the mean of both channels, silent before the song and after it."""
    first = min(max(start, 0), sound.frames)
    sound.seek(first)
    block = sound.read(max(0, end - first), dtype="float32", always_2d=True).mean(axis=1)
    mono = np.zeros(end - start, np.float32)
    mono[first - start : first - start + len(block)] = block
    return mono


def _palette() -> list[int]:
    anchors = np.frombuffer(_COLOURS, np.uint8).reshape(-1, 3)
    places = np.linspace(0, len(anchors) - 1, SHADES)
    mixed = [np.interp(places, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return [int(value) for value in np.stack(mixed, axis=1).round().astype(int).ravel()]
