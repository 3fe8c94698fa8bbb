"""The weights of ACE-Step v1: which files belong to them, and where they come from.

Knows names and hashes; fetching and checking is common. `python -m services.music.weights --help`.
"""

import sys
from pathlib import PurePosixPath

from services.common.weights import Release, WeightFile, main

REVISION = "82cd0d7b6322bd28cd4e830fe675ddb6180ce36c"
MODEL_URL = f"https://huggingface.co/ACE-Step/ACE-Step-v1-3.5B/resolve/{REVISION}"
CODE_URL = "https://raw.githubusercontent.com/ace-step/ACE-Step/d612523/acestep"
_TENSORS = "diffusion_pytorch_model.safetensors"


def _model(path: str, size_bytes: int = 0, sha256: str = "") -> WeightFile:
    return WeightFile(PurePosixPath(path), f"{MODEL_URL}/{path}", size_bytes, sha256)


_FILES = (
    _model("ace_step_transformer/config.json"),
    _model(
        f"ace_step_transformer/{_TENSORS}",
        6_611_422_728,
        "e810f16728d8a2e0d1b9c3a907aac8c9a427ce38edbd890cb3dce5ff92da5aad",
    ),
    _model("music_dcae_f8c8/config.json"),
    _model(
        f"music_dcae_f8c8/{_TENSORS}",
        313_646_516,
        "2b0cb469307ac50659d1880db2a99bae47d0df335cbb36853964662d4b80e8ee",
    ),
    _model("music_vocoder/config.json"),
    _model(
        f"music_vocoder/{_TENSORS}",
        206_350_988,
        "c92c9b46e28ab7b37b777780cf4308ad7ddac869636bb77aa61599358c4bc1c0",
    ),
    _model("umt5-base/config.json"),
    _model("umt5-base/special_tokens_map.json"),
    _model("umt5-base/tokenizer.json"),
    _model("umt5-base/tokenizer_config.json"),
    _model(
        "umt5-base/model.safetensors",
        1_127_460_248,
        "779cec0d210b2123e21d0a9cd8128f02b4d412627355028965a8be0b241cc3b6",
    ),
    # The lyric vocabulary is part of the released code, not of the released weights.
    WeightFile(
        PurePosixPath("lyric_vocab.json"),
        f"{CODE_URL}/models/lyrics_utils/vocab.json",
        364_005,
        "c2a66ea48c478c0bb9acb5497144b926acdeaa37128faa799508d40f2b9cc558",
    ),
)

RELEASE = Release(
    "python -m services.music.weights",
    "the weights of ACE-Step v1 at the pinned revision (8.3 GB) and the lyric vocabulary",
    _FILES,
)

if __name__ == "__main__":
    sys.exit(main(RELEASE))
