"""What independent listeners hear in the songs of `sketch`: `python -m bench.music_listeners [--seeds 4]`.

Renders songs of every genre on all cores and prints who hears what, as tables. Knows prompts and plans; the
listening is listening.py's. The tests listen to a smaller set through the same functions.
"""

import argparse
import io
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench import listening
from services.music.engine import Audio, LyricSection, Pcm, RenderRequest
from services.music.mp3 import Mp3Encoder
from services.music.sketch.engine import SketchEngine
from services.music.sketch.genres import Genre, genres
from services.music.sketch.plan import make_plan

KEYS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

# Groups of genres that a listener would not confuse with one another; a genre without one is left out.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "club": ("house", "techno", "trance", "dubstep", "drum and bass", "edm"),
    "hip hop": ("lo-fi hip hop", "boom bap", "trap", "drill"),
    "rock": ("rock", "punk", "metal", "alternative", "indie", "classic rock"),
    "pop": ("pop", "synth-pop", "k-pop", "j-pop", "dance pop"),
    "score": ("orchestral", "cinematic", "chamber"),
    "quiet": ("ambient", "piano"),
    "roots": ("jazz", "blues", "folk", "country"),
    "groove": ("reggae", "latin", "afrobeat", "r&b", "soul", "funk"),
}
_FAMILY_OF = {genre: family for family, members in FAMILIES.items() for genre in members}


@dataclass(frozen=True)
class Order:
    """A song to listen to, and what its prompt asked for."""

    genre: str
    bpm: float
    key: tuple[int, bool]  # tonic from C upwards, whether minor
    seconds: float
    seed: int
    ternary: bool  # triplets throughout: three pulses to two are then no mistake

    @property
    def prompt(self) -> str:
        return f"{self.genre}, {self.bpm:g} BPM, {named(self.key)}"


@dataclass(frozen=True)
class Heard:
    order: Order
    bpm: float
    key: tuple[int, bool]
    lufs: float
    peak_db: float
    mp3_peak_db: float
    offset: float  # direct current
    correlation: float
    side: float  # energy of the difference of the channels to that of their sum
    end: float  # the loudest of the last 10 ms
    border: float  # the sharpest bend at a bar's border to the usual sharpest
    colour: listening.Vector
    sections: tuple[bool, ...]  # for each border of sections: has the novelty curve a peak there
    elsewhere: float  # how often it has one at any beat

    @property
    def tempo_ratio(self) -> float:
        """Heard to asked, octaves (and a third of them where the meter is ternary) taken out."""
        octaves = (0.25, 0.5, 1.0, 2.0, 4.0)
        allowed = (*octaves, 0.75, 1.5, 3.0) if self.order.ternary else octaves
        ratios = [self.bpm / self.order.bpm / factor for factor in allowed]
        return min(ratios, key=lambda ratio: abs(ratio - 1))


