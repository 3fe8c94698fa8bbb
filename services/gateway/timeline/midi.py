"""A timeline as a Standard MIDI File of type 1: tempo and sections first, then a track for every part.

Knows bytes of MIDI and nothing of songs' rows. Sources: MIDI Association, "Standard MIDI Files 1.0"; of lyric
events RP-017: a syllable each, a space behind a word, a carriage return behind a line.
"""

import struct
from collections.abc import Iterator

from acesteps.music.v1 import music_service_pb2 as music_pb

TICKS = 480  # of a quarter note, as the timeline counts
_TEXT, _NAME, _LYRIC, _MARKER, _END, _TEMPO, _METER, _KEY = 0x01, 0x03, 0x05, 0x06, 0x2F, 0x51, 0x58, 0x59
_PERCUSSION = 9  # the tenth channel
_CHANNELS = [channel for channel in range(16) if channel != _PERCUSSION]
# Sharps of major keys, flats below 0; a minor key has three fewer.
_SHARPS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}

# (tick, place among those of one tick, bytes)
_Event = tuple[int, int, bytes]


def midi_file(timeline: music_pb.Timeline, title: str, made_by: str) -> bytes:
    """Raises ValueError or ArithmeticError for numbers that MIDI cannot hold."""
    quarter_s = 60 / timeline.tempo_bpm
    end = round(timeline.duration_s / quarter_s * TICKS)
    tracks = [_track(_conductor(timeline, title, made_by, quarter_s), end)]
    channels = iter(_CHANNELS * (1 + len(timeline.tracks) // len(_CHANNELS)))
    for track in timeline.tracks:
        channel = _PERCUSSION if track.percussion else next(channels)
        events = list(_part(track, channel))
        if track.sung:
            events += _words(timeline, quarter_s)
        tracks.append(_track(events, end))
    return b"".join([_chunk(b"MThd", struct.pack(">HHH", 1, len(tracks), TICKS)), *tracks])


def _conductor(timeline: music_pb.Timeline, title: str, made_by: str, quarter_s: float) -> list[_Event]:
    beats, _, unit = timeline.meter.partition("/")
    events = [
        (0, 0, _meta(_NAME, title.encode())),
        (0, 1, _meta(_TEXT, made_by.encode())),
        (0, 2, _meta(_TEMPO, round(quarter_s * 1e6).to_bytes(3, "big"))),
    ]
    if beats.isdecimal() and unit in ("1", "2", "4", "8", "16"):
        # the unit as a power of two; 24 clocks a click, 8 thirty-seconds a quarter
        events.append((0, 3, _meta(_METER, bytes([int(beats), int(unit).bit_length() - 1, 24, 8]))))
    if (key := _key(timeline.key)) is not None:
        events.append((0, 4, _meta(_KEY, key)))
    for section in timeline.sections:
        tick = round(section.start_s / quarter_s * TICKS)
        events.append((tick, 5, _meta(_MARKER, section.label.encode())))
    return events


def _key(name: str) -> bytes | None:
    """Sharps or flats, and whether it is minor; None for a key that no signature has."""
    tonic, _, mode = name.partition(" ")
    if tonic[:1] not in _SHARPS or mode not in ("major", "minor"):
        return None
    sharps = _SHARPS[tonic[0]] + 7 * (tonic.count("#") - tonic.count("b")) - 3 * (mode == "minor")
    return struct.pack(">bB", sharps, mode == "minor") if -7 <= sharps <= 7 else None


def _part(track: music_pb.TimelineTrack, channel: int) -> Iterator[_Event]:
    yield 0, 0, _meta(_NAME, track.name.encode())
    if not track.percussion:
        yield 0, 1, bytes([0xC0 | channel, track.program])
    for note in track.notes:
        if max(note.pitch, note.velocity) > 127:
            raise ValueError(f"{note} is no note of MIDI")
        yield note.start_tick, 4, bytes([0x90 | channel, note.pitch, note.velocity])
        # Before what begins at that tick: it may be the same pitch.
        yield note.start_tick + note.ticks, 2, bytes([0x80 | channel, note.pitch, 0])


def _words(timeline: music_pb.Timeline, quarter_s: float) -> Iterator[_Event]:
    for line in timeline.lines:
        for place, syllable in enumerate(line.syllables, start=1):
            tick = round(syllable.start_s / quarter_s * TICKS)
            end = "\r" if place == len(line.syllables) else ""
            yield tick, 3, _meta(_LYRIC, (syllable.text + end).encode())


def _track(events: list[_Event], end: int) -> bytes:
    out, now = bytearray(), 0
    for tick, _, data in sorted(events):
        out += _variable(tick - now) + data
        now = tick
    return _chunk(b"MTrk", bytes(out) + _variable(max(end - now, 0)) + _meta(_END, b""))


def _meta(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + _variable(len(data)) + data


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack(">I", len(data)) + data


def _variable(number: int) -> bytes:
    """Seven bits a byte, the first ones first; all but the last have their top bit set."""
    out = [number & 0x7F]
    while number := number >> 7:
        out.insert(0, number & 0x7F | 0x80)
    return bytes(out)
