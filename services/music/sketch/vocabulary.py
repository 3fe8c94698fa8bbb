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


def _mood(words: str, minor: bool | None, tempo: float, energy: float, brightness: float) -> Mood:
    return Mood(tuple(words.split()), minor, tempo, energy, brightness)


MOODS: Mapping[str, Mood] = {
    "energetic": _mood("energetic upbeat lively powerful driving party hype", None, 0.5, 0.1, 1.1),
    "calm": _mood("calm chill relaxed relaxing soft gentle laid-back mellow", None, -0.4, -0.12, 0.8),
    "happy": _mood("happy joyful cheerful sunny fun playful summer", False, 0.3, 0.05, 1.1),
    "sad": _mood("sad heartbreak heartbroken lonely tearful sorrow grief", True, -0.5, -0.1, 0.8),
    "dark": _mood("dark sinister gloomy haunting gothic horror evil", True, -0.1, 0.0, 0.75),
    "uplifting": _mood("uplifting inspiring hopeful euphoric motivational bright", False, 0.3, 0.08, 1.1),
    "mysterious": _mood("mysterious mystic enigmatic eerie ethereal dreamy", True, -0.3, -0.08, 0.85),
    "aggressive": _mood("aggressive angry brutal fierce hard furious", True, 0.5, 0.15, 1.15),
    "romantic": _mood("romantic love tender sensual intimate passionate", False, -0.3, -0.06, 0.9),
    "nostalgic": _mood("nostalgic nostalgia retro vintage bittersweet wistful", None, -0.2, -0.04, 0.85),
    "triumphant": _mood("triumphant heroic victorious epic majestic glorious", None, 0.2, 0.12, 1.05),
    "melancholic": _mood("melancholic melancholy moody rainy pensive somber", True, -0.4, -0.08, 0.8),
    "peaceful": _mood("peaceful serene tranquil soothing quiet meditative", False, -0.6, -0.15, 0.75),
    "intense": _mood("intense dramatic tense urgent relentless", True, 0.4, 0.12, 1.1),
}
NEUTRAL = Mood((), None, 0.0, 0.0, 1.0)

# word → (role, sound); a sound of None only asks for the role as the genre has it
INSTRUMENTS: Mapping[str, tuple[str, str | None]] = {
    "electric piano": ("chords", "epiano"), "rhodes": ("chords", "epiano"), "piano": ("chords", "piano"),
    "acoustic guitar": ("chords", "steel_guitar"), "nylon guitar": ("chords", "nylon_guitar"),
    "classical guitar": ("chords", "nylon_guitar"), "distorted guitar": ("chords", "crunch_guitar"),
    "electric guitar": ("chords", "clean_guitar"), "guitar solo": ("lead", "lead_guitar"),
    "guitar": ("chords", "steel_guitar"), "banjo": ("arp", "banjo"), "ukulele": ("chords", "nylon_guitar"),
    "strings": ("pad", "strings"), "string section": ("pad", "strings"), "choir": ("pad", "choir"),
    "organ": ("pad", "organ"), "pads": ("pad", "warm_pad"), "pad": ("pad", "warm_pad"),
    "brass": ("lead", "brass"), "horns": ("lead", "brass"), "woodwinds": ("lead", "flute"),
    "violin": ("lead", "violin"), "fiddle": ("lead", "fiddle"), "cello": ("lead", "cello"),
    "saxophone": ("lead", "sax"), "sax": ("lead", "sax"), "trumpet": ("lead", "trumpet"),
    "flute": ("lead", "flute"), "clarinet": ("lead", "melodica"), "harmonica": ("lead", "melodica"),
    "french horn": ("lead", "horn"), "synthesizer": ("lead", "saw_lead"), "synths": ("lead", "saw_lead"),
    "synth": ("lead", "saw_lead"), "bells": ("arp", "bells"), "music box": ("arp", "bells"),
    "harp": ("arp", "harp"), "vibraphone": ("arp", "vibes"), "marimba": ("arp", "marimba"),
    "kalimba": ("arp", "marimba"), "808": ("bass", "808"), "upright bass": ("bass", "upright_bass"),
    "double bass": ("bass", "upright_bass"), "slap bass": ("bass", "slap_bass"),
    "synth bass": ("bass", "synth_bass"), "sub bass": ("bass", "sub_bass"), "bass": ("bass", None),
    "drums": ("drums", None), "drum": ("drums", None), "percussion": ("percussion", None),
}  # fmt: skip

# Genre words that more often mean an instrument, a mood or a place: they count when nothing else does.
WEAK_GENRE_WORDS = frozenset(
    {
        "808", "acoustic", "adventure", "anthem", "atmospheric", "ballad", "catchy", "club", "dance",
        "electronic", "epic", "euphoric", "garage", "groove", "heroic", "industrial", "island", "meditation",
        "meditative", "minimal", "movie", "piano", "progressive", "radio", "relaxing", "sleep", "soundtrack",
        "study", "swing", "waltz", "western",
    }
)  # fmt: skip
