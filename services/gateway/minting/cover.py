"""A song's cover: a small SVG drawn from its seed, genre and hash. The same song has the same cover.

Holds no text and no outside reference: it looks the same wherever it is shown.
"""

import colorsys
import hashlib
import math
from random import Random

_SIZE = 512
_BARS = 48


def cover_svg(seed: int, genre: str, audio_sha256: bytes) -> bytes:
    """The cover: a ring of bars, as loud as the bytes of the song's hash, in the colours of its genre."""
    hue = hashlib.sha256(genre.lower().encode()).digest()[0] / 256
    draw = Random(seed)
    hue, spin = (hue + draw.uniform(-0.06, 0.06)) % 1.0, draw.uniform(0, 360)
    inner = draw.uniform(70, 110)
    bars = "".join(
        _bar(spin + 360 * n / _BARS, inner, 20 + 90 * audio_sha256[n % len(audio_sha256)] / 255)
        for n in range(_BARS)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE} {_SIZE}">'
        '<defs><linearGradient id="sky" x1="0" y1="0" x2="1" y2="1">'
        f'<stop offset="0" stop-color="{_colour(hue, 0.22)}"/>'
        f'<stop offset="1" stop-color="{_colour((hue + 0.12) % 1.0, 0.52)}"/></linearGradient></defs>'
        f'<rect width="{_SIZE}" height="{_SIZE}" fill="url(#sky)"/>'
        f'<g stroke="{_colour((hue + 0.5) % 1.0, 0.82)}" stroke-width="7" stroke-linecap="round">{bars}</g>'
        f'<circle cx="256" cy="256" r="{inner - 24:.1f}" fill="{_colour((hue + 0.08) % 1.0, 0.66)}"/>'
        "</svg>"
    ).encode()


def _bar(degrees: float, inner: float, length: float) -> str:
    x, y = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    near, far = inner, inner + length
    return f'<path d="M{256 + near * x:.1f} {256 + near * y:.1f}L{256 + far * x:.1f} {256 + far * y:.1f}"/>'


def _colour(hue: float, lightness: float) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in colorsys.hls_to_rgb(hue, lightness, 0.55))
