"""The engine acestep without a service around it: pace, cancellation, memory, the state that it leaves."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from services.music.acestep.codec import SAMPLES_PER_LATENT
from services.music.acestep.engine import AceStepEngine, pcm16
from services.music.acestep.options import SamplingOptions
from services.music.acestep.sampling import OnStep
from services.music.acestep.schedule import step_costs
from services.music.acestep.state import SongState, StateError
from services.music.acestep.stepwise import stepwise
from services.music.acestep.windows import WindowPlan
from services.music.engine import (
    Audio,
    EngineCannotStart,
    Event,
    Finished,
    Progress,
    RenderCancelled,
    RenderRequest,
    Started,
)
from tests.music_acestep.tiny_checkpoint import tiny_weights

REQUEST = RenderRequest(prompt="calm piano", lyrics=(), language="", duration_s=5.0, seed=3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared tiny checkpoint and a vocabulary, by links."""
    folder = tiny_weights(tmp_path_factory.mktemp("weights"))
    return folder


@pytest.fixture(scope="module")
def engine(weights: Path) -> AceStepEngine:
    return AceStepEngine.load(weights, steps=4, device=torch.device("cpu"))


def never() -> bool:
    return False


def sampling_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "acestep-sampling"]


def test_events_come_in_order_and_blocks_add_up(engine: AceStepEngine) -> None:
    events = list(engine.render(REQUEST, never))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    progress = [(e.stage, e.step) for e in events if isinstance(e, Progress)]
    assert progress == [("composing", 0), ("composing", 1), *(("rendering", i) for i in range(5))]
    blocks = [e.pcm for e in events if isinstance(e, Audio)]
    assert sum(len(pcm) for pcm in blocks) == REQUEST.samples
    assert len(blocks[0]) == WindowPlan().first * SAMPLES_PER_LATENT < REQUEST.samples


@pytest.mark.parametrize("asked", [1, 2, 4, 6])
def test_a_song_is_cancelled_at_the_next_step_and_leaves_no_thread(engine: AceStepEngine, asked: int) -> None:
    answers = iter([False] * (asked - 1) + [True])
    events: list[Event] = []
    with pytest.raises(RenderCancelled):
        events.extend(engine.render(REQUEST, lambda: next(answers)))
    # asked after the conditioning, after each of four steps, after each block
    done = [e.step for e in events if isinstance(e, Progress) and e.stage == "rendering"]
    assert done == list(range(min(asked - 1, 5)))
    assert sum(isinstance(e, Audio) for e in events) == max(asked - 5, 0)
    assert not sampling_threads()


def test_a_listener_who_leaves_ends_the_sampling(engine: AceStepEngine) -> None:
    events = engine.render(REQUEST, never)
    while not (isinstance(event := next(events), Progress) and (event.stage, event.step) == ("rendering", 1)):
        pass
    assert len(sampling_threads()) == 1
    events.close()  # a generator, which the interface does not promise
    assert not sampling_threads()


def test_a_song_that_does_not_fit_is_a_memory_error_and_the_next_is_made(engine: AceStepEngine) -> None:
    with pytest.raises(MemoryError):
        list(engine.render(replace(REQUEST, duration_s=1e10), never))
    assert isinstance(list(engine.render(REQUEST, never))[-1], Finished)


