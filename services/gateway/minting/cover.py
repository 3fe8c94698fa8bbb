"""A song's cover: a square PNG drawn from its seed, genre and hash. The same song has the same cover.

Holds no text and no outside reference, and is no SVG: marketplaces show those poorly or not at all.
"""

import colorsys
import hashlib
import io
import math
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

# Marketplaces ask for at least 350 pixels, and show covers full screen.
SIDE = 1024
# Drawn larger and scaled down: Pillow's lines have jagged edges.
_SCALE = 2
_BARS = 96
_RGB = tuple[int, int, int]


def cover_png(seed: int, genre: str, audio_sha256: bytes) -> bytes:
    """The cover: a ring of bars, as loud as the bytes of the song's hash, in the colours of its genre."""
    draw = Random(seed)
    hue = hashlib.sha256(genre.lower().encode()).digest()[0] / 256 + draw.uniform(-0.06, 0.06)
    sky = _sky(hue, draw.uniform(0, 360))
    spin, inner = draw.uniform(0, 360), draw.uniform(0.17, 0.22)
    ring = _ring(audio_sha256, spin, inner)
    glow = ring.resize((SIDE // 4, SIDE // 4), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(7))
    glow = glow.resize((SIDE, SIDE), Image.Resampling.BICUBIC).point([level * 2 // 3 for level in range(256)])
    light = Image.new("RGB", sky.size, _colour(hue + 0.5, 0.80))
    sky = Image.composite(ImageChops.screen(sky, light), sky, glow)
    sky.paste(light, mask=ring)
    sky.paste(_sky(hue + 0.12, spin + 180), mask=_disc(inner - 0.045))
    sky.paste(_colour(hue, 0.12), mask=_disc(0.022))
    png = io.BytesIO()
    sky.save(png, "PNG")
    return png.getvalue()


def _sky(hue: float, degrees: float) -> Image.Image:
    """A gradient from dark to light, at an angle."""
    # Larger than what is shown of it, so that no corner is empty once it is turned.
    ramp = Image.linear_gradient("L").resize((SIDE * 3 // 2,) * 2, Image.Resampling.BICUBIC)
    ramp = ramp.rotate(degrees, Image.Resampling.BICUBIC)
    edge = (ramp.width - SIDE) // 2
    ramp = ramp.crop((edge, edge, edge + SIDE, edge + SIDE))
    steps = [_colour(hue + 0.14 * level / 255, 0.16 + 0.40 * level / 255) for level in range(256)]
    return Image.merge("RGB", [ramp.point([step[band] for step in steps]) for band in range(3)])


def _ring(levels: bytes, spin: float, inner: float) -> Image.Image:
    """The bars as a mask. Lengths are shares of the side."""
    size = SIDE * _SCALE
    mask = Image.new("L", (size, size))
    pen = ImageDraw.Draw(mask)
    width = 0.0115 * size
    for n in range(_BARS):
        # there and back again, so that the ring closes
        place = min(n, _BARS - n) % len(levels)
        length = 0.03 + 0.20 * (levels[place] / 255) ** 1.4
        angle = math.radians(spin + 360 * n / _BARS)
        x, y = math.cos(angle), math.sin(angle)
        ends = [(size * (0.5 + x * far), size * (0.5 + y * far)) for far in (inner, inner + length)]
        pen.line(ends, fill=255, width=round(width))
        for across, down in ends:
            pen.circle((across, down), width / 2, fill=255)
    return mask.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _disc(radius: float) -> Image.Image:
    size = SIDE * _SCALE
    mask = Image.new("L", (size, size))
    ImageDraw.Draw(mask).circle((size / 2, size / 2), radius * size, fill=255)
    return mask.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _colour(hue: float, lightness: float) -> _RGB:
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue % 1.0, lightness, 0.55))
    return red, green, blue
