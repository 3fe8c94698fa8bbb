"""The words that a prompt is read by: moods and instruments. Genre words are in genres.toml.

A table; knows no grammar.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Mood:
    words: tuple[str, ...]
    minor: bool | None  # None leaves it to the genre
    tempo: float  # -1 the genre's slowest, 1 its fastest
    energy: float  # added to every section's
    brightness: float  # of the tones, 1 as they are
    density: float = 0.0  # of the notes: -1 half as many, 1 half as many again
    modes: tuple[str, ...] = ()  # the first that the genre knows is taken


def _mood(
    words: str, minor: bool | None, tempo: float, energy: float, brightness: float, density: float, modes: str
) -> Mood:
    return Mood(tuple(words.split()), minor, tempo, energy, brightness, density, tuple(modes.split()))


# Hyphens stand for spaces too.
MOODS: Mapping[str, Mood] = {
    "energetic": _mood(
        "energetic energy upbeat lively powerful driving party hype groovy bouncy frantic dynamic "
        "pumping",
        None, 0.6, 0.1, 1.1, 0.5, "",
    ),
    "calm": _mood(
        "calm calming chill chilled relaxed relaxing soft gentle laid-back mellow smooth sleepy lazy "
        "easygoing",
        None, -0.5, -0.12, 0.8, -0.5, "major lydian dorian",
    ),
    "happy": _mood(
        "happy joyful joyous cheerful sunny fun funny playful jolly feel-good comic quirky whimsical "
        "summer",
        False, 0.4, 0.05, 1.12, 0.3, "major mixolydian",
    ),
    "sad": _mood(
        "sad heartbreak heartbroken heartbreaking lonely tearful sorrow sorrowful grief lonesome "
        "tragic mournful",
        True, -0.6, -0.12, 0.78, -0.4, "minor",
    ),
    "dark": _mood(
        "dark sinister gloomy haunting gothic horror evil brooding ominous grim menacing spooky bleak "
        "dystopian",
        True, -0.2, 0.0, 0.72, -0.1, "phrygian minor",
    ),
    "uplifting": _mood(
        "uplifting inspiring inspirational hopeful hope euphoric motivational bright optimistic "
        "anthemic",
        False, 0.35, 0.08, 1.12, 0.2, "major lydian mixolydian",
    ),
    "mysterious": _mood(
        "mysterious mystic mystical enigmatic eerie ethereal dreamy dreamlike hypnotic atmospheric "
        "otherworldly psychedelic trippy",
        True, -0.3, -0.08, 0.85, -0.4, "dorian phrygian minor",
    ),
    "aggressive": _mood(
        "aggressive angry brutal fierce hard furious raw rebellious defiant gritty hard-hitting "
        "violent",
        True, 0.6, 0.15, 1.2, 0.6, "phrygian minor",
    ),
    "romantic": _mood(
        "romantic love tender sensual sultry sexy intimate passionate seductive loving heartfelt "
        "sweet",
        False, -0.4, -0.06, 0.9, -0.2, "major lydian",
    ),
    "nostalgic": _mood(
        "nostalgic nostalgia retro vintage bittersweet wistful old-time sentimental",
        None, -0.3, -0.04, 0.82, -0.1, "mixolydian dorian major",
    ),
    "triumphant": _mood(
        "triumphant triumphal heroic victorious victory epic majestic glorious grand proud",
        False, 0.25, 0.14, 1.08, 0.2, "major mixolydian",
    ),
    "melancholic": _mood(
        "melancholic melancholy moody rainy pensive somber reflective longing yearning weary",
        True, -0.5, -0.08, 0.8, -0.3, "dorian minor",
    ),
    "peaceful": _mood(
        "peaceful serene tranquil soothing quiet meditative cozy cosy healing solemn hushed",
        False, -0.7, -0.16, 0.75, -0.8, "major lydian",
    ),
    "intense": _mood(
        "intense dramatic tense urgent relentless desperate restless suspenseful anxious chaotic",
        True, 0.5, 0.14, 1.12, 0.5, "minor phrygian",
    ),
}  # fmt: skip
NEUTRAL = Mood((), None, 0.0, 0.0, 1.0)

# word → (role, sound); a sound of None only asks for the role as the genre has it. Plurals are understood.
INSTRUMENTS: Mapping[str, tuple[str, str | None]] = {
    "electric piano": ("chords", "epiano"), "rhodes": ("chords", "epiano"),
    "wurlitzer": ("chords", "epiano"), "piano": ("chords", "piano"), "grand piano": ("chords", "piano"),
    "keys": ("chords", "piano"), "keyboard": ("chords", "piano"), "felt piano": ("chords", "felt_piano"),
    "acoustic guitar": ("chords", "steel_guitar"), "nylon guitar": ("chords", "nylon_guitar"),
    "classical guitar": ("chords", "nylon_guitar"), "spanish guitar": ("chords", "nylon_guitar"),
    "distorted guitar": ("chords", "crunch_guitar"), "power chord": ("chords", "crunch_guitar"),
    "heavy guitar": ("chords", "heavy_guitar"), "guitar riff": ("chords", "crunch_guitar"),
    "electric guitar": ("chords", "clean_guitar"), "clean guitar": ("chords", "clean_guitar"),
    "guitar solo": ("lead", "lead_guitar"), "lead guitar": ("lead", "lead_guitar"),
    "guitar": ("chords", "steel_guitar"), "banjo": ("arp", "banjo"), "mandolin": ("arp", "banjo"),
    "ukulele": ("chords", "nylon_guitar"), "strings": ("pad", "strings"),
    "string section": ("pad", "strings"), "string orchestra": ("pad", "strings"), "choir": ("pad", "choir"),
    "organ": ("pad", "organ"), "hammond": ("pad", "organ"), "pad": ("pad", "warm_pad"),
    "brass": ("lead", "brass"), "horn": ("lead", "brass"), "horn section": ("lead", "brass"),
    "brass section": ("lead", "brass"), "trombone": ("lead", "brass"), "tuba": ("lead", "brass"),
    "woodwind": ("lead", "flute"), "wind section": ("lead", "flute"), "violin": ("lead", "violin"),
    "viola": ("lead", "violin"), "fiddle": ("lead", "fiddle"), "cello": ("lead", "cello"),
    "violoncello": ("lead", "cello"), "saxophone": ("lead", "sax"), "sax": ("lead", "sax"),
    "trumpet": ("lead", "trumpet"), "muted trumpet": ("lead", "muted_trumpet"), "flute": ("lead", "flute"),
    "pan flute": ("lead", "flute"), "clarinet": ("lead", "melodica"), "oboe": ("lead", "melodica"),
    "harmonica": ("lead", "melodica"), "melodica": ("lead", "melodica"), "french horn": ("lead", "horn"),
    "synthesizer": ("lead", "saw_lead"), "synthesiser": ("lead", "saw_lead"), "synth": ("lead", "saw_lead"),
    "synth lead": ("lead", "saw_lead"), "analog synth": ("lead", "saw_lead"), "moog": ("lead", "saw_lead"),
    "arpeggiator": ("arp", "pluck"), "bells": ("arp", "bells"), "glockenspiel": ("arp", "bells"),
    "music box": ("arp", "bells"), "harp": ("arp", "harp"), "vibraphone": ("arp", "vibes"),
    "marimba": ("arp", "marimba"), "kalimba": ("arp", "marimba"), "xylophone": ("arp", "marimba"),
    "808": ("bass", "808"), "upright bass": ("bass", "upright_bass"),
    "double bass": ("bass", "upright_bass"), "walking bass": ("bass", "upright_bass"),
    "slap bass": ("bass", "slap_bass"), "synth bass": ("bass", "synth_bass"),
    "sub bass": ("bass", "sub_bass"), "acid bass": ("bass", "acid_bass"),
    "bass guitar": ("bass", "finger_bass"), "bassline": ("bass", None), "bass": ("bass", None),
    "drum": ("drums", None), "drum kit": ("drums", None), "drum machine": ("drums", None),
    "percussion": ("percussion", None), "conga": ("percussion", None),
    "bongo": ("percussion", None), "shaker": ("percussion", None), "tambourine": ("percussion", None),
    "djembe": ("percussion", None), "hand drum": ("percussion", None),
}  # fmt: skip

# What else is that instrument: a genre keeps its own kind of it, and none is left where it is forbidden.
KINDS: Mapping[str, tuple[str, ...]] = {
    "piano": ("felt_piano", "mellow_piano", "dark_piano"),
    "steel_guitar": ("nylon_guitar",),
    "clean_guitar": ("crunch_guitar", "heavy_guitar", "skank_guitar", "lead_guitar"),
    "strings": ("staccato_strings", "low_strings"),
    "saw_lead": ("square_lead", "soft_lead", "poly_synth", "supersaw", "stab", "pluck"),
    "brass": ("horn", "trumpet", "muted_trumpet"),
    "violin": ("fiddle",),
    "trumpet": ("muted_trumpet",),
    "warm_pad": ("dark_pad",),
}  # fmt: skip

# Of these no other kind will do where they are asked for.
EXACT = frozenset({"brass", "trumpet", "violin"})
GUITARS = frozenset({"nylon_guitar", "steel_guitar", *KINDS["clean_guitar"], "clean_guitar"})

# Section words of a prompt, by the section that is meant.
SECTION_WORDS: Mapping[str, str] = {
    "intro": "intro", "introduction": "intro", "verse": "verse", "pre-chorus": "pre-chorus",
    "build": "pre-chorus", "build-up": "pre-chorus", "chorus": "chorus", "refrain": "chorus",
    "drop": "chorus", "hook": "hook", "bridge": "bridge", "middle eight": "bridge", "solo": "solo",
    "interlude": "inst", "break": "break", "breakdown": "break", "outro": "outro", "coda": "outro",
}  # fmt: skip

# Genre words that more often mean an instrument, a mood or a place: they count when nothing else does.
WEAK_GENRE_WORDS = frozenset(
    {
        "808", "acid", "acoustic", "adventure", "alt", "anime", "anthem", "atmospheric", "ballad", "catchy",
        "chant", "classical", "classical guitar", "club", "dance", "dj", "doom", "drone", "electro",
        "electronic", "electronica", "epic", "euphoric", "festival", "garage", "groove", "hardcore", "heroic",
        "industrial", "island", "jig", "lullaby", "march", "meditation", "meditative", "minimal",
        "minimalist", "movie", "noir", "old school", "opera", "piano", "progressive", "quartet", "radio",
        "relaxing", "roots", "score", "shanty", "sleep", "soundtrack", "spa", "study", "swing", "trio",
        "waltz", "western",
    }
)  # fmt: skip
