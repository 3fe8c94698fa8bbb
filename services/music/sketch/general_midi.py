"""The engine's sounds and drum pieces by their General MIDI numbers: what comes nearest to them.

Two tables. Source: MIDI Association, "General MIDI 1 Sound Set" (programs and keys counted from 0 here).
"""

from collections.abc import Mapping

VOICE = 53  # voice oohs

PROGRAMS: Mapping[str, int] = {
    # keys
    "piano": 0, "felt_piano": 0, "mellow_piano": 0, "dark_piano": 0, "epiano": 4, "organ": 16,
    # plucked
    "nylon_guitar": 24, "steel_guitar": 25, "clean_guitar": 27, "skank_guitar": 28, "banjo": 105, "harp": 46,
    # bars and bells
    "bells": 14, "vibes": 11, "marimba": 12,
    # basses
    "round_bass": 38, "synth_bass": 38, "acid_bass": 38, "sub_bass": 39, "reese_bass": 39, "wobble_bass": 39,
    "808": 39, "finger_bass": 33, "pick_bass": 34, "slap_bass": 36, "upright_bass": 32, "dub_bass": 33,
    "low_strings": 43,
    # pads and synthesizers
    "warm_pad": 89, "dark_pad": 95, "strings": 48, "choir": 52, "stab": 62, "poly_synth": 90, "supersaw": 81,
    "pluck": 84, "staccato_strings": 45,
    # leads, winds, bows
    "crunch_guitar": 29, "heavy_guitar": 30, "soft_lead": 80, "saw_lead": 81, "square_lead": 80,
    "lead_guitar": 30, "flute": 73, "sax": 65, "melodica": 22, "trumpet": 56, "muted_trumpet": 59,
    "brass": 61, "horn": 60, "violin": 40, "fiddle": 110, "cello": 42,
}  # fmt: skip

KEYS: Mapping[str, int] = {
    "kick": 36, "snare": 38, "clap": 39, "snap": 39, "closed": 42, "hat": 46, "pedal": 44, "ride": 51,
    "crash": 49, "cymbal": 55, "shaker": 70, "tambourine": 54, "rim": 37, "clave": 75, "tom": 48,
    "floor_tom": 43, "conga": 63, "timpani": 41, "taiko": 35,
}  # fmt: skip

# For what the tables do not name yet: a song is worth more than the right patch.
ANY_PROGRAM, ANY_KEY = 0, 76
