"""Writes a song bar by bar: asks every player for its notes. The bar after the last is the ending.

A bar's notes depend on the plan and the bar's number only, so any bar can be written at any time.
"""

from services.music.sketch import leads, parts
from services.music.sketch.plan import Plan
from services.music.sketch.score import Bar


def write_bar(plan: Plan, bar: int) -> Bar:
    if bar >= plan.form.clock.bars:
        tones, last_strokes = parts.ending(plan)
        return Bar(tuple(tones), tuple(last_strokes), (), ())
    section = plan.form.section_of(bar)
    strokes = tuple(parts.drums(plan, section, bar))
    return Bar(
        tones=(
            *parts.bass(plan, section, bar),
            *parts.harmony(plan, section, bar),
            *leads.lead(plan, section, bar),
        ),
        strokes=strokes,
        phrases=tuple(leads.voice(plan, section, bar)),
        kicks=tuple(stroke.at for stroke in strokes if stroke.piece == "kick"),
    )


def fullest_bars(plan: Plan) -> tuple[int, int]:
    """First and last bar to set the level by, in the fullest section; two where lines are sung."""
    section = max(plan.form.sections, key=lambda s: (s.energy, len(s.lines), -s.first_bar))
    last = section.first_bar + min(1, section.bars - 1)
    return (section.first_bar, last) if section.lines else (last, last)
