"""The weights of Llama-Song-Stream-3B-Instruct: which files belong to them, and where they come from.

Knows names and the revision; fetching and checking is common. `python -m services.lyrics.weights --help`.
"""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

from services.common.weights import Release, WeightFile, WeightsError, main

# The main branch holds pickles, which are code; this one holds the same tensors as safetensors.
COMMIT = "aea95f1"
MODEL_URL = "https://huggingface.co/prithivMLmods/Llama-Song-Stream-3B-Instruct/resolve/refs%2Fpr%2F1"
INDEX_FILE = "model.safetensors.index.json"
WHOLE_FILE = "model.safetensors"
_SETTINGS = ("config.json", "tokenizer_config.json", "tokenizer.json")
_SHARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\.safetensors")


def _model(path: str) -> WeightFile:
    return WeightFile(PurePosixPath(path), f"{MODEL_URL}/{path}", commit=COMMIT)


def _shards(folder: Path) -> tuple[WeightFile, ...]:
    """The tensor files that the index names. Raises WeightsError."""
    try:
        names = set(json.loads((folder / INDEX_FILE).read_bytes())["weight_map"].values())
    except (ValueError, LookupError, AttributeError, TypeError):
        raise WeightsError(f"{INDEX_FILE} names no tensors; delete it and fetch") from None
    if not names or not all(isinstance(name, str) and _SHARD.fullmatch(name) for name in names):
        raise WeightsError(f"{INDEX_FILE} names files that are no safetensors beside it; delete it and fetch")
    return tuple(_model(name) for name in sorted(names))


RELEASE = Release(
    "python -m services.lyrics.weights",
    "the weights of Llama-Song-Stream-3B-Instruct at the pinned revision (6.4 GB)",
    tuple(_model(name) for name in (*_SETTINGS, INDEX_FILE)),
    _shards,
)
# Other checkpoints of this kind, as transformers saves small ones: all tensors in one file, and no index.
IN_ONE_FILE = replace(
    RELEASE, files=tuple(_model(name) for name in (*_SETTINGS, WHOLE_FILE)), listed=lambda _: ()
)


def layout(folder: Path) -> Release:
    """Which files a folder is loaded from: where one has all tensors, transformers reads no shards."""
    return IN_ONE_FILE if (folder / WHOLE_FILE).is_file() else RELEASE


if __name__ == "__main__":
    sys.exit(main(RELEASE))
