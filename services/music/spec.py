"""What a song's request may say: every field of SongSpec against its limits, and its normal form.

Knows the proto and the rules; renders nothing.
"""

import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.music.v1 import music_service_pb2 as pb
from services.common.address import checksum_address
from services.common.errors import InvalidField
from services.common.provenance import request_digest
from services.music.edit import Edit
from services.music.engine import TEXT_TO_MUSIC, LyricSection, Reading, RenderRequest
from services.music.production import SongJob
from services.music.sampling_spec import read_sampling

MIN_DURATION_S, MAX_DURATION_S = 5.0, 240.0
MAX_PROMPT, MAX_TITLE, MAX_LINE, MAX_LABEL = 1_000, 255, 200, 100
MAX_SECTIONS, MAX_LYRIC_CHARACTERS = 64, 20_000
MAX_INSTRUMENTS, MIN_TEMPO_BPM, MAX_TEMPO_BPM = 32, 20.0, 400.0

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2}", re.ASCII)
_FORMATS = {pb.AUDIO_FORMAT_UNSPECIFIED: "mp3", pb.AUDIO_FORMAT_MP3: "mp3", pb.AUDIO_FORMAT_WAV: "wav"}
_TAGS: Mapping[int, str] = {
    lyrics_pb.SECTION_TAG_START: "start",
    lyrics_pb.SECTION_TAG_INTRO: "intro",
    lyrics_pb.SECTION_TAG_VERSE: "verse",
    lyrics_pb.SECTION_TAG_PRE_CHORUS: "pre-chorus",
    lyrics_pb.SECTION_TAG_CHORUS: "chorus",
    lyrics_pb.SECTION_TAG_HOOK: "hook",
    lyrics_pb.SECTION_TAG_BRIDGE: "bridge",
    lyrics_pb.SECTION_TAG_SOLO: "solo",
    lyrics_pb.SECTION_TAG_INST: "inst",
    lyrics_pb.SECTION_TAG_BREAK: "break",
    lyrics_pb.SECTION_TAG_OUTRO: "outro",
    lyrics_pb.SECTION_TAG_END: "end",
}


@dataclass(frozen=True)
class SongOrder:
    """A valid request in its normal form."""

    job: SongJob
    creator_address: str  # EIP-55, or ""
    source_audio_sha256: bytes | None = None  # of an edit, once its source is proven

    @property
    def task(self) -> str:
        """As it is attested."""
        edit = self.job.request.edit
        return edit.task if edit else TEXT_TO_MUSIC

    @property
    def audio_format(self) -> "pb.AudioFormat.ValueType":
        return pb.AUDIO_FORMAT_WAV if self.job.audio_format == "wav" else pb.AUDIO_FORMAT_MP3

    @property
    def request_digest(self) -> str:
        """sha256 (hex) of the RFC 8785 JSON of all that was asked for, after normalisation.

        Fields: song_id, prompt, title, lyrics ([{tag, lines, languages}], empty for an instrumental;
        languages is empty where no line has its own), language, duration_s, seed (the drawn one where none
        was given), creator_address, reveal_prompt, format ("mp3" or "wav"). Of an edit also: edit (its task
        and the fields of its message), source_audio_sha256 (hex). Where the request says of sampling also:
        sampling (those fields of its message that are given; a preset as steps, scheduler "euler", "heun" or
        "pingpong", guidance "apg", "cfg" or "cfg_star"). Where it comes with a reading of the prompt also:
        reading (those fields that say something). Not among them: preview, which changes nothing of
        the song.
        """
        request = self.job.request
        more: dict[str, object] = {}
        if request.edit and self.source_audio_sha256:
            more = {"edit": asdict(request.edit), "source_audio_sha256": self.source_audio_sha256.hex()}
        if request.sampling:
            more["sampling"] = request.sampling.given
        if request.stated:
            more["reading"] = {name: value for name, value in asdict(request.stated).items() if value}
        return request_digest(
            {
                "song_id": self.job.song_id,
                "prompt": request.prompt,
                "title": self.job.title,
                "lyrics": [
                    {"tag": s.tag, "lines": list(s.lines), "languages": list(s.languages)}
                    for s in request.lyrics
                ],
                "language": request.language,
                "duration_s": request.duration_s,
                "seed": request.seed,
                "creator_address": self.creator_address,
                "reveal_prompt": self.job.reveal_prompt,
                "format": self.job.audio_format,
                **more,
            }
        )


