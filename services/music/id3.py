"""ID3v2.4 tags: what the file itself says of the song, byte for byte the same for the same song.

Knows text frames only. Source: id3.org, "ID3 tag version 2.4.0 - Main Structure" and "- Native Frames".
"""

from dataclasses import dataclass

_UTF8 = b"\x03"
_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@dataclass(frozen=True, kw_only=True)
class SongTags:
    song_id: str
    title: str  # may be empty
    engine: str
    engine_version: str
    ai: bool
    seed: int
    # None keeps it to the creator.
    prompt: str | None
    preview: bool = False  # of the song, which is not made yet

    @property
    def shown_title(self) -> str:
        """As players show it: a preview is not to be taken for its song. May be empty."""
        return f"{self.title} (preview)".lstrip() if self.preview else self.title

    @property
    def disclosure(self) -> str:
        """What every player shows: how this came to be."""
        what = "This preview of an unfinished song" if self.preview else "This song"
        if self.ai:
            return f"{what} was made by AI (engine {self.engine})."
        return f"{what} was made by a procedural engine ({self.engine}), not by AI."


def id3_tag(tags: SongTags) -> bytes:
    """The whole tag, header included; it stands at the start of an MP3 or in a WAV's `id3 ` chunk."""
    # IPTC's vocabulary: machines learn the same thing as people.
    source = "trainedAlgorithmicMedia" if tags.ai else "algorithmicMedia"
    frames = [_frame(b"TIT2", _UTF8 + title.encode())] if (title := tags.shown_title) else []
    frames += [
        _frame(b"TSSE", _UTF8 + f"AceSteps {tags.engine} {tags.engine_version}".encode()),
        # language, empty description, text
        _frame(b"COMM", _UTF8 + b"eng\x00" + tags.disclosure.encode()),
        _user_text("SONG_ID", tags.song_id),
        _user_text("ENGINE", f"{tags.engine} {tags.engine_version}"),
        _user_text("SEED", str(tags.seed)),
        _user_text("DIGITAL_SOURCE_TYPE", _IPTC + source),
    ]
    if tags.prompt is not None:
        frames.append(_user_text("PROMPT", tags.prompt))
    body = b"".join(frames)
    return b"ID3\x04\x00\x00" + _synchsafe(len(body)) + body


def _user_text(description: str, value: str) -> bytes:
    """ID3v2.4's frame of user-defined text is called TXXX."""
    return _frame(b"TXXX", _UTF8 + description.encode() + b"\x00" + value.encode())


def _frame(name: bytes, content: bytes) -> bytes:
    return name + _synchsafe(len(content)) + b"\x00\x00" + content


def _synchsafe(size: int) -> bytes:
    """28 bits as four bytes without their top bit, so that no size looks like an MPEG sync word."""
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
