"""MP3 of constant bit rate, 44.1 kHz stereo, as a stream whose length is known before the first byte.

The file is a tag, one Info frame, and LAME's frames. The Info frame says how many frames follow and how many
samples the encoder added at either end, so that a decoder gives back the song to the sample.
Sources: ISO 11172-3 for frames; LAME 3.100's VbrTag.c and Gabriel Bouvigne's "MP3 Info Tag rev 1" for Info;
LAME's encoder.h and lame.c for delay and padding.
"""

import struct

import lameenc

from services.music.engine import CHANNELS, SAMPLE_RATE_HZ, Pcm

MEDIA_TYPE = "audio/mpeg"
BIT_RATE_KBPS = 320
PREVIEW_BIT_RATE_KBPS = 128

_FRAME_SAMPLES = 1_152
_ENCODER_DELAY = 576
# MPEG-1 layer III, no CRC, bit rate, 44.1 kHz, no padding slot, stereo (joint at 128 kbit/s), "original": as
# LAME's frames.
_HEADERS = {BIT_RATE_KBPS: b"\xff\xfb\xe0\x04", PREVIEW_BIT_RATE_KBPS: b"\xff\xfb\x90\x44"}
_SIDE_INFO_BYTES = 32
# LAME's scale: 2 is best and slow, 7 is fast. At 320 kbit/s 2 is half as fast as 3 and leaves no less noise.
_QUALITY = 3


def frames_for(samples: int) -> int:
    """Frames that LAME makes of `samples`: its delay before, at least as much padding after, whole frames."""
    delayed = samples + _ENCODER_DELAY
    padding = _FRAME_SAMPLES - delayed % _FRAME_SAMPLES
    if padding < _ENCODER_DELAY:
        padding += _FRAME_SAMPLES
    return (delayed + padding) // _FRAME_SAMPLES


def bytes_of(frames: int, bit_rate_kbps: int) -> int:
    """Length of `frames` CBR frames; the first has no padding slot, the mean is exact."""
    # A slot is a byte: 144 · 320000 / 44100 is no whole number, so some frames have one slot more.
    slots, remainder = divmod(144 * bit_rate_kbps * 1_000, SAMPLE_RATE_HZ)
    return frames * slots + -(-remainder * (frames - 1) // SAMPLE_RATE_HZ)


class Mp3Encoder:
    """One file of 320 or 128 kbit/s: `opening` first, then what `encode` and `finish` return."""

    media_type = MEDIA_TYPE

    def __init__(self, samples: int, tag: bytes, bit_rate_kbps: int = BIT_RATE_KBPS) -> None:
        self._expected = bytes_of(frames_for(samples), bit_rate_kbps)
        self.opening = tag + _info_frame(samples, bit_rate_kbps)
        self.total_bytes = len(self.opening) + self._expected
        self._made = 0
        self._encoder = lameenc.Encoder()
        self._encoder.set_bit_rate(bit_rate_kbps)
        self._encoder.set_in_sample_rate(SAMPLE_RATE_HZ)
        self._encoder.set_channels(CHANNELS)
        self._encoder.set_quality(_QUALITY)
        self._encoder.silence()

    def encode(self, pcm: Pcm) -> bytes:
        """Whatever frames are complete by now; LAME keeps a few back."""
        return self._counted(bytes(self._encoder.encode(pcm.tobytes())))

    def finish(self) -> bytes:
        last = self._counted(bytes(self._encoder.flush()))
        if self._made != self._expected:
            raise AssertionError(f"LAME made {self._made} bytes, not the {self._expected} announced")
        return last

    def _counted(self, data: bytes) -> bytes:
        self._made += len(data)
        return data


def _info_frame(samples: int, bit_rate_kbps: int) -> bytes:
    """A silent frame with the Info tag. Peak and music CRC stay 0 (unknown): they come only with the end."""
    frames, length = frames_for(samples), bytes_of(1, bit_rate_kbps)
    size = length + bytes_of(frames, bit_rate_kbps)
    padding = frames * _FRAME_SAMPLES - _ENCODER_DELAY - samples
    table = bytes(i * 256 // 100 for i in range(100))  # seek points: CBR is a straight line
    info = b"Info" + struct.pack(">III", 0x0F, frames, size) + table + struct.pack(">I", 0)
    lame = b"LAME3.100" + bytes([0x01, 0])  # revision 0, CBR; low-pass not stated
    lame += bytes(8)  # peak and replay gain: unknown
    lame += bytes([0, min(bit_rate_kbps, 255)])  # flags; bit rate, or 255 for all above
    lame += (_ENCODER_DELAY << 12 | padding).to_bytes(3, "big")
    lame += bytes([0x40, 0, 0, 0])  # source was 44.1 kHz; no gain, no preset
    lame += struct.pack(">IH", size, 0)
    frame = _HEADERS[bit_rate_kbps] + bytes(_SIDE_INFO_BYTES) + info + lame
    frame += _crc16(frame).to_bytes(2, "big")
    return frame.ljust(length, b"\x00")


def _crc16(data: bytes) -> int:
    """CRC-16/ARC, as the Info tag has it over all before it."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
