"""Commands about songs that are there: list, show, family, rename, share, download and the like."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from acesteps.cli.making import file_name
from acesteps.cli.screen import as_dict, facts_of, when
from acesteps.cli.session import CommandFailed, Session
from acesteps.gateway.v1 import gateway_service_pb2 as pb
from acesteps.orders import state_of


def list_songs(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        songs = client.list(
            states=asked.state,
            query=asked.query,
            favourite=True if asked.favourite else None,
            hidden=asked.hidden,
            minted=True if asked.minted else None,
            page_size=min(asked.limit, 100),
        )
        found = list(islice(songs, asked.limit))
    if session.screen.as_json:
        for song in found:
            session.screen.data(song)
        return
    rows = [
        (song.id, when(song.create_time), state_of(song), f"{song.duration_s:g} s", _title(song))
        for song in found
    ]
    session.screen.table(("id", "when", "state", "length", "title"), rows)


def show(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        song = client.get(asked.song_id)
    _tell(session, song)
    if not session.screen.as_json and song.HasField("lyrics"):
        session.screen.line("")
        for section in song.lyrics.sections:
            session.screen.section(section)


def family(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        found = client.family(asked.song_id)
    if session.screen.as_json:
        session.screen.data(found)
        return
    for depth, member in _tree(found.members):
        what = "deleted" if member.deleted else f"{state_of(member)}  {member.title}"
        mark = "  <- this one" if member.song_id == asked.song_id else ""
        task = f"{member.task}  " if member.source_song_id and member.task else ""
        session.screen.line(f"{'  ' * depth}{member.song_id}  {task}{what}{mark}")
    if found.truncated:
        session.screen.note("there are more than these")


def _tree(members: Sequence[pb.FamilyMember]) -> Iterator[tuple[int, pb.FamilyMember]]:
    """Every member with its depth, each behind its source; one whose source is not here begins a tree."""
    known = {member.song_id for member in members}
    made_from: dict[str, list[pb.FamilyMember]] = {}
    for member in members:
        source = member.source_song_id if member.source_song_id in known else ""
        made_from.setdefault(source, []).append(member)
    waiting = [(0, member) for member in reversed(made_from.get("", []))]
    while waiting:
        depth, member = waiting.pop()
        yield depth, member
        waiting += [(depth + 1, child) for child in reversed(made_from.get(member.song_id, []))]


def retry(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        _tell(session, client.retry(asked.song_id))


def cancel(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        _tell(session, client.cancel(asked.song_id))


def rename(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        _tell(session, client.update(asked.song_id, title=asked.title))


def favourite(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        _tell(session, client.update(asked.song_id, favourite=not asked.off))


def hide(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        _tell(session, client.update(asked.song_id, hidden=not asked.off))


def delete(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        if not asked.yes:
            song = client.get(asked.song_id)
            confirm(f"Delete {song.title or song.id} for good?")
        client.delete(asked.song_id)
    if session.screen.as_json:
        session.screen.data({"deleted": asked.song_id})
    else:
        session.screen.line(f"{asked.song_id} is deleted")


def share(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        if asked.off:
            _tell(session, client.unshare(asked.song_id))
            return
        shared = client.share(asked.song_id)
    if session.screen.as_json:
        session.screen.data(shared)
    else:
        session.screen.line(shared.url)


def download(session: Session, asked: Namespace) -> None:
    with session.client() as client:
        song = client.get(asked.song_id)
        path = Path(asked.out or ".")
        if path.is_dir():
            path /= file_name(song, asked.format)
        with session.screen.progress() as bars:
            bars.show(song)
            file = client.download(
                song.id, path, audio_format=asked.format, on_piece=lambda piece: bars.received(song.id, piece)
            )
    told = {"path": str(file.path), "bytes": file.size_bytes, "sha256": file.sha256}
    if session.screen.as_json:
        session.screen.data({"song_id": song.id, **told})
    else:
        session.screen.facts([(name, str(value)) for name, value in told.items()])


def timeline(session: Session, asked: Namespace) -> None:
    """To a file, or to stdout as it is."""
    with session.client() as client:
        if asked.format == "json":
            data = json.dumps(as_dict(client.timeline(asked.song_id))).encode() + b"\n"
        else:
            data = client.timeline_file(asked.song_id, file_format=asked.format, words=asked.words)
        path = Path(asked.out)
        if asked.out and path.is_dir():
            path /= file_name(client.get(asked.song_id), "mid" if asked.format == "midi" else asked.format)
    if not asked.out:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path.write_bytes(data)
    if session.screen.as_json:
        session.screen.data({"song_id": asked.song_id, "path": str(path), "bytes": len(data)})
    else:
        session.screen.facts([("path", str(path)), ("bytes", str(len(data)))])


def confirm(question: str) -> None:
    """Raises CommandFailed unless a person says yes."""
    if not sys.stdin.isatty():
        raise CommandFailed(f"{question} Nobody is here to say so: give --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandFailed("nothing was done")


def _tell(session: Session, song: pb.Song) -> None:
    if session.screen.as_json:
        session.screen.data(song)
    else:
        session.screen.facts(facts_of(song))


def _title(song: pb.Song) -> str:
    return f"{'* ' if song.favourite else ''}{song.title or song.prompt}"
