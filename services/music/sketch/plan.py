"""The plan of a song: reading, form, the chords of every bar and their voicing, and who plays what.

Made once, before the first note; all else follows from it and the seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.music.engine import LyricSection
from services.music.engine import Reading as Stated
from services.music.sketch.form import Form, Section, shape
from services.music.sketch.genres import STEPS, Part
from services.music.sketch.harmony import Chord, bars_of, voiced
from services.music.sketch.prompt import Reading, read
from services.music.sketch.randomness import Seed, stream

# Which of the song's three progressions a section uses.
_USES = {"chorus": 1, "hook": 1, "solo": 1, "outro": 1, "pre-chorus": 2, "bridge": 2, "break": 2}
CHORD_CENTRE = 62


@dataclass(frozen=True)
class Band:
    """The parts after the prompt's wishes. `leads` take turns; `featured` ones were asked for."""

    bass: Part | None
    chords: Part
    pad: Part | None
    arp: Part | None
    leads: tuple[Part, ...]
    featured: bool
    drums: bool
    percussion: bool


@dataclass(frozen=True)
class Plan:
    seed: Seed
    reading: Reading
    form: Form
    band: Band
    # Per bar, and one more for the ending: the chords, and their voicings low to high.
    chords: tuple[tuple[Chord, ...], ...]
    voicings: tuple[tuple[tuple[int, ...], ...], ...]

    def chord_at(self, bar: int, step: float) -> Chord:
        return self.chords[bar][self._index(bar, step)]

    def voicing_at(self, bar: int, step: float) -> tuple[int, ...]:
        return self.voicings[bar][self._index(bar, step)]

    def _index(self, bar: int, step: float) -> int:
        count = len(self.chords[bar])
        return min(int(step * count / STEPS), count - 1)


def make_plan(
    prompt: str, lyrics: Sequence[LyricSection], samples: int, seed: int, stated: Stated | None = None
) -> Plan:
    """`stated`: what the prompt says, as others have read it."""
    reading = read(prompt, seed, stated)
    return arranged(seed, reading, shape(reading, lyrics, samples))


def arranged(seed: int, reading: Reading, form: Form) -> Plan:
    """All that follows from a reading and a form."""
    chords = _harmony(reading, form.sections, seed)
    return Plan(seed, reading, form, band_of(reading), chords, voicings_of(chords, CHORD_CENTRE))


def voicings_of(chords: Sequence[tuple[Chord, ...]], centre: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """The voicings of every bar's chords, low to high, each moving least from the one before."""
    voicings: list[tuple[tuple[int, ...], ...]] = []
    before: tuple[int, ...] = ()
    for bar in chords:
        pitches = []
        for harmony in bar:
            before = voiced(harmony, before, centre)
            pitches.append(before)
        voicings.append(tuple(pitches))
    return tuple(voicings)


def _harmony(reading: Reading, sections: Sequence[Section], seed: int) -> tuple[tuple[Chord, ...], ...]:
    rng = stream(seed, "harmony")
    pool = list(reading.genre.progressions(reading.key))
    order = [pool[i] for i in rng.permutation(len(pool))]
    chosen = [bars_of(order[i % len(order)], reading.key) for i in range(3)]
    out: list[tuple[Chord, ...]] = []
    for section in sections:
        progression = chosen[_USES.get(section.kind, 0)]
        out += [progression[i % len(progression)] for i in range(section.bars)]
    home = min(
        (c for bars in chosen for bar in bars for c in bar), key=lambda c: (c.root - reading.key.tonic) % 12
    )
    if home.root != reading.key.tonic:
        home = bars_of("i" if reading.key.is_minor else "I", reading.key)[0][0]
    return (*out, (home,))


def band_of(reading: Reading) -> Band:
    genre, wanted, silent = reading.genre, reading.wanted, reading.silent
    chords, arp, pad, bass = genre.chords, genre.arp, genre.pad, genre.bass
    if sounds := wanted.get("chords"):
        guitar = sounds[0] == "clean_guitar" and chords.voicing == "power"  # an electric one, in rock
        if not guitar:
            chords = _given(chords, sounds[0])
        if len(sounds) > 1:
            arp = _given(arp or Part(sound=sounds[1], line=("..1.3.2...4.3...",)), sounds[1])
    if sounds := wanted.get("arp"):
        arp = _given(arp or Part(sound=sounds[0], line=("..1.3.2...4.3...",)), sounds[0])
    if sounds := wanted.get("pad"):
        pad = _given(pad or Part(sound=sounds[0]), sounds[0])
    if sounds := wanted.get("bass"):
        bass = _given(bass, sounds[0])
    leads = tuple(genre.lead.model_copy(update={"sound": sound}) for sound in wanted.get("lead", ()))
    return Band(
        bass=None if "bass" in silent else bass,
        chords=chords,
        pad=None if "pad" in silent else pad,
        arp=arp,
        leads=() if "lead" in silent else leads or (genre.lead,),
        featured=bool(leads),
        drums="drums" not in silent,
        percussion="percussion" in wanted,
    )


def _given(part: Part, sound: str) -> Part:
    """A part on an instrument that was asked for: heard in every section, and not too softly."""
    return part.model_copy(
        update={"sound": sound, "from_": 0.0, "until": 1.0, "gain": max(part.gain, 0.0), "voicing": "close"}
    )
