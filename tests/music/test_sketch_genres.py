"""What a prompt asks for is what the sketch plays: genres, moods, instruments, meter, structure."""

from itertools import combinations, pairwise

import pytest

from services.music.engine import SAMPLE_RATE_HZ, LyricSection, Reading
from services.music.sketch.composer import write_bar
from services.music.sketch.drumming import drum_pattern
from services.music.sketch.genres import Genre, genres
from services.music.sketch.harmony import Key
from services.music.sketch.meter import METERS
from services.music.sketch.plan import Plan, make_plan
from services.music.sketch.prompt import read
from services.music.sketch.score import Bar
from services.music.sketch.vocabulary import MOODS

SPELLINGS = {
    "edm": "EDM, edm, electronic dance music, big room",
    "house": "house, deep house, Tech-House, tech house",
    "techno": "techno, minimal techno, acid techno",
    "trance": "trance, psytrance, psy-trance, uplifting trance",
    "dubstep": "dubstep, dub step, brostep, riddim",
    "ambient": "ambient, drone, new age",
    "trap": "trap, trap music, cloud rap",
    "boom bap": "boom bap, boom-bap, boombap, hip hop, hip-hop, hiphop, rap",
    "lo-fi hip hop": "lo-fi hip-hop, lofi hip hop, lo fi hip hop, lofi, lo-fi, LoFi, chillhop, jazz hop",
    "drill": "drill, UK drill, uk-drill",
    "alternative": "alternative, alternative rock, alt rock, alt-rock, grunge",
    "indie": "indie, indie rock, indie-rock, indie pop",
    "metal": "metal, heavy metal, heavy-metal, metalcore, thrash",
    "punk": "punk, punk rock, pop punk, pop-punk",
    "classic rock": "classic rock, classic-rock, 70s rock, rock and roll, rock 'n' roll",
    "synth-pop": "synth-pop, synthpop, synth pop, synthwave",
    "k-pop": "K-pop, kpop, k pop, KPOP",
    "j-pop": "J-pop, jpop, j pop, city pop",
    "dance pop": "dance pop, dance-pop, dancepop, eurodance",
    "orchestral": "orchestral, orchestra, symphony, classical",
    "piano": "piano, solo piano, piano solo",
    "chamber": "chamber, chamber music, string quartet",
    "cinematic": "cinematic, film score, trailer music, soundtrack",
    "latin": "Latin, salsa, bossa nova, reggaeton",
    "afrobeat": "Afrobeat, afrobeats, afro-beat, amapiano",
    "reggae": "reggae, dub, roots reggae, dancehall",
    "folk": "folk, folk music, singer-songwriter, celtic",
    "jazz": "jazz, bebop, big band, swing",
    "r&b": "R&B, r & b, rnb, R and B, rhythm and blues, neo-soul, neo soul",
    "soul": "soul, soul music, motown, gospel",
    "country": "country, country music, bluegrass",
    "blues": "blues, delta blues, 12-bar blues, twelve bar blues",
}


def plan(prompt: str, duration_s: float = 60.0, *lyrics: LyricSection, seed: int = 3) -> Plan:
    return make_plan(prompt, lyrics, round(duration_s * SAMPLE_RATE_HZ), seed)


def score(made: Plan) -> list[Bar]:
    return [write_bar(made, number) for number in range(made.form.clock.bars)]


@pytest.mark.parametrize(
    ("spelled", "name"), [(word, name) for name, words in SPELLINGS.items() for word in words.split(", ")]
)
def test_a_genre_is_known_by_all_its_spellings(spelled: str, name: str) -> None:
    assert read(f"a {spelled} track about the sea", 5).genre.name == name
    assert read("something", 5, Reading(genre=spelled)).genre.name == name


def groove(genre: Genre) -> tuple[int, ...]:
    """Where its drums, bass and chords strike, in a usual bar and in a chorus."""
    lines = {f"drums {piece}": line for piece, line in genre.drums.items()}
    lines |= {f"chorus {piece}": line for piece, line in genre.lifted.items()}
    pieces = sorted({piece for other in genres().values() for piece in (*other.drums, *other.lifted)})
    named = [*(f"drums {piece}" for piece in pieces), *(f"chorus {piece}" for piece in pieces)]
    rows = [lines.get(name, "." * 16) for name in named] + [genre.bass.line[0], genre.chords.line[0]]
    return tuple(mark not in ".-" for row in rows for mark in row)


def test_no_two_genres_have_the_same_groove() -> None:
    for (one, first), (two, second) in combinations(((n, groove(g)) for n, g in genres().items()), 2):
        apart = sum(a != b for a, b in zip(first, second, strict=True))
        assert apart >= 8, (one, two)


