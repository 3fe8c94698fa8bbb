"""Another band for the same song: form, chords, key and tempo stay, and what the prompt asked for.

Turns a plan and the seeds that came over it into the plan of what is renewed. Notes are renewed where they
are written, by the seeds alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.music.sketch.genres import Genre, Part, genres
from services.music.sketch.plan import CHORD_CENTRE, Band, Plan, band_of, voicings_of
from services.music.sketch.prompt import Reading
from services.music.sketch.randomness import Seeds, stream

# Sounds that can stand in for one another without changing what kind of song it is.
KIN: Sequence[tuple[str, ...]] = (
    ("piano", "felt_piano", "mellow_piano", "epiano"),
    ("nylon_guitar", "steel_guitar", "clean_guitar"),
    ("bells", "vibes", "marimba", "harp", "pluck"),
    ("round_bass", "synth_bass", "dub_bass"),
    ("finger_bass", "pick_bass", "slap_bass", "upright_bass"),
    ("acid_bass", "reese_bass", "wobble_bass"),
    ("warm_pad", "dark_pad"),
    ("strings", "choir"),
    ("stab", "poly_synth", "supersaw"),
    ("soft_lead", "saw_lead", "square_lead"),
    ("flute", "sax", "melodica"),
    ("trumpet", "muted_trumpet", "brass", "horn"),
    ("violin", "fiddle", "cello"),
)
# What keeps the beat of a genre, and is not another's to change.
_BACKBONE = frozenset({"kick", "snare", "clap", "timpani", "taiko"})
_CENTRES = (CHORD_CENTRE - 5, CHORD_CENTRE - 3, CHORD_CENTRE + 3, CHORD_CENTRE + 5)


def renewed(plan: Plan, reading: Reading, seeds: Seeds) -> Plan:
    """`plan` as its bars are played under `seeds`, by the band of `reading`."""
    was = plan.reading
    kept = replace(reading, key=was.key, tempo_bpm=was.tempo_bpm, meter=was.meter)
    played = replace(kept, genre=_regrooved(reading.genre, seeds))
    voicings = plan.voicings
    if seeds.renewed("voicing"):
        centre = _CENTRES[int(stream(seeds, "voicing").integers(len(_CENTRES)))]
        voicings = voicings_of(plan.chords, centre)
    band = _recast(band_of(played), reading.wanted, seeds)
    return replace(plan, seed=seeds, reading=played, band=band, voicings=voicings)


def _recast(band: Band, wanted: Mapping[str, tuple[str, ...]], seeds: Seeds) -> Band:
    def cast(part: Part, role: str) -> Part:
        kin = next((kin for kin in KIN if part.sound in kin), ())
        others = [sound for sound in kin if sound != part.sound]
        if not others or wanted.get(role) or not seeds.renewed("players", role):
            return part
        sound = others[int(stream(seeds, "players", role).integers(len(others)))]
        return part.model_copy(update={"sound": sound})

    return replace(
        band,
        bass=band.bass and cast(band.bass, "bass"),
        chords=cast(band.chords, "chords"),
        pad=band.pad and cast(band.pad, "pad"),
        arp=band.arp and cast(band.arp, "arp"),
        leads=tuple(cast(part, "lead") for part in band.leads),
    )


def _regrooved(genre: Genre, seeds: Seeds) -> Genre:
    """Cymbals and hands as in another genre on the same kit; the backbone stays."""
    new: dict[str, str] = {}
    for piece, line in genre.drums.items():
        kin = [other.drums.get(piece, line) for other in genres().values() if other.kit == genre.kit]
        others = sorted({*kin, line[8:] + line[:8], line.replace("o", "?")} - {line})
        if piece not in _BACKBONE and others and seeds.renewed("groove", piece):
            new[piece] = others[int(stream(seeds, "groove", piece).integers(len(others)))]
    # What choruses and turns had instead of the old line is gone with it.
    lifted, turn = (
        {piece: line for piece, line in lines.items() if piece not in new}
        for lines in (genre.lifted, genre.turn)
    )
    return genre.model_copy(update={"drums": {**genre.drums, **new}, "lifted": lifted, "turn": turn})
