"""What an edit may say: its fields against their limits, alone and then against the source.

Knows the proto and the attested length of the source; edits nothing.
"""

import math
from dataclasses import replace

from acesteps.music.v1 import music_service_pb2 as pb
from services.common.errors import InvalidField
from services.common.provenance import SongStatement
from services.music.edit import Edit, Extend, LyricEdit, Repaint, Variation
from services.music.engine import SAMPLE_RATE_HZ
from services.music.spec import MAX_DURATION_S, SongOrder

MAX_EDITED_DURATION_S = 600.0
DEFAULT_VARIANCE = 0.5  # the released one


def read_edit(spec: pb.SongSpec) -> Edit | None:
    """The edit in a spec, None in that of a song from nothing.

    Raises:
        InvalidField: the first field that is missing or out of its limits whatever the source.
    """
    match spec.WhichOneof("edit"):
        case "variation":
            return Variation(_variance(spec.variation, "spec.variation.variance"))
        case "repaint":
            start_s = _seconds(spec.repaint.start_s, "spec.repaint.start_s", MAX_EDITED_DURATION_S)
            end_s = _seconds(spec.repaint.end_s, "spec.repaint.end_s", MAX_EDITED_DURATION_S)
            if not 0 < _samples(end_s) - _samples(start_s) <= _samples(MAX_DURATION_S):
                message = f"from {start_s:g} to {end_s:g} seconds is no interval that can be repainted"
                limit = f"behind start_s, by at most {MAX_DURATION_S:g} seconds"
                raise InvalidField("OUT_OF_RANGE", "spec.repaint.end_s", message, limit=limit)
            return Repaint(start_s, end_s, _variance(spec.repaint, "spec.repaint.variance"))
        case "lyric_edit":
            return _lyric_edit(spec)
        case "extend":
            left_s = _seconds(spec.extend.left_s, "spec.extend.left_s", MAX_DURATION_S)
            right_s = _seconds(spec.extend.right_s, "spec.extend.right_s", MAX_DURATION_S)
            if not 0 < _samples(left_s) + _samples(right_s) <= _samples(MAX_DURATION_S):
                message = f"left_s and right_s are {left_s + right_s:g} seconds together"
                limit = f"at least a sample, at most {MAX_DURATION_S:g} seconds together"
                raise InvalidField("OUT_OF_RANGE", "spec.extend", message, limit=limit)
            return Extend(left_s, right_s)
        case _:
            return None


def of_source(order: SongOrder, source: SongStatement) -> SongOrder:
    """The order of an edit once its source is known: its length, and whose edit it is.

    Raises:
        InvalidField: an interval outside of the song, a song too long, a duration that is not the edit's.
    """
    edit, samples = order.job.request.edit, _samples(source.duration_s)
    match edit:
        case Repaint(_, end_s) if _samples(end_s) > samples:
            message = f"end_s is {end_s:g}, the song has {source.duration_s:g} seconds"
            limit = f"at most {source.duration_s:g} seconds"
            raise InvalidField("OUT_OF_RANGE", "spec.repaint.end_s", message, limit=limit)
        case Extend(left_s, right_s):
            samples += _samples(left_s) + _samples(right_s)
            if samples > _samples(MAX_EDITED_DURATION_S):
                message = f"the song would have {samples / SAMPLE_RATE_HZ:g} seconds"
                limit = f"at most {MAX_EDITED_DURATION_S:g} seconds in all"
                raise InvalidField("OUT_OF_RANGE", "spec.extend", message, limit=limit)
        case Variation() | LyricEdit() if samples > _samples(MAX_DURATION_S):
            field = "spec.variation" if isinstance(edit, Variation) else "spec.lyric_edit"
            message = f"the song has {source.duration_s:g} seconds, all of which are made anew"
            raise InvalidField(
                "OUT_OF_RANGE", field, message, limit=f"songs of at most {MAX_DURATION_S:g} seconds"
            )
        case _:
            pass
    asked = order.job.request.duration_s
    if asked and _samples(asked) != samples:
        message = f"duration_s is {asked:g}, the edit makes {samples / SAMPLE_RATE_HZ:g}"
        limit = f"0, or {samples / SAMPLE_RATE_HZ:g} seconds"
        raise InvalidField("OUT_OF_RANGE", "spec.duration_s", message, limit=limit)
    request = replace(order.job.request, duration_s=samples / SAMPLE_RATE_HZ)
    job = replace(order.job, request=request, source_pcm_sha256=source.pcm_sha256.hex())
    return replace(order, job=job, source_audio_sha256=source.audio_sha256)


def _lyric_edit(spec: pb.SongSpec) -> LyricEdit:
    if not any(section.lines for section in spec.lyrics.sections):
        limit = "at least one line"
        raise InvalidField("REQUIRED", "spec.lyrics", "a lyric edit needs the new words", limit=limit)
    match spec.lyric_edit.mode:
        case pb.LyricEdit.MODE_ONLY_LYRICS:
            return LyricEdit("only_lyrics")
        case pb.LyricEdit.MODE_REMIX:
            return LyricEdit("remix")
        case pb.LyricEdit.MODE_UNSPECIFIED:
            reason, message = "REQUIRED", "mode is missing"
        case mode:
            reason, message = "UNKNOWN_VALUE", f"mode {mode} is unknown"
    raise InvalidField(reason, "spec.lyric_edit.mode", message, limit="MODE_ONLY_LYRICS or MODE_REMIX")


def _variance(edit: pb.Variation | pb.Repaint, field: str) -> float:
    variance = edit.variance if edit.HasField("variance") else DEFAULT_VARIANCE
    if not 0 <= variance <= 1:  # refuses NaN too
        raise InvalidField("OUT_OF_RANGE", field, f"variance is {variance:g}", limit="0 to 1")
    return variance


def _seconds(value: float, field: str, most: float) -> float:
    if not (math.isfinite(value) and 0 <= value <= most):
        raise InvalidField("OUT_OF_RANGE", field, f"{field} is {value:g}", limit=f"0 to {most:g} seconds")
    return value


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
