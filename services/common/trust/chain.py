"""How a song, what it was made from, and so on down to a song from nothing hang together.

Knows statements; whether each of them counts is said by `verification`.
"""

from collections.abc import Sequence

from services.common.provenance import SongStatement

# Tasks that make a song from nothing; every other task has a source.
SOURCELESS_TASKS = frozenset({"text2music"})
# With the song itself.
MAX_LINKS = 32


def chain_complaint(statements: Sequence[SongStatement]) -> str | None:
    """What is wrong with a chain, newest song first; None when every song names the next as its source."""
    if len(statements) > MAX_LINKS:
        return f"the chain has {len(statements)} links, more than {MAX_LINKS}"
    if len({statement.audio_sha256 for statement in statements}) != len(statements):
        return "the same audio is attested by two of the envelopes"
    for i, statement in enumerate(statements):
        source = statements[i + 1] if i + 1 < len(statements) else None
        if (statement.task in SOURCELESS_TASKS) != (statement.source_audio_sha256 is None):
            return f"envelope {i}: task {statement.task!r} and the presence of a source contradict each other"
        if statement.source_audio_sha256 is None and source is not None:
            return f"envelope {i}: a song without a source is followed by more envelopes"
        if statement.source_audio_sha256 is not None and source is None:
            return f"envelope {i}: the envelope of its source is missing"
        if source is not None and statement.source_audio_sha256 != source.audio_sha256:
            return f"envelope {i}: its source is another song than that of envelope {i + 1}"
    return None