def test_a_groove_varies_in_choruses_and_every_fourth_bar() -> None:
    for genre in genres().values():
        if not genre.drums_when_asked:
            assert genre.lifted, genre.name
            assert genre.turn, genre.name
            assert any(genre.drums.get(piece) != line for piece, line in genre.turn.items()), genre.name


@pytest.mark.parametrize("genre", ["house", "pop", "jazz", "rock"])
def test_moods_move_mode_tempo_and_energy_as_musicians_would(genre: str) -> None:
    def mean(mood: str, of: str) -> float:
        values = [read(f"{mood} {genre}", seed) for seed in range(8)]
        return sum(float(getattr(value, of)) for value in values) / len(values)

    for livelier, quieter in (("energetic", "calm"), ("happy", "sad"), ("aggressive", "peaceful")):
        for of in ("tempo_bpm", "energy", "density", "brightness"):
            assert mean(livelier, of) > mean(quieter, of), (livelier, quieter, of)
    for mood in ("happy", "uplifting", "romantic", "triumphant", "peaceful"):
        assert not read(f"{mood} {genre}", 2).key.is_minor, mood
    for mood in ("sad", "dark", "melancholic", "aggressive", "intense", "mysterious"):
        assert read(f"{mood} {genre}", 2).key.is_minor, mood


def test_no_two_moods_are_the_same() -> None:
    meant = [(m.minor, m.tempo, m.energy, m.brightness, m.density, m.modes) for m in MOODS.values()]
    assert len(set(meant)) == len(MOODS) == 14


ASKED = {
    "piano": {"piano", "felt_piano", "mellow_piano", "dark_piano"},
    "acoustic guitar": {"steel_guitar", "nylon_guitar"},
    "electric guitar": {"clean_guitar", "crunch_guitar", "heavy_guitar", "skank_guitar"},
    "synthesizer": {"saw_lead", "square_lead", "soft_lead"},
    "strings": {"strings"},
    "brass": {"brass"},
    "woodwinds": {"flute"},
    "violin": {"violin"},
    "cello": {"cello"},
    "saxophone": {"sax"},
    "trumpet": {"trumpet"},
    "flute": {"flute"},
}
WORDS = (
    LyricSection("verse", ("Walking down the empty street",) * 4),
    LyricSection("chorus", ("We are fire",) * 4),
)


@pytest.mark.parametrize("genre", ["house", "metal", "orchestral", "lo-fi hip hop", "reggae"])
@pytest.mark.parametrize("word", list(ASKED))
def test_an_instrument_that_is_asked_for_plays_in_most_bars(genre: str, word: str) -> None:
    for lyrics in ((), WORDS):
        bars = score(plan(f"{genre} with {word}", 40.0, *lyrics))
        heard = [any(tone.sound in ASKED[word] for tone in bar.tones) for bar in bars]
        assert sum(heard) >= len(bars) / 2, lyrics


@pytest.mark.parametrize("genre", ["ambient", "piano", "orchestral", "chamber", "house"])
def test_drums_bass_and_percussion_play_where_they_are_asked_for(genre: str) -> None:
    bars = score(plan(f"{genre} with drums and bass", 40.0))
    assert sum(bool(bar.strokes) for bar in bars) >= len(bars) / 2
    assert sum(any(tone.bus == "bass" for tone in bar.tones) for bar in bars) >= len(bars) / 2
    bars = score(plan(f"{genre} with percussion", 40.0))
    assert sum(any(s.piece in ("conga", "shaker") for s in bar.strokes) for bar in bars) >= len(bars) / 2


@pytest.mark.parametrize("genre", ["orchestral", "chamber", "piano", "ambient"])
def test_some_genres_have_drums_only_where_they_are_asked_for(genre: str) -> None:
    assert not any(bar.strokes for bar in score(plan(genre)))


def test_several_instruments_are_all_heard() -> None:
    bars = score(plan("ballad with piano, acoustic guitar, strings, violin and cello", 40.0))
    sounds = {tone.sound for bar in bars for tone in bar.tones}
    assert {"piano", "steel_guitar", "strings", "violin", "cello"} <= sounds


