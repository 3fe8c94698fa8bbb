"""What a request may do to a song that is there: every limit of an edit, alone and then against its source.

Knows the protos and lengths. An edit is kept as a SongSpec of the music service with nothing else in it.
"""

import math
from collections.abc import Mapping

from google.protobuf.message import Message

from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from services.common.errors import InvalidField
from services.gateway.audio.master import SAMPLE_RATE_HZ

# What an engine makes in one go, and the longest song that edits may lead to.
LONGEST_RENDER_S, LONGEST_SONG_S = 240.0, 600.0
# With the new song's own 32, which is what the signer takes.
LONGEST_CHAIN = 31

_NAMES = ", ".join(field.name for field in pb.CreateSongRequest.DESCRIPTOR.oneofs_by_name["edit"].fields)
_MODES = (music_pb.LyricEdit.MODE_ONLY_LYRICS, music_pb.LyricEdit.MODE_REMIX)


def edit_of(request: pb.CreateSongRequest) -> music_pb.SongSpec | None:
    """What is asked to be done, None for a song from nothing.

    Raises:
        InvalidField: an edit without a source or a source without an edit, or the first of the edit's fields
            that is missing or out of its limits whatever the source.
    """
    task = request.WhichOneof("edit")
    if task is None:
        if request.source_song_id:
            message = "source_song_id is given, but not what to do to the song"
            raise InvalidField("REQUIRED", "edit", message, limit=f"one of {_NAMES}")
        return None
    if not request.source_song_id:
        message = f"{task} needs the song that is to be changed"
        raise InvalidField("REQUIRED", "source_song_id", message, limit="the id of a song of yours (UUID)")
    if request.HasField("duration_s"):
        message = "the length of an edit follows from its source"
        raise InvalidField("OUT_OF_RANGE", "duration_s", message, limit="absent with source_song_id")
    match task:
        case "variation":
            _check_variance(request.variation, "variation.variance")
            if request.sampling.ListFields():
                message, limit = "a variation takes its source's sampling", "absent with a variation"
                raise InvalidField("OUT_OF_RANGE", "sampling", message, limit=limit)
        case "repaint":
            _check_repaint(request.repaint)
        case "lyric_edit":
            _check_lyric_edit(request)
        case "extend":
            _check_extend(request.extend)
    edit = music_pb.SongSpec()
    message_of_edit(edit, task).CopyFrom(message_of_edit(request, task))
    message_of_edit(edit, task).SetInParent()
    edit.DiscardUnknownFields()
    return edit


def edited_duration_s(edit: music_pb.SongSpec, source_s: float) -> float:
    """Seconds of the new song, to the sample.

    Raises:
        InvalidField: an interval outside of the source, or a song too long.
    """
    samples = _samples(source_s)
    match edit.WhichOneof("edit"):
        case "repaint" if _samples(edit.repaint.end_s) > samples:
            message = f"end_s is {edit.repaint.end_s:g}, the song has {source_s:g} seconds"
            raise InvalidField(
                "OUT_OF_RANGE", "repaint.end_s", message, limit=f"at most {source_s:g} seconds"
            )
        case "extend":
            samples += _samples(edit.extend.left_s) + _samples(edit.extend.right_s)
            if samples > _samples(LONGEST_SONG_S):
                message = f"the song would have {samples / SAMPLE_RATE_HZ:g} seconds"
                limit = f"at most {LONGEST_SONG_S:g} seconds in all"
                raise InvalidField("OUT_OF_RANGE", "extend", message, limit=limit)
        case "variation" | "lyric_edit" as task if samples > _samples(LONGEST_RENDER_S):
            message = f"the song has {source_s:g} seconds, all of which are made anew"
            limit = f"songs of at most {LONGEST_RENDER_S:g} seconds"
            raise InvalidField("OUT_OF_RANGE", task, message, limit=limit)
    return samples / SAMPLE_RATE_HZ


def kept_edit(kept: bytes | None) -> Mapping[str, Message]:
    """The edit of a row as the one field that it is in any message with edits; empty for none."""
    edit = music_pb.SongSpec.FromString(kept or b"")
    task = edit.WhichOneof("edit")
    return {task: message_of_edit(edit, task)} if task else {}


def message_of_edit(holder: Message, task: str) -> Message:
    found = getattr(holder, task)
    assert isinstance(found, Message)
    return found


def _check_repaint(repaint: music_pb.Repaint) -> None:
    start_s = _seconds(repaint.start_s, "repaint.start_s", LONGEST_SONG_S)
    end_s = _seconds(repaint.end_s, "repaint.end_s", LONGEST_SONG_S)
    if not 0 < _samples(end_s) - _samples(start_s) <= _samples(LONGEST_RENDER_S):
        message = f"from {start_s:g} to {end_s:g} seconds is no interval that can be repainted"
        limit = f"behind start_s, by at most {LONGEST_RENDER_S:g} seconds"
        raise InvalidField("OUT_OF_RANGE", "repaint.end_s", message, limit=limit)
    _check_variance(repaint, "repaint.variance")


def _check_lyric_edit(request: pb.CreateSongRequest) -> None:
    mode, limit = request.lyric_edit.mode, "MODE_ONLY_LYRICS or MODE_REMIX"
    if mode == music_pb.LyricEdit.MODE_UNSPECIFIED:
        raise InvalidField("REQUIRED", "lyric_edit.mode", "mode is missing", limit=limit)
    if mode not in _MODES:
        raise InvalidField("UNKNOWN_VALUE", "lyric_edit.mode", f"mode {mode} is unknown", limit=limit)
    if not request.lyrics.strip():
        raise InvalidField(
            "REQUIRED", "lyrics", "a lyric edit needs the new words", limit="at least one line"
        )


def _check_extend(extend: music_pb.Extend) -> None:
    left_s = _seconds(extend.left_s, "extend.left_s", LONGEST_RENDER_S)
    right_s = _seconds(extend.right_s, "extend.right_s", LONGEST_RENDER_S)
    if not 0 < _samples(left_s) + _samples(right_s) <= _samples(LONGEST_RENDER_S):
        message = f"left_s and right_s are {left_s + right_s:g} seconds together"
        limit = f"at least a sample, at most {LONGEST_RENDER_S:g} seconds together"
        raise InvalidField("OUT_OF_RANGE", "extend", message, limit=limit)


def _check_variance(edit: music_pb.Variation | music_pb.Repaint, field: str) -> None:
    if edit.HasField("variance") and not 0 <= edit.variance <= 1:  # NaN too
        raise InvalidField("OUT_OF_RANGE", field, f"variance is {edit.variance:g}", limit="0 to 1")


def _seconds(value: float, field: str, most: float) -> float:
    if not (math.isfinite(value) and 0 <= value <= most):
        raise InvalidField("OUT_OF_RANGE", field, f"{field} is {value:g}", limit=f"0 to {most:g} seconds")
    return value


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
