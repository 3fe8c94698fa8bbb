"""How fast the sketch engine is: `python -m bench.music_sketch [--seconds 60]`, one line for each genre.

First audio and speed against real time, with and without encoding, on one thread.
"""

import argparse
import statistics
import time

from services.music.engine import Audio, RenderRequest
from services.music.production import AudioBytes, SongJob, produce
from services.music.registry import EngineChoice, open_engine
from services.music.sketch.genres import genres


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.music_sketch", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    engine = open_engine(EngineChoice("sketch"))
    print(f"{'genre':<16}{'first audio s':>14}{'rendered ×':>12}{'as MP3 and FLAC ×':>19}")
    firsts, speeds = [], []
    for genre in genres():
        request = RenderRequest(
            prompt=genre, lyrics=(), language="", duration_s=arguments.seconds, seed=arguments.seed
        )
        began = time.perf_counter()
        samples = sum(len(e.pcm) for e in engine.render(request, lambda: False) if isinstance(e, Audio))
        assert samples == request.samples
        rendered_s = time.perf_counter() - began

        job = SongJob(request=request, song_id="bench", title="", reveal_prompt=False, audio_format="mp3")
        began, first_s = time.perf_counter(), 0.0
        for output in produce(engine, job, lambda: False):
            if isinstance(output, AudioBytes) and not first_s:
                first_s = time.perf_counter() - began
        whole_s = time.perf_counter() - began
        firsts.append(first_s)
        speeds.append(arguments.seconds / whole_s)
        print(f"{genre:<16}{first_s:>14.2f}{arguments.seconds / rendered_s:>12.1f}{speeds[-1]:>19.1f}")
    print(f"{'median':<16}{statistics.median(firsts):>14.2f}{'':>12}{statistics.median(speeds):>19.1f}")
    print(f"{'worst':<16}{max(firsts):>14.2f}{'':>12}{min(speeds):>19.1f}")


if __name__ == "__main__":
    main()
