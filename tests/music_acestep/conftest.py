"""The tiny models, loaded once per run: nothing may change them."""

from collections.abc import Iterator

import pytest
import torch

from services.music.acestep.text_encoder import TextEncoder
from services.music.acestep.transformer import Transformer
from tests.music_acestep.tiny_checkpoint import tiny_checkpoint_folder


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On layers this small, threads cost more than they bring; and sums in another order differ."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_transformer() -> Transformer:
    return Transformer.load(tiny_checkpoint_folder(), "cpu", torch.float32)


@pytest.fixture(scope="session")
def tiny_text_encoder() -> TextEncoder:
    return TextEncoder.load(tiny_checkpoint_folder(), "cpu", torch.float32)
