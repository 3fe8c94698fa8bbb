"""A small lyric vocabulary in the released format: the special pieces, single characters, a few merges."""

import json
from pathlib import Path

_SPECIAL = (
    "[en] [de] [fr] [es] [it] [pt] [pl] [tr] [ru] [cs] [nl] [ar] [zh-cn] [ja] [hu] [ko] [hi] "
    "[start] [intro] [verse] [chorus] [bridge] [outro] [end] [inst] [solo] [hook] [pre-chorus] [break]"
)
CHARACTERS = (
    "!'(),-./:;?abcdefghijklmnopqrstuvwxyzßäöüœïêâÿèàëùîçæôûáéíóúñńśęążćãşğıòìõøčōšžðłđýďěřťůőűňź¿¡\"…“”‘’«»„–—&=%$*|_♥ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "0123456789абвгдежзийклмнопрстуфхцчшщъыьэюяё،؟ءآأؤإئابةتثجحخدذرزسشصضطظعغـفقكلمنهوىيًٌٍَُِّْ"
    "ँंःअआइईउऊऋएऐऑओऔकखगघचछजझञटठडढणतथदधनपफबभमयरलवशषसह़ािीुूृॅेैॉोौ्।०१२३४५६७८९\u0307"
)
_MERGES = [("t", "h"), ("th", "e"), ("i", "n"), ("in", "g"), ("o", "u"), ("e", "r"), ("л", "ю"), ("ा", "र")]


def write_lyric_vocabulary(path: Path) -> Path:
    """The vocabulary file, about 400 pieces."""
    special = ["[STOP]", "[UNK]", "[SPACE]", "[START]", *_SPECIAL.split()]
    pieces = [*special[:3], *CHARACTERS, *("".join(pair) for pair in _MERGES), *special[3:]]
    ids = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    added = [
        {
            "id": ids[piece],
            "special": True,
            "content": piece,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for piece in special
    ]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": "[UNK]",
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "vocab": ids,
        "merges": [" ".join(pair) for pair in _MERGES],
    }
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": model,
    }
    path.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    return path
