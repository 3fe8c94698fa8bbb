"""The engine `sketch`: from nothing or from a song that is there to takes, and those bar by bar to sound.

Memory does not grow with the song. Knows the order of work; the music is in the modules beside it.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np

from services.common.provenance import version_digest
from services.music.edit import EDIT_TASKS
from services.music.engine import (
    CHANNELS,
    SAMPLE_RATE_HZ,
    TEXT_TO_MUSIC,
    Audio,
    EngineInfo,
    Event,
    Finished,
    Pcm,
    Progress,
    Reading,
    RenderCancelled,
    RenderRequest,
    Started,
)
from services.music.sketch.editing import edited
from services.music.sketch.plan import make_plan
from services.music.sketch.playing import Playing
from services.music.sketch.state import source_song, state_of
from services.music.sketch.takes import Song, Take
from services.music.sketch.timeline import timeline_of
from services.music.splice import Splice

# Part of every attestation, as the weights digest: change it with anything that changes a sample, or a state.
VERSION = "2.0.0"


class SketchEngine:
    info = EngineInfo(
        "sketch",
        VERSION,
        ai=False,
        weights_digest=version_digest(VERSION),
        tasks=(TEXT_TO_MUSIC, *EDIT_TASKS),
    )

    def warm_up(self) -> None:
        """Load tables and code paths, so that the first song starts as fast as the second."""
        request = RenderRequest(prompt="", lyrics=(), language="", duration_s=5.0, seed=0)
        for _ in self.render(request, lambda: False):
            pass

    def memory(self) -> None:
        """It uses none but the machine's own."""

    def render(self, request: RenderRequest, cancelled: Callable[[], bool]) -> Iterator[Event]:
        if request.edit is None or request.source is None:
            song, splice = _from_nothing(request)
        else:
            todo = edited(request, source_song(request.source, VERSION))
            song, splice = todo.song, Splice(request.source.pcm, todo.offset, todo.song.samples, todo.new)
        if song.samples != request.samples:
            raise AssertionError(f"takes of {song.samples} samples for {request.samples}")
        yield Started(request.samples)
        yield Progress("composing", 0, 1)
        playing = Playing(song)
        yield Progress("composing", 1, 1)
        yield from _sounded(playing, splice, cancelled)
        plan = playing.arrangements[0][1].throughout
        reading = plan.reading
        yield Finished(
            state_of(playing, VERSION),
            Reading(
                genre=reading.genre.name,
                mood=reading.mood,
                tempo_bpm=round(plan.form.clock.tempo_bpm, 3),
                key=str(reading.key),
                instruments=reading.instruments,
                meter=reading.meter.name,
            ),
            timeline_of(playing.arrangements, request.lyrics),
        )


def _from_nothing(request: RenderRequest) -> tuple[Song, Splice]:
    plan = make_plan(request.prompt, request.lyrics, request.samples, request.seed, request.stated)
    song = Song(request.seed, plan.reading, (Take(request.seed, plan.reading, plan.form),))
    nothing = np.empty((0, CHANNELS), np.int16)
    return song, Splice(nothing, 0, song.samples, (range(song.samples),))


def _sounded(playing: Playing, splice: Splice, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """The source's samples where they are kept, between them what is played."""
    pieces = list(splice.pieces())
    blocks = [n for piece in pieces if not piece.kept for n in playing.blocks(piece.start, piece.stop)]
    left, done, worked_s = sum(blocks), 0, 0.0
    yield Progress("rendering", 0, len(blocks))
    for piece in pieces:
        at = piece.start
        if piece.kept:
            yield from map(Audio, _kept(splice.kept(piece), cancelled))
            continue
        stretch = playing.played(piece.start, piece.stop)
        while True:
            if cancelled():
                raise RenderCancelled
            began = time.monotonic()
            if (block := next(stretch, None)) is None:
                break
            worked_s += time.monotonic() - began  # without the time that the listener takes
            if len(block.pcm):
                yield Audio(splice.joined(block.pcm, at, piece))
                at += len(block.pcm)
            done, left = done + 1, left - block.samples
            # by samples, not bars: the ending is longer or shorter than a bar
            eta_s = worked_s * left / max(sum(blocks) - left, 1)
            yield Progress("rendering", done, len(blocks), eta_s)


def _kept(pcm: Pcm, cancelled: Callable[[], bool]) -> Iterator[Pcm]:
    for at in range(0, len(pcm), SAMPLE_RATE_HZ):
        if cancelled():
            raise RenderCancelled
        yield pcm[at : at + SAMPLE_RATE_HZ]
