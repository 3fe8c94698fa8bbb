"""The lyric edit: from the source's words to the target's."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from services.common.errors import InvalidField
from services.music.acestep.branches import edit_branches, hear
from services.music.acestep.edits import WINDOW_FRAMES
from services.music.acestep.flow_edit import LYRIC_EDITS, LyricEdit, edit_lyrics
from services.music.acestep.noise import NoiseSource
from services.music.acestep.options import SamplingOptions
from services.music.acestep.sampling import OnStep, unheard
from services.music.acestep.text_encoder import TextEncoder
from services.music.acestep.transformer import Transformer
from services.music.sampling import Scheduler

FRAMES = 20
OLD, NEW = ("jazz", (261, 17, 52, 2)), ("jazz", (261, 1700, 5200, 33, 44, 2))
UNGUIDED = SamplingOptions(steps=5, guidance_scale=1.0)

Song = tuple[str, tuple[int, ...]]


@pytest.fixture(scope="module")
def source() -> Tensor:
    return NoiseSource([99]).draw(FRAMES)


class Editor:
    def __init__(self, model: Transformer, encoder: TextEncoder) -> None:
        self.model, self.encoder = model, encoder

    def __call__(
        self,
        source: Tensor,
        old: Sequence[Song],
        new: Sequence[Song],
        edit: LyricEdit,
        options: SamplingOptions = UNGUIDED,
        seeds: Sequence[int] = (1,),
        on_step: OnStep = unheard,
    ) -> Tensor:
        words = [[hear(self.encoder, p, ids, options) for p, ids in songs] for songs in (old, new)]
        branches = edit_branches(self.model, words[0], words[1], options)
        return edit_lyrics(
            self.model, branches, source, edit, options, noise=NoiseSource(seeds), on_step=on_step
        )


@pytest.fixture(scope="module")
def edited(tiny_transformer: Transformer, tiny_text_encoder: TextEncoder) -> Editor:
    return Editor(tiny_transformer, tiny_text_encoder)


def test_the_same_words_leave_the_song_as_it_is(edited: Editor, source: Tensor) -> None:
    torch.testing.assert_close(edited(source, [OLD], [OLD], LyricEdit()), source, rtol=1e-4, atol=1e-4)


def test_other_words_change_it_the_more_steps_carry_over(edited: Editor, source: Tensor) -> None:
    late, early = (
        float((edited(source, [OLD], [NEW], LyricEdit(start=start)) - source).norm()) for start in (0.8, 0.0)
    )
    assert 0 < late < early


def test_an_edit_without_a_step_is_the_source(edited: Editor, source: Tensor) -> None:
    assert torch.equal(edited(source, [OLD], [NEW], LyricEdit(start=1.0)), source)


@pytest.mark.parametrize("edit", LYRIC_EDITS.values(), ids=LYRIC_EDITS.keys())
def test_every_step_of_an_edit_is_told(edited: Editor, source: Tensor, edit: LyricEdit) -> None:
    told: list[tuple[int, int]] = []
    options = SamplingOptions(steps=10)

    def listen(done: int, steps: int, clean: Tensor) -> None:
        told.append((done, steps))
        assert clean.shape == source.shape

    edited(source, [OLD], [NEW], edit, options, on_step=listen)
    steps = 10 - int(10 * edit.start)
    assert told == [(done, steps) for done in range(1, steps + 1)]


@pytest.mark.parametrize("edit", LYRIC_EDITS.values(), ids=LYRIC_EDITS.keys())
def test_a_step_tells_what_the_edited_song_will_be(edited: Editor, source: Tensor, edit: LyricEdit) -> None:
    foreseen: list[Tensor] = []
    options = SamplingOptions(steps=10, guidance_scale=5.0)
    song = edited(source, [OLD], [NEW], edit, options, on_step=lambda _, __, clean: foreseen.append(clean))
    torch.testing.assert_close(foreseen[-1], song)
    first, middle = (float((foreseen[at] - song).norm()) for at in (0, len(foreseen) // 2 - 1))
    assert middle < first
    assert middle < float((source - song).norm())


def test_what_on_step_raises_ends_the_edit(edited: Editor, source: Tensor) -> None:
    def cancel(done: int, steps: int, clean: Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edited(source, [OLD], [NEW], LyricEdit(), on_step=cancel)


@pytest.mark.parametrize("scheduler", ["heun", "pingpong"])
def test_the_songs_scheduler_does_not_matter(edited: Editor, source: Tensor, scheduler: Scheduler) -> None:
    edit = LyricEdit(start=0.2, stop=0.6)
    other = SamplingOptions(steps=5, guidance_scale=1.0, scheduler=scheduler)
    assert torch.equal(edited(source, [OLD], [NEW], edit), edited(source, [OLD], [NEW], edit, other))


def test_an_edited_item_of_a_batch_is_the_item_alone(edited: Editor) -> None:
    options = SamplingOptions(steps=5, guidance_scale=5.0)
    sources = NoiseSource([7, 8]).draw(FRAMES)
    old, new = [OLD, ("a slow rock ballad", ())], [NEW, ("techno", (261, 8, 2))]
    edit = LyricEdit(start=0.2, stop=0.6, averaged=2)
    both = edited(sources, old, new, edit, options, [1, 2])
    for i in range(2):
        alone = edited(sources[i : i + 1], old[i : i + 1], new[i : i + 1], edit, options, [i + 1])
        assert (both[i : i + 1] - alone).norm() < 1e-4 * alone.norm()


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("edit_n_min", {"start": -0.1}),
        ("edit_n_max", {"start": 0.5, "stop": 0.4}),
        ("edit_n_max", {"stop": 1.1}),
        ("edit_n_avg", {"averaged": 0}),
        ("edit_n_avg", {"averaged": 9}),
    ],
)
def test_an_edit_out_of_its_limits_is_named(field: str, arguments: dict[str, float]) -> None:
    with pytest.raises(InvalidField) as caught:
        LyricEdit(**arguments)  # one of the limits is an integer's
    assert (caught.value.field, caught.value.reason) == (field, "OUT_OF_RANGE")


def test_a_song_longer_than_the_window_is_refused(edited: Editor) -> None:
    with pytest.raises(InvalidField, match="latent frames") as caught:
        edited(torch.zeros(1, 8, 16, WINDOW_FRAMES + 1), [OLD], [NEW], LyricEdit())
    assert caught.value.reason == "TOO_LONG"
