"""The conformance command on the recorded outputs of the released code, and on outputs that are not."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from services.music.acestep.lyrics.lines import LyricLine
from services.music.acestep.lyrics.tokenizer import LyricTokenizer
from services.music.conformance.__main__ import AGREES, CANNOT_RUN, DISAGREES, main
from tests.music_acestep.lyric_vocabulary import write_lyric_vocabulary
from tests.music_acestep.tiny_checkpoint import tiny_checkpoint_folder

GOLDENS = Path(__file__).parents[1] / "goldens" / "ace_step_v1"


def test_every_case_and_module_agrees_with_the_released_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(GOLDENS / "goldens")]) == AGREES
    table = capsys.readouterr().out
    assert table.count("latents/") == 16
    assert "41 compared, 0 out of tolerance" in table


def test_so_do_other_sizes_seeds_words_steps_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(GOLDENS / "other_sizes")]) == AGREES
    assert "17 compared, 0 out of tolerance" in capsys.readouterr().out


@pytest.fixture
def one_case(tmp_path: Path) -> Path:
    """The prefix of a goldens file with one case of one step."""
    recorded = json.loads((GOLDENS / "other_sizes.json").read_text())
    recorded["cases"] = {"one_step": recorded["cases"]["one_step"]}
    (tmp_path / "one.json").write_text(json.dumps(recorded))
    latents = load_file(GOLDENS / "other_sizes.safetensors")["latents/one_step"]
    save_file({"latents/one_step": latents}, tmp_path / "one.safetensors")
    return tmp_path / "one"


def test_a_case_out_of_tolerance_fails_by_name(one_case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(one_case)]) == AGREES
    file = one_case.with_suffix(".safetensors")
    save_file({name: tensor * 1.001 for name, tensor in load_file(file).items()}, file)
    capsys.readouterr()
    assert main([str(one_case)]) == DISAGREES
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("latents/one_step")]
    assert "OUT" in row


def test_a_given_checkpoint_is_used_instead_of_a_built_one(one_case: Path) -> None:
    assert (
        main([str(one_case), "--checkpoint", str(tiny_checkpoint_folder(seed=5, heads=3, layers=26))])
        == AGREES
    )
    assert main([str(one_case), "--checkpoint", str(tiny_checkpoint_folder())]) == DISAGREES


def test_tensors_may_lie_in_several_files_and_one_that_nothing_answers_for_fails(
    one_case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({"vocoder/unknown": torch.zeros(1)}, one_case.with_suffix(".more.safetensors"))
    assert main([str(one_case)]) == DISAGREES
    assert "nothing of ours answers for it" in capsys.readouterr().out


def test_a_case_without_its_latents_or_with_refused_arguments_fails(
    one_case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = one_case.with_suffix(".json")
    recorded = json.loads(file.read_text())
    recorded["cases"]["missing"] = recorded["cases"]["one_step"]
    recorded["cases"]["one_step"] = recorded["cases"]["one_step"] | {"scheduler": "ddim"}
    file.write_text(json.dumps(recorded))
    assert main([str(one_case)]) == DISAGREES
    table = capsys.readouterr().out
    assert "no golden latents" in table
    assert "'ddim' is unknown" in table


@pytest.mark.parametrize(
    ("name", "content"), [("one.json", "{}"), ("one.json", "nonsense"), ("one.safetensors", "nonsense")]
)
def test_files_that_are_no_goldens_are_named(
    one_case: Path, name: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (one_case.parent / name).write_text(content)
    assert main([str(one_case)]) == CANNOT_RUN
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert name in error


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ({"checkpoint": {"seed": "x"}, "cases": {}}, "seed"),
        ({"checkpoint": {"heads": 0}, "cases": {}}, "heads"),
        ({"checkpoint": {"width": 4}, "cases": {}}, "width"),
        ({"cases": {"one": {"task": "edit"}}}, "prompt"),
    ],
)
def test_cases_and_checkpoints_of_another_kind_are_named(
    one_case: Path, recorded: object, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one_case.with_suffix(".json").write_text(json.dumps(recorded))
    assert main([str(one_case)]) == CANNOT_RUN
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_goldens_of_nothing_do_not_agree(one_case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one_case.with_suffix(".json").write_text('{"cases": {}}')
    save_file({}, one_case.with_suffix(".safetensors"))
    assert main([str(one_case)]) == CANNOT_RUN
    assert "nothing to compare" in capsys.readouterr().err


def test_goldens_of_another_checkpoint_disagree_to_the_last_row(
    one_case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden = {
        "transformer/encoder_hidden": torch.zeros(1, 3, 8),
        "transformer/encoder_mask": torch.ones(1, 3),
    }
    inputs = {"transformer/input": torch.zeros(1, 8, 16, 4), "transformer/timestep": torch.ones(1)}
    output = {"transformer/output": torch.zeros(1, 8, 16, 4)}
    save_file(hidden | inputs | output, one_case.with_suffix(".other.safetensors"))
    assert main([str(one_case)]) == DISAGREES
    assert "out of tolerance" in capsys.readouterr().out


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_a_device_that_is_not_there_is_said(
    one_case: Path, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([str(one_case), "--device", device])
    assert exit_.value.code == CANNOT_RUN
    assert device in capsys.readouterr().err


def test_a_missing_file_or_checkpoint_is_named(
    one_case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none")]) == CANNOT_RUN
    assert "none.json" in capsys.readouterr().err
    assert main([str(one_case), "--checkpoint", str(tmp_path / "nowhere")]) == CANNOT_RUN
    assert "nowhere" in capsys.readouterr().err


def test_lyric_ids_are_compared_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vocabulary = write_lyric_vocabulary(tmp_path / "vocab.json")
    ids = LyricTokenizer.load(vocabulary).released_ids([LyricLine("hold on", "en")])
    record = tmp_path / "record.json"
    arguments = ["--lyric-tokens", str(record), "--vocab", str(vocabulary)]
    record.write_text(json.dumps({"en": [{"lyrics": "hold on", "ids": ids, "languages": ["en"]}]}))
    assert main(arguments) == AGREES
    record.write_text(json.dumps({"en": [{"lyrics": "hold off", "ids": ids, "languages": ["en"]}]}))
    assert main(arguments) == DISAGREES
    assert "en/0" in capsys.readouterr().out
    vocabulary.unlink()
    assert main(arguments) == CANNOT_RUN


def test_lyric_tokens_need_their_vocabulary() -> None:
    with pytest.raises(SystemExit):
        main(["--lyric-tokens", str(GOLDENS / "lyric_tokens.json")])
    with pytest.raises(SystemExit):
        main([])
