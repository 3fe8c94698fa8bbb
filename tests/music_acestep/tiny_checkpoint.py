"""The tiny random checkpoint, made once per run and shared by everything that only reads it."""

import tempfile
from functools import cache
from pathlib import Path

from services.music.acestep import tiny_checkpoint
from tests.music_acestep.lyric_vocabulary import write_lyric_vocabulary


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="acestep-tiny-")  # removed when the interpreter ends


@cache
def tiny_checkpoint_folder(*, seed: int = 0, heads: int = 2, layers: int = 24) -> Path:
    """A checkpoint of the goldens' recipe. Read it, do not change it: copy it first."""
    folder = Path(_kept().name) / f"seed{seed}-heads{heads}-layers{layers}"
    return tiny_checkpoint.write(folder, seed=seed, heads=heads, layers=layers)


def tiny_weights(folder: Path) -> Path:
    """`folder` with the same checkpoint, by links, and a lyric vocabulary: all that a pod needs."""
    folder.mkdir(exist_ok=True)
    for part in tiny_checkpoint_folder().iterdir():
        (folder / part.name).symlink_to(part)
    write_lyric_vocabulary(folder / "lyric_vocab.json")
    return folder