@pytest.mark.parametrize(
    ("prompt", "absent"),
    [
        ("house, no drums", "drums"),
        ("rock without drums or bass", "drums bass"),
        ("jazz with piano but no saxophone", "sax"),
        ("folk without guitar", "steel_guitar nylon_guitar clean_guitar"),
        ("trance, no synths", "saw_lead supersaw pluck"),
        ("orchestral, no strings", "strings staccato_strings low_strings"),
        ("drumless lo-fi", "drums"),
    ],
)
def test_what_a_prompt_forbids_is_not_played(prompt: str, absent: str) -> None:
    bars = score(plan(prompt))
    played = {tone.sound for bar in bars for tone in bar.tones} | {t.bus for bar in bars for t in bar.tones}
    played |= {"drums" for bar in bars if bar.strokes}
    assert not played & set(absent.split())
    assert any(bar.tones for bar in bars)


def test_without_vocals_nobody_sings_and_an_instrument_has_the_melody() -> None:
    bars = score(plan("pop without vocals", 40.0, *WORDS))
    assert not any(bar.phrases for bar in bars)
    assert any(tone.bus == "lead" for bar in bars for tone in bar.tones)


@pytest.mark.parametrize(
    ("prompt", "tonic", "mode"),
    [
        ("jazz in D dorian", 2, "dorian"),
        ("F# minor house", 6, "minor"),
        ("Bb major pop", 10, "major"),
        ("metal, E phrygian", 4, "phrygian"),
        ("folk in G mixolydian", 7, "mixolydian"),
        ("film score in C Lydian", 0, "lydian"),
        ("Am pop", 9, "minor"),
    ],
)
def test_keys_and_modes_are_read_and_played(prompt: str, tonic: int, mode: str) -> None:
    made = plan(prompt)
    assert made.reading.key == Key(tonic, mode)
    assert made.chords[-1][0].root == tonic
    bars = score(made)
    pitches = [tone.pitch % 12 for bar in bars for tone in bar.tones if tone.bus in ("pad", "chords", "lead")]
    outside = sum(pitch not in made.reading.key.scale for pitch in pitches)
    assert outside < 0.2 * len(pitches)


@pytest.mark.parametrize("name", list(METERS))
@pytest.mark.parametrize("genre", ["folk", "house", "jazz"])
def test_bars_are_as_long_as_the_meter_says_and_their_first_beat_is_marked(genre: str, name: str) -> None:
    made = plan(f"{genre} in {name} at 120 bpm", 30.0)
    clock = made.form.clock
    top, bottom = (int(number) for number in name.split("/"))
    assert clock.steps == top * 16 // bottom
    assert clock.at(1) - clock.at(0) == pytest.approx(clock.steps * SAMPLE_RATE_HZ / 8, abs=2)
    bars = score(made)
    for number, bar in enumerate(bars):
        start, end = clock.at(number), clock.at(number + 1)
        assert all(start <= at < end for at in [t.at for t in bar.tones] + [s.at for s in bar.strokes])
    sounding = [any(abs(t.at - clock.at(n)) < 2_000 for t in bar.tones) for n, bar in enumerate(bars)]
    assert sum(sounding) > 0.8 * len(bars)


def test_a_waltz_goes_in_three_and_a_stated_meter_goes_before() -> None:
    assert read("a waltz for strings", 1).meter.name == "3/4"
    assert read("a waltz for strings", 1, Reading(meter="6/8")).meter.name == "6/8"
    assert read("folk", 1, Reading(meter="11/16")).meter.name == "4/4"


def kinds(made: Plan) -> list[str]:
    return [section.kind for section in made.form.sections]


def test_named_sections_are_the_form() -> None:
    made = plan("pop: intro, verse, chorus, bridge, chorus, outro")
    assert kinds(made) == ["intro", "verse", "chorus", "bridge", "chorus", "outro"]


def test_a_drop_comes_behind_a_build_and_is_louder() -> None:
    made = plan("house with a huge drop", 60.0)
    drop = kinds(made).index("chorus")
    build, dropped = made.form.sections[drop - 1], made.form.sections[drop]
    assert build.kind == "pre-chorus"
    assert dropped.energy > build.energy
    rolls = [
        sum(s.piece == "snare" for s in write_bar(made, build.first_bar + n).strokes)
        for n in range(build.bars)
    ]
    assert rolls[-1] > rolls[0]


def test_a_song_starts_with_what_was_asked_alone() -> None:
    made = plan("rock, starts with piano only, then drums and electric guitar", 40.0)
    intro = made.form.sections[0]
    assert intro.kind == "intro"
    for number in range(intro.bars):
        bar = write_bar(made, number)
        assert {tone.sound for tone in bar.tones} == {"piano"}
        assert not bar.strokes
    assert len({tone.sound for tone in write_bar(made, intro.bars + 1).tones}) > 1


