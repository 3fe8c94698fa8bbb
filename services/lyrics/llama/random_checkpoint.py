"""Checkpoints in the layout of the release with random weights, for tests and measurements.

Knows sizes. What such a model writes has the right form and makes no sense.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

_BEGIN, _END, _TURN = "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"
_HEAD, _HEAD_END = "<|start_header_id|>", "<|end_header_id|>"
# As Llama 3's, without its dates and tools.
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    + f"{_HEAD}{{{{ message['role'] }}}}{_HEAD_END}\n\n{{{{ message['content'] | trim }}}}{_TURN}"
    + "{% endfor %}{% if add_generation_prompt %}"
    + f"{_HEAD}assistant{_HEAD_END}\n\n"
    + "{% endif %}"
)
_TEXT = """Title: The river in the morning
[Verse 1]
The light comes over the hill, and I am walking home
I hold the morning in my hand, the river sings alone
[Chorus]
Oh, carry me, carry me over the water
Tell me the name of the wind and the rain

Write the lyrics of a song about: Genre: Mood: Language: English lines, rhymed AABB
"""


@dataclass(frozen=True)
class Size:
    layers: int = 2
    hidden: int = 64
    heads: int = 4
    key_value_heads: int = 2
    vocabulary: int = 512


TINY = Size()
# Reading the weights takes as long as working with them, as in the released one.
MID = Size(layers=8, hidden=1024, heads=16, key_value_heads=4, vocabulary=32_000)


def write(folder: Path, size: Size = TINY, seed: int = 0, spread: float = 0.1) -> Path:
    """Fills a folder; `spread` is the standard deviation of the weights. Returns it."""
    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    config = LlamaConfig(
        vocab_size=max(size.vocabulary, len(tokenizer)),
        hidden_size=size.hidden,
        intermediate_size=size.hidden * 3,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_value_heads,
        max_position_embeddings=131_072,
        tie_word_embeddings=True,
        initializer_range=spread,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlamaForCausalLM(config)
    half = sum(p.numel() * p.element_size() for p in model.parameters()) // 2
    model.save_pretrained(folder, max_shard_size=half)  # in two or more files, as released
    tokenizer.save_pretrained(folder, save_jinja_files=False)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = _TEMPLATE
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def _tokenizer() -> Any:
    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=480,
        special_tokens=[_BEGIN, _END, _TURN, _HEAD, _HEAD_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokens.train_from_iterator([_TEXT] * 3, trainer)
    fast: Any = PreTrainedTokenizerFast  # untyped
    return fast(tokenizer_object=tokens, bos_token=_BEGIN, eos_token=_TURN, chat_template=_TEMPLATE)
