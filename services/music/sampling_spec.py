"""What a request may say of sampling: its fields against their limits, and their normal form.

Knows the proto; the limits are those of the engine that samples. Samples nothing.
"""

from collections.abc import Mapping
from typing import Any

from acesteps.music.v1 import music_service_pb2 as pb
from services.common.errors import InvalidField
from services.music.acestep.options import MAX_SCALE, STEP_PRESETS, SamplingOptions
from services.music.edit import Edit, Variation
from services.music.sampling import Sampling

_FIELD = "spec.sampling"
_CHOICES: Mapping[str, Mapping[int, int | str]] = {
    "preset": {
        pb.Sampling.PRESET_FAST: STEP_PRESETS["fast"],
        pb.Sampling.PRESET_QUALITY: STEP_PRESETS["quality"],
    },
    "scheduler": {
        pb.Sampling.SCHEDULER_EULER: "euler",
        pb.Sampling.SCHEDULER_HEUN: "heun",
        pb.Sampling.SCHEDULER_PINGPONG: "pingpong",
    },
    "guidance": {
        pb.Sampling.GUIDANCE_APG: "apg",
        pb.Sampling.GUIDANCE_CFG: "cfg",
        pb.Sampling.GUIDANCE_CFG_ZERO_STAR: "cfg_star",
    },
}


def read_sampling(spec: pb.SongSpec, edit: Edit | None = None) -> Sampling | None:
    """What a spec, whose edit is `edit`, says of sampling; None where it says nothing.

    Raises:
        InvalidField: the first field that is out of its limits, or that contradicts another.
    """
    # those that are there, and of the enums those that are not UNSPECIFIED
    given: dict[str, Any] = {field.name: value for field, value in spec.sampling.ListFields()}
    if not given:
        return None
    if isinstance(edit, Variation):
        limit = "absent with a variation: it takes its source's"
        raise InvalidField("OUT_OF_RANGE", _FIELD, "a variation has no sampling of its own", limit=limit)
    for name, choices in _CHOICES.items():
        if name in given:
            given[name] = _choice(name, given[name], choices)
    if "preset" in given:
        if "steps" in given:
            message = "preset and steps both say how many steps there are"
            limit = "absent where steps is given"
            raise InvalidField("OUT_OF_RANGE", f"{_FIELD}.preset", message, limit=limit)
        given["steps"] = given.pop("preset")
    sampling = Sampling(**given)
    try:
        SamplingOptions().overridden(sampling)
    except InvalidField as error:
        raise InvalidField(error.reason, f"spec.{error.field}", error.message, limit=error.limit) from None
    _check_double_condition(sampling)
    return sampling


def _choice(name: str, value: int, choices: Mapping[int, int | str]) -> int | str:
    if value not in choices:
        enum = pb.Sampling.DESCRIPTOR.enum_types_by_name[name.capitalize()]
        limit = ", ".join(enum.values_by_number[number].name for number in choices)
        message = f"{name} {value} is unknown"
        raise InvalidField("UNKNOWN_VALUE", f"{_FIELD}.{name}", message, limit=limit)
    return choices[value]


def _check_double_condition(sampling: Sampling) -> None:
    """One of the two scales without the other, or one that is no guidance, would do nothing unheard."""
    scales = {
        "guidance_scale_text": sampling.guidance_scale_text or 0.0,
        "guidance_scale_lyric": sampling.guidance_scale_lyric or 0.0,
    }
    if not any(scales.values()):
        return
    for name, scale in scales.items():
        if scale <= 1:
            message = f"{name} is {scale:g}"
            limit = f"above 1, at most {MAX_SCALE:g}, both of them or neither"
            raise InvalidField("OUT_OF_RANGE", f"{_FIELD}.{name}", message, limit=limit)
