"""The plan of a song: reading, form, the chords of every bar and their voicing, and who plays what.

Made once, before the first note; all else follows from it and the seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.music.engine import LyricSection
from services.music.engine import Reading as Stated
from services.music.sketch.form import Form, shape
from services.music.sketch.genres import Part
from services.music.sketch.harmony import Chord, voiced
from services.music.sketch.progressions import song_chords
from services.music.sketch.prompt import Reading, read
from services.music.sketch.randomness import Seed
from services.music.sketch.vocabulary import EXACT, KINDS

CHORD_CENTRE = 62
# Who plays a part whose instrument the prompt forbids; an arpeggio is left out.
_SUBSTITUTES: Mapping[str, tuple[str, ...]] = {
    "bass": ("finger_bass", "upright_bass", "synth_bass"),
    "chords": ("piano", "epiano", "clean_guitar", "poly_synth", "staccato_strings"),
    "pad": ("strings", "warm_pad", "organ", "choir"),
    "lead": ("flute", "trumpet", "violin", "soft_lead", "vibes"),
}
# How an instrument plays that comes beside those the genre has.
_BESIDE = {"chords": ("x---..x-x---..x-",), "arp": ("..1.3.2...4.3...",), "pad": ("x---------------",)}


@dataclass(frozen=True)
class Band:
    """The parts after the prompt's wishes.

    `leads` take turns; `featured` ones were asked for, and play along where another leads or someone sings.
    """

    bass: Part | None
    chords: Part
    pad: Part | None
    arp: Part | None
    leads: tuple[Part, ...]
    featured: bool
    drums: bool
    percussion: bool
    others: tuple[tuple[str, Part], ...] = ()  # more that were asked for: role and part


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
        return min(int(step * count / self.form.clock.steps), count - 1)


def make_plan(
    prompt: str, lyrics: Sequence[LyricSection], samples: int, seed: int, stated: Stated | None = None
) -> Plan:
    """`stated`: what the prompt says, as others have read it."""
    reading = read(prompt, seed, stated)
    return arranged(seed, reading, shape(reading, lyrics, samples))


def arranged(seed: int, reading: Reading, form: Form) -> Plan:
    """All that follows from a reading and a form."""
    chords = song_chords(reading, form.sections, seed)
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


def band_of(reading: Reading) -> Band:
    genre, wanted, silent = reading.genre, reading.wanted, reading.silent
    chords, arp, pad, bass = genre.chords, genre.arp, genre.pad, genre.bass
    others: list[tuple[str, Part]] = []
    sounds = list(wanted.get("chords", ()))
    if sounds and not (chords.voicing == "power" and not _serves(chords.sound, sounds[0])):
        chords = _given(chords, sounds.pop(0))
    others += [("chords", _beside("chords", sound)) for sound in sounds]
    if sounds := list(wanted.get("arp", ())):
        arp = _given(arp or _beside("arp", sounds[0]), sounds[0])
        others += [("arp", _beside("arp", sound)) for sound in sounds[1:]]
    if sounds := list(wanted.get("pad", ())):
        pad = _given(pad or _beside("pad", sounds[0]), sounds[0])
        others += [("pad", _beside("pad", sound)) for sound in sounds[1:]]
    if "bass" in wanted:
        bass = _given(bass, (*wanted["bass"], bass.sound)[0])
    leads = tuple(
        genre.lead.model_copy(
            update={"sound": genre.lead.sound if _serves(genre.lead.sound, sound) else sound}
        )
        for sound in wanted.get("lead", ())
    )
    lead = _allowed("lead", genre.lead, silent)
    return Band(
        bass=None if "bass" in silent else _allowed("bass", bass, silent),
        chords=_allowed("chords", chords, silent) or chords,
        pad=pad and _allowed("pad", pad, silent),
        arp=None if arp is None or arp.sound in silent else arp,
        leads=leads or ((lead,) if lead else ()),
        featured=bool(leads),
        drums="drums" not in silent and (not genre.drums_when_asked or "drums" in wanted),
        percussion="percussion" in wanted,
        others=tuple(others),
    )


def _serves(own: str, asked: str) -> bool:
    return own == asked or (asked not in EXACT and own in KINDS.get(asked, ()))


def _given(part: Part, sound: str) -> Part:
    """A part on an instrument that was asked for: heard in every section, and not too softly."""
    kept = _serves(part.sound, sound)
    return part.model_copy(
        update={
            "sound": part.sound if kept else sound,
            "from_": 0.0,
            "until": 1.0,
            "gain": max(part.gain, 0.0),
            "voicing": part.voicing if kept else "close",
        }
    )


def _beside(role: str, sound: str) -> Part:
    return Part.model_validate({"sound": sound, "line": _BESIDE[role], "from": 0.0, "gain": -1.0})


def _allowed(role: str, part: Part, silent: frozenset[str]) -> Part | None:
    """The part on the first instrument that nobody forbids; None when all are."""
    if part.sound not in silent:
        return part
    sound = next((other for other in _SUBSTITUTES[role] if other not in silent), None)
    return part.model_copy(update={"sound": sound, "voicing": "close"}) if sound else None