def test_a_fade_is_heard_in_the_last_bars() -> None:
    faded, plain = (score(plan(f"disco{how}", 60.0)) for how in (", ends with a fade", ""))
    assert faded[4] == plain[4]
    soft, loud = faded[-1], plain[-1]
    assert max(s.velocity for s in soft.strokes) < 0.1 * max(s.velocity for s in loud.strokes)
    assert all(a.gain_db < b.gain_db - 15 for a, b in zip(soft.tones, loud.tones, strict=True))


def rolls(made: Plan) -> int:
    """Strokes that are closer than a sixteenth to the one before, of the same piece."""
    step = 0.75 * made.form.clock.step_s * SAMPLE_RATE_HZ
    at = sorted(s.at for bar in score(made) for s in bar.strokes if s.piece == "closed")
    return sum(later - earlier < step for earlier, later in pairwise(at))


def test_trap_has_rolls_and_glides() -> None:
    made = plan("trap", 60.0)
    assert rolls(made) > 20
    assert rolls(plan("rock", 60.0)) == 0
    quick = made.form.clock.step_s * 0.6
    assert any(
        t.bus == "bass" and t.hold_s < quick
        for s in range(6)
        for b in score(plan("trap", seed=s))
        for t in b.tones
    )


def test_reggae_has_one_drop_and_the_skank_on_two_and_four() -> None:
    made = plan("reggae", 60.0)
    verse = next(section for section in made.form.sections if section.kind == "verse")
    bar, clock = verse.first_bar, made.form.clock
    kicks = [s.at for s in write_bar(made, bar).strokes if s.piece == "kick"]
    assert [round((at - clock.at(bar)) / SAMPLE_RATE_HZ / clock.step_s) for at in kicks] == [8]
    skank = {t.at for t in write_bar(made, bar).tones if t.bus == "chords"}
    assert all(round((at - clock.at(bar)) / SAMPLE_RATE_HZ / clock.step_s) % 8 in (4, 5, 6) for at in skank)


def test_a_blues_goes_in_twelve_bars() -> None:
    made = plan("blues", 60.0)
    verse = made.form.sections[0]
    assert verse.bars == 12
    roots = [(made.chords[n][0].root - made.reading.key.tonic) % 12 for n in range(12)]
    assert roots[4] == roots[5] == 5
    assert roots[0] == roots[6] == roots[7] == roots[10] == 0
    assert roots[11] == 7


def test_jazz_walks_over_two_five_one() -> None:
    made = plan("jazz in C major", 60.0)
    roots = [chord.root for bar in made.chords for chord in bar]
    assert any(roots[i : i + 3] == [2, 7, 0] for i in range(len(roots)))
    busy = next(s for s in made.form.sections if s.kind == "chorus")
    assert len([t for t in write_bar(made, busy.first_bar).tones if t.bus == "bass"]) == 4


def test_metal_has_double_kicks_and_palm_mutes() -> None:
    made = plan("metal", 60.0)
    chorus = next(s for s in made.form.sections if s.kind == "chorus")
    bar = write_bar(made, chorus.first_bar)
    assert len(bar.kicks) >= 12
    muted = [t for t in bar.tones if t.sound == "heavy_guitar" and t.hold_s < 1.1 * made.form.clock.step_s]
    assert len(muted) >= 4


def test_k_pop_lifts_before_the_chorus() -> None:
    made = plan("k-pop", 90.0)
    lift = next(s for s in made.form.sections if s.kind == "pre-chorus")
    assert made.chords[lift.first_bar][0].root != made.reading.key.tonic
    assert lift.energy_at(lift.first_bar) < lift.energy_at(lift.first_bar + lift.bars - 1)


def test_boom_bap_swings_and_house_does_not() -> None:
    late = {}
    for genre in ("boom bap", "house"):
        clock = plan(genre).form.clock
        late[genre] = (clock.at(0, 1) - clock.at(0)) / (clock.step_s * SAMPLE_RATE_HZ)
    assert late["boom bap"] > 1.1
    assert late["house"] == pytest.approx(1, abs=0.01)


def test_afrobeat_lays_rhythms_of_three_and_four_over_one_another() -> None:
    made = plan("afrobeat")
    verse = next(s for s in made.form.sections if s.kind == "verse")
    lines = drum_pattern(made, verse, verse.first_bar)
    strikes = {piece: {i for i, mark in enumerate(line) if mark not in ".?"} for piece, line in lines.items()}
    assert {0, 4, 8, 12} <= strikes["shaker"]  # in four
    assert {0, 3, 6} <= strikes["kick"] | strikes["rim"]  # in three
    assert len({frozenset(steps) for steps in strikes.values()}) == len(strikes) >= 5
