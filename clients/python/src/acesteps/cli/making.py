"""Commands that make songs and wait for them: make, vary, repaint, extend, reword, watch."""

import asyncio
import re
from argparse import Namespace
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from acesteps.aio.client import AsyncClient
from acesteps.cli.screen import Bars, as_dict, facts_of
from acesteps.cli.session import Interrupted, Session, text_of
from acesteps.files import Downloaded
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.music.v1 import music_service_pb2 as music_pb
from acesteps.orders import Edit, SongFields


def make(session: Session, asked: Namespace) -> None:
    fields = SongFields(
        title=asked.title,
        lyrics=text_of(asked.lyrics) if asked.lyrics else "",
        language=asked.language,
        instrumental=asked.instrumental,
        duration_s=asked.duration,
        seed=asked.seed,
        creator_address=asked.creator,
        reveal_prompt=asked.reveal_prompt,
    )
    _order(session, asked, asked.prompt, fields)


def vary(session: Session, asked: Namespace) -> None:
    _edit(session, asked, music_pb.Variation(variance=asked.variance))


def repaint(session: Session, asked: Namespace) -> None:
    edit = music_pb.Repaint(start_s=asked.start_s, end_s=asked.end_s, variance=asked.variance)
    _edit(session, asked, edit)


def extend(session: Session, asked: Namespace) -> None:
    _edit(session, asked, music_pb.Extend(left_s=asked.left, right_s=asked.right))


def reword(session: Session, asked: Namespace) -> None:
    mode = music_pb.LyricEdit.MODE_REMIX if asked.remix else music_pb.LyricEdit.MODE_ONLY_LYRICS
    _edit(session, asked, music_pb.LyricEdit(mode=mode), lyrics=text_of(asked.lyrics))


def watch(session: Session, asked: Namespace) -> None:
    async def follow() -> pb.Song:
        async with session.aio_client() as client:
            with session.screen.progress() as bars:

                def show(song: pb.Song) -> None:
                    bars.show(song)
                    if session.screen.as_json:
                        session.screen.data(song)

                return await client.finish(asked.song_id, on_change=show)

    song = _run(follow(), [asked.song_id])
    if not session.screen.as_json:
        session.screen.facts(facts_of(song))


def _edit(session: Session, asked: Namespace, edit: Edit, lyrics: str = "") -> None:
    fields = SongFields(
        source_song_id=asked.song_id, edit=edit, lyrics=lyrics, title=asked.title, seed=asked.seed
    )
    _order(session, asked, asked.prompt, fields)


def _order(session: Session, asked: Namespace, prompt: str, fields: SongFields) -> None:
    with session.client() as client:
        if asked.variations > 1:
            batch = client.create_batch([prompt] if prompt else [], variations=asked.variations, **fields)
            songs = list(batch.batch.songs)
            findings = [finding for one in batch.findings for finding in one.findings]
        else:
            created = client.create(prompt, **fields)
            songs, findings = [created.song], list(created.findings)
    for finding in findings:
        session.screen.note(f"advice: {finding.message}")
    if asked.no_wait:
        for song in songs:
            if session.screen.as_json:
                session.screen.data(song)
            else:
                session.screen.line(song.id)
        return
    _run(_wait(session, songs, asked.out), [song.id for song in songs])


async def _wait(session: Session, songs: Sequence[pb.Song], out: str) -> None:
    """Write every song's MP3 while it is made. Raises what the first that failed has failed with."""
    async with session.aio_client() as client:
        with session.screen.progress() as bars:
            waits = [_take(client, bars, song, _place(out, song, several=len(songs) > 1)) for song in songs]
            results = await asyncio.gather(*waits, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    for result in results:
        if not isinstance(result, BaseException):
            _report(session, *result)
    if failures:
        for failure in failures[1:]:
            session.screen.note(f"acesteps: {failure}")
        raise failures[0]


async def _take(client: AsyncClient, bars: Bars, song: pb.Song, path: Path) -> tuple[pb.Song, Downloaded]:
    downloading = asyncio.create_task(client.download(song.id, path))
    try:
        song = await client.finish(song.id, on_change=bars.show)
        return song, await downloading
    finally:
        downloading.cancel()
        await asyncio.gather(downloading, return_exceptions=True)


def _report(session: Session, song: pb.Song, file: Downloaded) -> None:
    if session.screen.as_json:
        session.screen.data({"song": as_dict(song), "path": str(file.path), "sha256": file.sha256})
    else:
        session.screen.facts([("file", str(file.path)), *facts_of(song)])


def _place(out: str, song: pb.Song, *, several: bool) -> Path:
    """Where a song goes: the file or the folder that was named, else the working folder."""
    named = Path(out)
    if out and not named.is_dir() and not several and not out.endswith(("/", "\\")):
        named.parent.mkdir(parents=True, exist_ok=True)
        return named
    named.mkdir(parents=True, exist_ok=True)
    return named / file_name(song, "mp3")


def file_name(song: pb.Song, suffix: str) -> str:
    words = re.findall(r"[a-z0-9]+", (song.title or song.prompt).lower())
    return f"{'-'.join([*words[:5], song.id[:8]])}.{suffix}"


def _run(work: Coroutine[Any, Any, Any], song_ids: Sequence[str]) -> Any:
    """Ctrl-C ends the waiting, not the songs."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        (first, *others) = song_ids
        what = f"{len(song_ids)} songs are" if others else "the song is"
        raise Interrupted(
            f"{what} still being made; go on with: acesteps watch {first}, acesteps download {first}, or end"
            f" with: acesteps cancel {first}" + "".join(f"; the same for {song_id}" for song_id in others)
        ) from None