def catalogue(count: int, long_s: float = 30.0, short_s: float = 12.0) -> list[Order]:
    """Prompts through all genres, tempi and keys; the first of each genre is long, the others are short."""
    table = list(genres().values())
    return [
        Order(
            genre=genre.name,
            bpm=round(genre.tempo[(number + turn) % 3]),
            key=((number * 7) % 12, (number + turn) % 2 == 0),
            seconds=short_s if turn else long_s,
            seed=number,
            ternary=is_ternary(genre),
        )
        for number in range(count)
        for turn, genre in [(number // len(table), table[number % len(table)])]
    ]


def named(key: tuple[int, bool]) -> str:
    return f"{KEYS[key[0]]} {'minor' if key[1] else 'major'}"


def is_ternary(genre: Genre) -> bool:
    return genre.swing_eighths and genre.swing >= 0.3


def rendered(
    prompt: str, seconds: float, seed: int = 1, lyrics: tuple[LyricSection, ...] = ()
) -> tuple[Pcm, list[int]]:
    """The song, and the samples at which its blocks meet."""
    order = RenderRequest(prompt=prompt, lyrics=lyrics, language="en", duration_s=seconds, seed=seed)
    blocks = [e.pcm for e in SketchEngine().render(order, lambda: False) if isinstance(e, Audio)]
    return np.concatenate(blocks), np.cumsum([len(block) for block in blocks])[:-1].tolist()


def full_scale(pcm: Pcm) -> listening.Stereo:
    return np.asarray(pcm, np.float64) / 32_768


def through_mp3(pcm: Pcm) -> listening.Stereo:
    """What another program decodes from the MP3."""
    encoder = Mp3Encoder(len(pcm), b"")
    file = encoder.opening + encoder.encode(pcm) + encoder.finish()
    decoded, _ = soundfile.read(io.BytesIO(file), always_2d=True)
    return np.asarray(decoded, np.float64)


def listen(order: Order) -> Heard:
    pcm, borders = rendered(order.prompt, order.seconds, order.seed)
    sound = full_scale(pcm)
    mono = listening.at_low_rate(sound)
    at_sections, elsewhere = _section_borders(order, mono)
    return Heard(
        order=order,
        bpm=listening.tempo_bpm(mono[: 20 * listening.LOW_RATE]),
        key=listening.key_of(mono),
        lufs=listening.lufs(sound),
        peak_db=listening.true_peak_db(sound),
        mp3_peak_db=listening.true_peak_db(through_mp3(pcm)),
        offset=float(np.max(np.abs(sound.mean(axis=0)))),
        correlation=listening.correlation(sound),
        side=float(np.sum((sound[:, 0] - sound[:, 1]) ** 2) / np.sum((sound[:, 0] + sound[:, 1]) ** 2)),
        end=float(np.max(np.abs(sound[-441:]))),
        border=listening.border_jump(sound, borders),
        colour=listening.colour(mono),
        sections=at_sections,
        elsewhere=elsewhere,
    )


def _section_borders(order: Order, mono: listening.Mono) -> tuple[tuple[bool, ...], float]:
    form = make_plan(order.prompt, (), round(order.seconds * listening.RATE), order.seed).form
    beat_s = 60 / form.clock.tempo_bpm
    peaks = listening.peaks_of(listening.novelty(mono, beat_s))
    bar_beats = form.clock.at(1) / listening.RATE / beat_s

    def has_peak(beat: float) -> bool:
        return bool(len(peaks)) and float(np.min(np.abs(peaks - beat))) <= 2

    beats = np.arange(bar_beats, form.clock.bars * bar_beats)
    borders = [section.first_bar * bar_beats for section in form.sections[1:]]
    return tuple(has_peak(beat) for beat in borders), float(np.mean([has_peak(beat) for beat in beats]))


def listen_to_all(orders: Iterable[Order], processes: int | None = None) -> list[Heard]:
    """On all cores. Processes are spawned: whoever asks may have threads."""
    listening.wake()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes or os.cpu_count() or 1, mp_context=context) as pool:
        return list(pool.map(listen, orders, chunksize=2))


def family_of(heard: Heard) -> str:
    return _FAMILY_OF.get(heard.order.genre, "")


def guessed(colours: NDArray[np.float64], labels: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """Each song's label by a linear discriminant that was taught with the songs of all other seeds."""
    truth, seed_of = np.array(labels), np.array(seeds)
    out = np.empty(len(labels), dtype=object)
    for seed in np.unique(seed_of):
        held = seed_of == seed
        model = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))
        model.fit(colours[~held], truth[~held])
        out[held] = model.predict(colours[held])
    return [str(label) for label in out]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.music_listeners", description=__doc__)
    parser.add_argument("--seeds", type=int, default=4, help="songs of each genre")
    parser.add_argument("--long-seconds", type=float, default=48.0)
    parser.add_argument("--short-seconds", type=float, default=16.0)
    arguments = parser.parse_args()
    count = arguments.seeds * len(genres())
    songs = listen_to_all(catalogue(count, arguments.long_seconds, arguments.short_seconds))
    _print_songs(songs)
    _print_genres(songs, [song.order.genre for song in songs], "genre")
    placed = [song for song in songs if family_of(song)]
    _print_genres(placed, [family_of(song) for song in placed], "family")


def _print_songs(songs: Sequence[Heard]) -> None:
    tempi = [song for song in songs if abs(song.tempo_ratio - 1) <= 0.02]
    keys = [song for song in songs if listening.are_neighbours(song.key, song.order.key)]
    exact = sum(song.key == song.order.key for song in songs)
    print(f"songs {len(songs)}: tempo within 2 % {len(tempi)}, key next to it {len(keys)}, exact {exact}")
    for song in songs:
        if song not in tempi:
            print(f"  tempo {song.order.prompt}: heard {song.bpm:.1f}")
        if song not in keys:
            print(f"  key   {song.order.prompt}: heard {named(song.key)}")
    long = [song for song in songs if song.order.seconds >= 30]
    rows = {
        "LUFS, 30 s and more": [song.lufs for song in long],
        "true peak, dBTP": [song.peak_db for song in songs],
        "true peak of the MP3, dBTP": [song.mp3_peak_db for song in songs],
        "direct current": [song.offset for song in songs],
        "correlation of the channels": [song.correlation for song in songs],
        "side to mid, dB": [10 * float(np.log10(song.side)) for song in songs],
        "bend at bars' borders to the usual": [song.border for song in songs],
        "last 10 ms, peak": [song.end for song in songs],
    }
    print(f"\n| {'':<36} | lowest | median | highest |\n|---|---|---|---|")
    for name, values in rows.items():
        low, middle, high = np.min(values), np.median(values), np.max(values)
        print(f"| {name:<36} | {low:.4g} | {middle:.4g} | {high:.4g} |")
    borders = [found for song in long for found in song.sections]
    elsewhere = np.mean([song.elsewhere for song in long])
    print(f"\nborders of sections with a peak of novelty {np.mean(borders):.2f}, any beat {elsewhere:.2f}")


def _print_genres(songs: Sequence[Heard], labels: Sequence[str], kind: str) -> None:
    colours = np.stack([song.colour for song in songs])
    guesses = guessed(colours, labels, [song.order.seed for song in songs])
    right = np.mean([a == b for a, b in zip(guesses, labels, strict=True)])
    most = max(Counter(labels).values()) / len(labels)
    print(f"\n{kind} by colour alone: {right:.2f} right; always the commonest: {most:.2f}")
    for label in dict.fromkeys(labels):
        taken = Counter(g for g, true in zip(guesses, labels, strict=True) if true == label)
        print(f"  {label:<14} {', '.join(f'{name} {count}' for name, count in taken.most_common())}")


if __name__ == "__main__":
    main()