def read_spec(spec: pb.SongSpec, edit: Edit | None = None) -> SongOrder:
    """The order in a spec, whose edit is `edit`; a seed is drawn where there is none.

    With an edit the duration is 0 or what is asked for: `edit_spec.of_source` holds it against the source.

    Raises:
        InvalidField: the first field that is missing or out of its limits.
    """
    if not spec.song_id:
        raise InvalidField("REQUIRED", "spec.song_id", "song_id is missing", limit="a UUID")
    if not _UUID.fullmatch(spec.song_id):
        limit = "36 characters, lower case"
        raise InvalidField("MALFORMED", "spec.song_id", "song_id is not a lower-case UUID", limit=limit)
    prompt = _text(spec.prompt, "spec.prompt", MAX_PROMPT, breaks=True)
    if not prompt:
        limit = f"1 to {MAX_PROMPT} characters"
        raise InvalidField("REQUIRED", "spec.prompt", "prompt is empty", limit=limit)
    title = _text(spec.title, "spec.title", MAX_TITLE)
    # refuses NaN too; an edit's own limits are its source's
    if not (MIN_DURATION_S <= spec.duration_s <= MAX_DURATION_S or (edit and 0 <= spec.duration_s < 1e6)):
        limit = f"{MIN_DURATION_S:g} to {MAX_DURATION_S:g} seconds"
        if edit:
            limit = "0, or as many seconds as the edit makes"
        message = f"duration_s is {spec.duration_s:g}"
        raise InvalidField("OUT_OF_RANGE", "spec.duration_s", message, limit=limit)
    if spec.format not in _FORMATS:
        limit = "AUDIO_FORMAT_MP3 or AUDIO_FORMAT_WAV"
        raise InvalidField("UNKNOWN_VALUE", "spec.format", f"format {spec.format} is unknown", limit=limit)
    creator = checksum_address(spec.creator_address, "spec.creator_address") if spec.creator_address else ""
    if spec.instrumental and spec.lyrics.sections:
        limit = "absent when instrumental"
        raise InvalidField("OUT_OF_RANGE", "spec.lyrics", "an instrumental has no lyrics", limit=limit)
    lyrics = _lyrics(spec.lyrics)
    return SongOrder(
        SongJob(
            request=RenderRequest(
                prompt=prompt,
                lyrics=lyrics,
                language=spec.lyrics.language,
                duration_s=spec.duration_s,
                seed=spec.seed if spec.HasField("seed") else secrets.randbelow(2**32),
                edit=edit,
                sampling=read_sampling(spec, edit),
                stated=_stated(spec.reading),
                preview=spec.preview,
            ),
            song_id=spec.song_id,
            title=title or _text(spec.lyrics.title, "spec.lyrics.title", MAX_TITLE),
            reveal_prompt=spec.reveal_prompt,
            audio_format=_FORMATS[spec.format],
        ),
        creator,
    )


