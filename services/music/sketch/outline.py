"""What a reader wants of a song: key and tempo, every bar's chords, sections, and when which line is sung.

Values for JSON. Knows arrangements; nothing here is read back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.music.sketch.arrangement import Arrangement
from services.music.sketch.form import Clock
from services.music.sketch.tones import RATE


def outline(arrangements: Sequence[tuple[int, Arrangement]]) -> Mapping[str, Any]:
    """Of all takes as one song, each with the sample that it begins at.

    The ending of a take has a chord, and counts as a bar.
    """
    plans = [(at, arrangement, arrangement.throughout) for at, arrangement in arrangements]
    first = plans[0][2].reading
    chords: list[list[str]] = []
    sections: list[dict[str, Any]] = []
    for at, arrangement, plan in plans:
        clock = plan.form.clock

        def start_s(step: int, at: int = at, clock: Clock = clock) -> float:
            return (at + clock.origin) / RATE + step * clock.step_s

        for section in arrangement.take.sung.sections:
            begin = section.first_bar * clock.steps
            sections.append(
                {
                    "kind": section.kind,
                    "first_bar": len(chords) + section.first_bar,
                    "bars": section.bars,
                    "energy": section.energy,
                    "lines": [
                        {
                            "section": line.section,
                            "line": line.line,
                            "start_s": start_s(begin + line.first_step),
                            "end_s": start_s(begin + line.first_step + line.steps),
                            "syllables": len(line.syllables),
                        }
                        for line in section.lines
                    ],
                }
            )
        ending = clock.bars in arrangement.blocks
        chords += [[chord.symbol for chord in bar] for bar in plan.chords[: clock.bars + ending]]
    return {
        "tempo_bpm": plans[0][2].form.clock.tempo_bpm,
        "meter": plans[0][2].form.clock.meter.name,
        "genre": first.genre.name,
        "mood": first.mood,
        "tonic": first.key.tonic,
        "mode": first.key.mode,
        "chords": chords,
        "sections": sections,
    }
