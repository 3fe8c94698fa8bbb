"""The tiny random checkpoint, made once per run and shared by everything that only reads it."""

import tempfile
from functools import cache
from pathlib import Path

from services.music.acestep import tiny_checkpoint


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="acestep-tiny-")  # removed when the interpreter ends


@cache
def tiny_checkpoint_folder(*, seed: int = 0, heads: int = 2, layers: int = 24) -> Path:
    """A checkpoint of the goldens' recipe. Read it, do not change it: copy it first."""
    folder = Path(_kept().name) / f"seed{seed}-heads{heads}-layers{layers}"
    return tiny_checkpoint.write(folder, seed=seed, heads=heads, layers=layers)
