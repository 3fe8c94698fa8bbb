"""What an edit may ask of its source: lengths beyond what tests have the time to render."""

import pytest

from acesteps.lyrics.v1 import lyrics_service_pb2 as lyrics_pb
from acesteps.music.v1 import music_service_pb2 as pb
from services.common.errors import InvalidField
from services.music.edit_spec import of_source, read_edit
from services.music.spec import SongOrder, read_spec
from tests.music.pod import spec
from tests.signer.attested import statement

WORDS = {"sections": [{"tag": lyrics_pb.SECTION_TAG_VERSE, "lines": [{"text": "la"}]}]}


def ordered(source_s: float, **fields: object) -> SongOrder:
    asked = spec(**{"duration_s": 0.0, **fields})
    return of_source(read_spec(asked, read_edit(asked)), statement(duration_s=source_s))


@pytest.mark.parametrize(
    ("source_s", "fields", "expected_s"),
    [
        (240.0, {"variation": {}}, 240.0),
        (600.0, {"repaint": {"start_s": 360, "end_s": 600}}, 600.0),
        (240.0, {"lyric_edit": {"mode": pb.LyricEdit.MODE_REMIX}, "lyrics": WORDS}, 240.0),
        (360.0, {"extend": {"left_s": 120, "right_s": 120}}, 600.0),
        (5.0, {"extend": {"right_s": 235}, "duration_s": 240.0}, 240.0),
        (5.00001, {"variation": {}, "duration_s": 5.0}, 5.0),
    ],
)
def test_the_longest_edits_are_taken_and_have_their_length_from_the_source(
    source_s: float, fields: dict[str, object], expected_s: float
) -> None:
    order = ordered(source_s, **fields)
    assert order.job.request.duration_s == pytest.approx(expected_s)
    assert order.source_audio_sha256
    assert order.job.source_pcm_sha256


@pytest.mark.parametrize(
    ("source_s", "fields", "field", "limit"),
    [
        (240.01, {"variation": {}}, "spec.variation", "240 seconds"),
        (240.01, {"lyric_edit": {"mode": 1}, "lyrics": WORDS}, "spec.lyric_edit", "240 seconds"),
        (600.0, {"repaint": {"start_s": 0, "end_s": 240.01}}, "spec.repaint.end_s", "240 seconds"),
        (599.0, {"repaint": {"start_s": 598, "end_s": 600}}, "spec.repaint.end_s", "599 seconds"),
        (599.0, {"extend": {"left_s": 0.5, "right_s": 0.6}}, "spec.extend", "600 seconds in all"),
        (60.0, {"repaint": {"start_s": 1, "end_s": 2}, "duration_s": 59.0}, "spec.duration_s", "0, or 60 s"),
    ],
)
def test_an_edit_too_long_for_its_source_is_refused_by_field_and_limit(
    source_s: float, fields: dict[str, object], field: str, limit: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        ordered(source_s, **fields)
    assert (caught.value.reason, caught.value.field) == ("OUT_OF_RANGE", field)
    assert limit in caught.value.limit


def test_the_digest_of_a_request_tells_edits_and_sources_apart() -> None:
    fields = {"song_id": "00000000-0000-4000-8000-00000000000c", "seed": 1}
    source, other = statement(duration_s=30.0), statement(duration_s=30.0)
    digests = set()
    for edit in ({"variation": {}}, {"variation": {"variance": 0.4}}, {"extend": {"left_s": 1}}):
        asked = spec(duration_s=0.0, **fields, **edit)
        order = read_spec(asked, read_edit(asked))
        digests |= {of_source(order, source).request_digest, of_source(order, other).request_digest}
    assert len(digests) == 6