def test_a_device_too_small_for_the_warm_up_is_a_start_error_of_one_line(
    engine: AceStepEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = replace(REQUEST, duration_s=1e9)
    monkeypatch.setattr("services.music.acestep.engine._WARM_UP", huge)
    with pytest.raises(EngineCannotStart, match="does not fit into the memory of cpu"):
        engine.warm_up()


def test_two_songs_at_once_are_those_made_alone(engine: AceStepEngine) -> None:
    requests = [REQUEST, replace(REQUEST, seed=4)]
    states: dict[int, bytes] = {}

    def make(request: RenderRequest) -> None:
        *_, end = engine.render(request, never)
        assert isinstance(end, Finished)
        states[request.seed] = end.state

    for request in requests:
        make(request)
    alone = dict(states)
    states.clear()
    threads = [threading.Thread(target=make, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == alone
    assert states[3] != states[4]


def test_the_version_says_how_many_steps_are_taken(engine: AceStepEngine) -> None:
    assert engine.info.version.endswith("+steps.4")


def test_a_vocabulary_of_more_pieces_than_the_model_has_is_refused(weights: Path, tmp_path: Path) -> None:
    for part in weights.iterdir():
        (tmp_path / part.name).symlink_to(part)
    vocabulary = tmp_path / "lyric_vocab.json"
    text = vocabulary.read_text()
    vocabulary.unlink()
    more = ", ".join(f'"word{i}": {10_000 + i}' for i in range(7_000))
    vocabulary.write_text(text.replace('"vocab": {', '"vocab": {' + more + ", "))
    with pytest.raises(EngineCannotStart, match=r"lyric_vocab.json .* the model knows 6693; run: python"):
        AceStepEngine.load(tmp_path, steps=4, device=torch.device("cpu"))


def test_samples_are_rounded_to_the_nearest_and_clipped() -> None:
    block = torch.tensor([[0.0, 1.0, -1.0, 0.4 / 32767, 0.6 / 32767], [2.0, -2.0, 0.5, -0.5, 1.5 / 32767]])
    expected = [[0, 32767], [32767, -32767], [-32767, 16384], [0, -16384], [1, 2]]
    assert pcm16(block).tolist() == expected
    assert pcm16(block).dtype == np.int16


@pytest.mark.parametrize(
    ("options", "costs"),
    [
        (SamplingOptions(steps=4), [1, 2, 2, 1]),
        (SamplingOptions(steps=4, scheduler="heun"), [2, 4, 4, 1]),
        (SamplingOptions(steps=3, guidance_scale=1.0), [1, 1, 1]),
        (SamplingOptions(steps=3, scheduler="heun", guidance_scale=0.0), [2, 2, 1]),
        (SamplingOptions(steps=4, scheduler="heun", guidance_interval=1.0), [4, 4, 4, 2]),
        (SamplingOptions(steps=4, guidance_interval=0.0), [1, 1, 1, 1]),
    ],
)
def test_a_guided_step_costs_as_much_as_it_has_branches(options: SamplingOptions, costs: list[int]) -> None:
    assert step_costs(options, 2) == costs


def counting(steps: int, end: Callable[[], str]) -> Callable[[OnStep], str]:
    def work(on_step: OnStep) -> str:
        for step in range(steps):
            on_step(step + 1, steps, torch.tensor(float(step)))
        return end()

    return work


def test_stepwise_yields_what_is_reported_and_returns_the_result() -> None:
    def heard() -> Iterator[object]:
        yield (yield from stepwise(counting(3, lambda: "end")))

    *steps, result = heard()
    assert [step[:2] for step in steps if isinstance(step, tuple)] == [(1, 3), (2, 3), (3, 3)]
    assert result == "end"


def test_stepwise_raises_what_the_work_raises() -> None:
    def fail() -> str:
        raise KeyError("no")

    with pytest.raises(KeyError, match="no"):
        list(stepwise(counting(2, fail)))


def test_a_state_comes_back_as_it_was_and_is_32_bytes_and_two_per_number() -> None:
    state = SongState.of(torch.randn(8, 16, 11), 10 * SAMPLES_PER_LATENT + 1)
    data = state.to_bytes()
    again = SongState.from_bytes(data)
    assert len(data) == 32 + 8 * 16 * 11 * 2
    assert torch.equal(again.latents, state.latents)
    assert again.samples == state.samples
    assert np.frombuffer(data[32:34], "<f2")[0] == state.latents[0, 0, 0].item()


def test_what_is_no_state_is_refused() -> None:
    data = SongState.of(torch.zeros(8, 16, 2), 2 * SAMPLES_PER_LATENT).to_bytes()
    longer = bytearray(data)
    longer[24 - 8] = 1  # samples
    for wrong in (b"", data[:-1], data + b"\0", b"sketch" + data[6:], bytes(longer)):
        with pytest.raises(StateError):
            SongState.from_bytes(wrong)
    with pytest.raises(StateError, match="finite"):
        SongState.of(torch.full((8, 16, 1), 1e9), 5)
