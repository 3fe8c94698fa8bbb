"""Songs of the engine sketch and edits of them, as requests and what came of them."""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from acesteps.music.v1 import music_service_pb2 as pb
from services.music.edit import Edit, Extend, Source
from services.music.engine import SAMPLE_RATE_HZ, Audio, Finished, LyricSection, Pcm, Progress, RenderRequest
from services.music.sketch.engine import SketchEngine

RATE = SAMPLE_RATE_HZ
ENGINE = SketchEngine()
VERSE = LyricSection("verse", ("Walking down the empty street at night", "Every window holds a little light"))
CHORUS = LyricSection("chorus", ("Carry me over the water", "Carry me home in the rain"))
BRIDGE = LyricSection("bridge", ("Somewhere a bell", "Somewhere a bird"))
OTHER_CHORUS = replace(CHORUS, lines=("Sing to the end of the morning", CHORUS.lines[1]))
SUNG = RenderRequest(
    prompt="pop with piano, 100 BPM, A minor", lyrics=(VERSE, CHORUS), language="en", duration_s=20.0, seed=3
)
PLAYED = RenderRequest(prompt="house, 124 BPM", lyrics=(), language="", duration_s=12.0, seed=3)


@dataclass(frozen=True, eq=False)
class Made:
    request: RenderRequest
    pcm: Pcm
    state: bytes
    timeline: pb.Timeline
    progress: list[Progress]

    @property
    def source(self) -> Source:
        return Source(self.pcm, self.state)

    @property
    def outline(self) -> dict[str, Any]:
        return dict(json.loads(self.state))


def make(request: RenderRequest) -> Made:
    events = list(ENGINE.render(request, lambda: False))
    assert isinstance(events[-1], Finished)
    pcm = np.concatenate([event.pcm for event in events if isinstance(event, Audio)])
    progress = [e for e in events if isinstance(e, Progress) and e.stage == "rendering"]
    assert [e.step for e in progress] == list(range(progress[0].steps + 1))
    timeline = pb.Timeline.FromString(events[-1].timeline)
    return Made(request, pcm, events[-1].state, timeline, progress)


def order(source: Made, edit: Edit, /, **changes: object) -> RenderRequest:
    added = edit.left_s + edit.right_s if isinstance(edit, Extend) else 0.0
    length_s = len(source.pcm) / RATE + added
    request = replace(source.request, seed=8, edit=edit, source=source.source, duration_s=length_s)
    return replace(request, **changes)  # fields of any type


def edited(source: Made, edit: Edit, **changes: object) -> Made:
    return make(order(source, edit, **changes))
