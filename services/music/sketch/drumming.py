"""The drums of one bar: the genre's groove, what choruses and every fourth bar change in it, rolls and fills.

Knows patterns and time; the kit is in drumkit.py.
"""

from collections.abc import Iterator, Mapping, Sequence

from services.music.sketch.form import Section
from services.music.sketch.genres import STEPS
from services.music.sketch.plan import Plan
from services.music.sketch.randomness import stream
from services.music.sketch.score import Stroke
from services.music.sketch.tones import RATE

_ACCENTS = {"X": 1.0, "x": 0.74, "o": 0.36, "?": 0.55, "2": 0.66, "3": 0.62, "4": 0.58}
_PANS = {
    "closed": 0.22, "hat": 0.22, "pedal": 0.22, "ride": -0.3, "shaker": -0.38, "tambourine": 0.4,
    "rim": -0.18, "clave": 0.3, "conga": -0.28, "tom": -0.2, "floor_tom": 0.25, "taiko": 0.1, "timpani": -0.1,
}  # fmt: skip
_FILLS = (
    {"snare": "....x.xxX.xxXxXX", "kick": "X.....x........."},
    {"tom": "........x.x.....", "floor_tom": "............X.X.", "snare": "....X...x......x"},
    {"snare": "........o.oxxxXX", "kick": "X.......X......."},
    {"snare": "....X.......xXxX", "kick": "X.....x...x....."},
)
_HAND_FILLS = ({"conga": "........x.xxx.XX"}, {"rim": "..........x.x.XX"})
_ORCHESTRA_FILLS = ({"timpani": "........o.oxxxXX", "cymbal": "x..............."},)
_CLUB_FILLS = (
    {"clap": "............x.xx", "kick": "X...X...X......."},
    {"snare": "........x.x.xxxx", "kick": "X...X..........."},
    {"tom": "..........x..x.x", "kick": "X...X...X......."},
)
_TRAP_FILLS = ({"closed": "........x.223344"}, {"snare": "..........x.xxXX", "closed": "........3.3.4444"})
_FILLS_OF: Mapping[str, Sequence[Mapping[str, str]]] = {
    "orchestra": _ORCHESTRA_FILLS, "soft": _HAND_FILLS, "latin": _HAND_FILLS, "electronic": _CLUB_FILLS,
    "trap": _TRAP_FILLS,
}  # fmt: skip
# A roll grows by these, a quarter of the section each, and leaves a hole before what comes.
_BUILD = ("x...x...x...x...", "x.x.x.x.x.x.x.x.", "xxxxxxxxxxxxxxxx", "22222222XXXX....")
_HANDS = {"shaker": "x.xox.xox.xox.xo", "conga": "..x...xx..x...xx"}
_SILENT = "." * STEPS
_STEADY = frozenset({"closed", "ride", "shaker"})
_BY_HAND = frozenset({"dusty", "acoustic", "brush", "latin", "soft"})
# Above these a section has all its drums, where it carries the song and where it leads or rests; below the
# last none but those that were asked for.
_FULL, _FULL_ASIDE, _LIGHT = 0.42, 0.56, 0.34
_ASIDE = frozenset({"intro", "bridge", "break", "outro"})
_LIFTED = frozenset({"chorus", "hook", "solo"})


def drums(plan: Plan, section: Section, bar: int) -> Iterator[Stroke]:
    genre, clock = plan.reading.genre, plan.form.clock
    rng = stream(plan.seed, "drums", bar)
    pattern = drum_pattern(plan, section, bar)
    starts = bar == section.first_bar and bar > 0
    if pattern and starts and section.energy > 0.7 and genre.kit not in ("brush", "soft", "dusty"):
        yield Stroke("crash", bar, clock.at(bar), 0.8, 0.1)
    loud = 0.72 + 0.28 * section.energy_at(bar)
    for piece, line in pattern.items():
        for step, mark in enumerate(line):
            if mark == "." or (mark == "?" and rng.random() > 0.35):
                continue
            count = int(mark) if mark.isdigit() else 1
            late = int(abs(rng.normal(0, 0.003)) * RATE) if genre.kit in _BY_HAND else 0
            for turn in range(count):
                velocity = _ACCENTS[mark] * rng.uniform(0.92, 1.0) * loud * (1 - 0.12 * (count - 1 - turn))
                at = clock.at(bar, step + turn / count) + late
                yield Stroke(piece, int(rng.integers(99)), at, velocity, _PANS.get(piece, 0.0))


def drum_pattern(plan: Plan, section: Section, bar: int) -> dict[str, str]:
    """Every piece's line in one bar, in the song's meter."""
    genre, meter = plan.reading.genre, plan.form.clock.meter
    pattern = _groove(plan, section, bar)
    if plan.band.percussion and "drums" not in plan.reading.silent:
        pattern = {**_HANDS, **pattern}
    pattern = {piece: meter.fitted(line) for piece, line in pattern.items()}
    last = section.first_bar + section.bars - 1
    if not pattern:
        return {}
    if genre.build and section.kind == "pre-chorus" and plan.band.drums:
        return _built(pattern, meter.closing(_roll(section, bar)), hole=bar == last)
    if bar == last and section.bars >= 2 and _has_drums_after(plan, section):
        fills = _FILLS_OF.get(genre.kit, _FILLS)
        fill = fills[int(stream(plan.seed, "fill", section.kind).integers(len(fills)))]
        half = meter.steps // 2
        for piece in {**pattern, **fill}:
            line = pattern.get(piece, "." * meter.steps)
            if piece not in _STEADY:  # the rest makes room for the fill
                line = line[:half].ljust(meter.steps, ".")
            pattern[piece] = _overlaid(line, meter.closing(fill.get(piece, _SILENT)))
    return pattern


def _groove(plan: Plan, section: Section, bar: int) -> dict[str, str]:
    genre, band = plan.reading.genre, plan.band
    asked = "drums" in plan.reading.wanted
    if not band.drums or (section.energy < _LIGHT and not asked):
        return {}
    full = section.energy >= (_FULL_ASIDE if section.kind in _ASIDE and not asked else _FULL)
    pattern = {piece: line for piece, line in genre.drums.items() if full or asked or piece in genre.light}
    if full and section.kind in _LIFTED:
        pattern |= genre.lifted
    if full and (bar - section.first_bar) % 4 == 3:
        pattern |= genre.turn
    return pattern


def _roll(section: Section, bar: int) -> str:
    last = section.first_bar + section.bars - 1
    return _BUILD[-1] if bar == last else _BUILD[(bar - section.first_bar) * 3 // max(section.bars - 1, 1)]


def _built(pattern: Mapping[str, str], roll: str, hole: bool) -> dict[str, str]:
    kept = {piece: line for piece, line in pattern.items() if piece not in ("snare", "clap")}
    if hole:
        kept = {piece: line[: len(line) // 2].ljust(len(line), ".") for piece, line in kept.items()}
    return {**kept, "snare": roll}


def _overlaid(line: str, fill: str) -> str:
    return "".join(new if new != "." else old for old, new in zip(line, fill, strict=True))


def _has_drums_after(plan: Plan, section: Section) -> bool:
    after = section.first_bar + section.bars
    if after >= plan.form.clock.bars:
        return True
    following = plan.form.section_of(after)
    return bool(_groove(plan, following, after)) and following.energy >= _FULL
