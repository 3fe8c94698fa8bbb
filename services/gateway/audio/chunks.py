"""The table of live audio, as listeners read it: one SQL statement for each way to read.

Knows nobody's rights: who may hear a song is asked before.
"""

from dataclasses import dataclass
from uuid import UUID

from services.gateway.database import Database
from services.gateway.models import Chunk, State


@dataclass(frozen=True)
class Hearing:
    """What there is to hear of a song, all at one moment."""

    state: State
    attempt: int
    media_type: str
    # Of the whole stream; 0 while not known.
    total_bytes: int
    # What was new: contiguous, in order.
    chunks: tuple[Chunk, ...] = ()


class Chunks:
    """Raises DatabaseUnavailable from every method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hear(self, song_id: UUID, attempt: int, end: int, at_most_bytes: int) -> Hearing | None:
        """The song now, and the audio of its attempt from byte `end` on; all of it, if that is not `attempt`.
        Of more than about `at_most_bytes`, the last, at least one chunk. None: there is no such song.
        """
        rows = await self._database.rows(
            "WITH song AS MATERIALIZED ("
            "  SELECT id, state, attempt, media_type, audio_bytes, stream_bytes,"
            "    greatest(CASE WHEN attempt = $2 THEN $3 ELSE 0 END, ("
            '      SELECT "offset" + least(0, length(data) - $4) FROM audio_chunks c'
            "      WHERE song_id = s.id AND c.attempt = s.attempt"
            '      ORDER BY "offset" DESC LIMIT 1)) AS first'
            "  FROM songs s WHERE id = $1 AND deleted_at IS NULL"
            ') SELECT s.state, s.attempt, s.media_type, s.audio_bytes, s.stream_bytes, c."offset", c.data'
            " FROM song s LEFT JOIN audio_chunks c ON s.state = 'RUNNING' AND c.song_id = s.id"
            '  AND c.attempt = s.attempt AND c."offset" >= s.first'
            ' ORDER BY c."offset"',
            song_id, attempt, end, at_most_bytes,
        )  # fmt: skip
        if not rows:
            return None
        song = rows[0]
        return Hearing(
            state=State(song["state"]),
            attempt=song["attempt"],
            media_type=song["media_type"],
            total_bytes=song["audio_bytes"] or song["stream_bytes"],
            chunks=tuple(Chunk(row["offset"], row["data"]) for row in rows if row["data"] is not None),
        )

    async def piece(self, song_id: UUID, attempt: int, start: int, end: int) -> Chunk:
        """What is stored of bytes [start, end) of an attempt's audio, from `start` on."""
        rows = await self._database.rows(
            'SELECT "offset", data FROM audio_chunks'
            ' WHERE song_id = $1 AND attempt = $2 AND "offset" < $4 AND "offset" >= coalesce('
            '   (SELECT max("offset") FROM audio_chunks'
            '    WHERE song_id = $1 AND attempt = $2 AND "offset" <= $3), $4)'
            ' ORDER BY "offset"',
            song_id, attempt, start, end,
        )  # fmt: skip
        stored = b"".join(row["data"] for row in rows)
        skip = start - rows[0]["offset"] if rows else 0
        return Chunk(start, stored[skip : skip + end - start])