def _stated(reading: pb.MusicReading) -> Reading | None:
    """None where it says nothing: that is as if it were absent."""
    field = "spec.reading"
    if len(reading.instruments) > MAX_INSTRUMENTS:
        message = f"reading has {len(reading.instruments)} instruments"
        raise InvalidField(
            "TOO_LONG", f"{field}.instruments", message, limit=f"{MAX_INSTRUMENTS} instruments"
        )
    if reading.tempo_bpm and not MIN_TEMPO_BPM <= reading.tempo_bpm <= MAX_TEMPO_BPM:  # NaN too
        message, limit = (
            f"tempo_bpm is {reading.tempo_bpm:g}",
            f"0, or {MIN_TEMPO_BPM:g} to {MAX_TEMPO_BPM:g}",
        )
        raise InvalidField("OUT_OF_RANGE", f"{field}.tempo_bpm", message, limit=limit)
    _language(reading.language, f"{field}.language")
    stated = Reading(
        genre=_text(reading.genre, f"{field}.genre", MAX_LABEL),
        mood=_text(reading.mood, f"{field}.mood", MAX_LABEL),
        tempo_bpm=reading.tempo_bpm,
        key=_text(reading.key, f"{field}.key", MAX_LABEL),
        instruments=tuple(
            _text(name, f"{field}.instruments[{i}]", MAX_LABEL) for i, name in enumerate(reading.instruments)
        ),
        meter=_text(reading.meter, f"{field}.meter", MAX_LABEL),
        language=reading.language,
    )
    return stated if stated != Reading() else None


def _lyrics(document: lyrics_pb.LyricDocument) -> tuple[LyricSection, ...]:
    field = "spec.lyrics"
    _text(document.title, f"{field}.title", MAX_TITLE)
    _text(document.engine, f"{field}.engine", MAX_LABEL)
    _language(document.language, f"{field}.language")
    if len(document.sections) > MAX_SECTIONS:
        message = f"lyrics have {len(document.sections)} sections"
        raise InvalidField("TOO_LONG", f"{field}.sections", message, limit=f"{MAX_SECTIONS} sections")
    characters = sum(len(line.text) for section in document.sections for line in section.lines)
    if characters > MAX_LYRIC_CHARACTERS:
        message = f"lyrics have {characters} characters"
        raise InvalidField("TOO_LONG", field, message, limit=f"{MAX_LYRIC_CHARACTERS} characters")
    return tuple(_section(s, f"{field}.sections[{i}]") for i, s in enumerate(document.sections))


def _section(section: lyrics_pb.LyricSection, field: str) -> LyricSection:
    if section.tag not in _TAGS:
        message = f"section tag {section.tag} is unknown"
        raise InvalidField("UNKNOWN_VALUE", f"{field}.tag", message, limit="one of the twelve section tags")
    _text(section.label, f"{field}.label", MAX_LABEL)
    _text(section.rhyme_scheme, f"{field}.rhyme_scheme", MAX_LABEL)
    lines = []
    for index, line in enumerate(section.lines):
        at = f"{field}.lines[{index}]"
        text = _text(line.text, f"{at}.text", MAX_LINE)
        if not text:
            raise InvalidField(
                "REQUIRED", f"{at}.text", "a line is empty", limit=f"1 to {MAX_LINE} characters"
            )
        _language(line.language, f"{at}.language")
        lines.append(text)
    languages = tuple(line.language for line in section.lines)
    return LyricSection(_TAGS[section.tag], tuple(lines), languages if any(languages) else ())


def _language(code: str, field: str) -> None:
    if code and not _LANGUAGE.fullmatch(code):
        raise InvalidField("MALFORMED", field, f"{field} is no language code", limit="ISO 639-1, two letters")


def _fits(text: str, field: str, longest: int) -> None:
    if len(text) > longest:
        message = f"{field} has {len(text)} characters"
        raise InvalidField("TOO_LONG", field, message, limit=f"at most {longest} characters")


def _text(text: str, field: str, longest: int, *, breaks: bool = False) -> str:
    """`text` trimmed and in Unicode's composed form, within its length and without control characters."""
    _fits(text, field, 4 * longest)  # first: composing long unsorted marks takes quadratic time
    normal = unicodedata.normalize("NFC", text).strip()
    _fits(normal, field, longest)
    allowed = "\n\r\t" if breaks else ""
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") and c not in allowed for c in normal):
        message = f"{field} has line breaks or control characters"
        raise InvalidField("MALFORMED", field, message, limit="no line breaks or control characters")
    return normal
