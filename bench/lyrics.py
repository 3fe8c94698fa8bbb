"""How many tokens a second the engine llama writes, with random weights: `python -m bench.lyrics --size mid`.

Eight songs one after another, then all at once; the same songs, so the same words. Beside them transformers'
own generation, alone and as one static batch, without our sampling.
"""

import argparse
import asyncio
import json
import platform
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from services.lyrics.document import LyricDocument
from services.lyrics.engine import Brief, Finished
from services.lyrics.llama import random_checkpoint
from services.lyrics.llama.engine import LlamaEngine
from services.lyrics.llama.options import DtypeChoice, LlamaOptions

SIZES = {"tiny": random_checkpoint.TINY, "mid": random_checkpoint.MID}


@dataclass
class Figures:
    size: str
    songs: int
    dtype: str
    threads: int
    torch: str
    parameters: int
    drawn_tokens: int
    alone_s: float
    together_s: float
    same_words: int
    plain_alone_tokens_per_s: float
    plain_batch_tokens_per_s: float

    @property
    def ratio(self) -> float:
        return self.alone_s / self.together_s


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.lyrics", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="mid")
    parser.add_argument("--songs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0, help="of song")
    parser.add_argument("--device", choices=("auto", "cuda", "mps", "cpu"), default="auto")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        random_checkpoint.write(Path(folder), SIZES[arguments.size], spread=0.02)
        options = LlamaOptions(
            Path(folder), arguments.device, arguments.dtype, batch=arguments.songs, max_new_tokens=4096
        )
        figures = asyncio.run(measure(options, arguments.size, arguments.songs, arguments.seconds))
    print(table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(figures), indent=2) + "\n")


async def measure(options: LlamaOptions, size: str, songs: int, seconds: float) -> Figures:
    engine = LlamaEngine.load(options)
    try:
        brief = Brief("rain on the sea", 0, seconds)
        briefs = [replace(brief, seed=seed) for seed in range(songs)]
        await written(engine, replace(brief, duration_s=5.0))  # the first one warms up
        began = time.perf_counter()
        alone = [await written(engine, brief) for brief in briefs]
        alone_s = time.perf_counter() - began
        began = time.perf_counter()
        together = await asyncio.gather(*(written(engine, brief) for brief in briefs))
        together_s = time.perf_counter() - began
        tokenizer = engine.checkpoint.tokenizer
        tokens = sum(len(tokenizer.encode(text)) for document in alone for text in texts(document))
        return Figures(
            size,
            songs,
            dtype_of(engine),
            torch.get_num_threads(),
            torch.__version__,
            engine.checkpoint.model.num_parameters(),
            tokens,
            alone_s,
            together_s,
            sum(a == b for a, b in zip(alone, together, strict=True)),
            plain(engine, 1),
            plain(engine, songs),
        )
    finally:
        engine.close()


async def written(engine: LlamaEngine, brief: Brief) -> LyricDocument:
    async for event in engine.write(brief):
        if isinstance(event, Finished):
            return event.document
    raise AssertionError("no document")


def texts(document: LyricDocument) -> list[str]:
    """Of lines that were drawn: a chorus that comes back was not."""
    return [document.title, *dict.fromkeys(line.text for line in document.lines)]


def dtype_of(engine: LlamaEngine) -> DtypeChoice:
    return "float32" if engine.checkpoint.dtype is torch.float32 else "bfloat16"


def plain(engine: LlamaEngine, rows: int, tokens: int = 96) -> float:
    """Tokens a second of transformers' `generate` from a prompt of 200 tokens."""
    model = engine.checkpoint.model
    prompt = torch.randint(10, 400, (rows, 200), device=model.device)
    began = time.perf_counter()
    model.generate(
        prompt, attention_mask=torch.ones_like(prompt), do_sample=True, min_new_tokens=tokens,
        max_new_tokens=tokens, pad_token_id=0,
    )  # fmt: skip
    return rows * tokens / (time.perf_counter() - began)


def table(f: Figures) -> str:
    rows = [
        f"{f.size}, {f.parameters / 1e6:.0f} M parameters, {f.dtype}, {f.threads} threads, torch {f.torch}, "
        f"{platform.machine()}: {f.songs} songs, {f.drawn_tokens} tokens",
        f"  one after another      {f.drawn_tokens / f.alone_s:>8.0f} tokens/s",
        f"  all at once            {f.drawn_tokens / f.together_s:>8.0f} tokens/s",
        f"  ratio                  {f.ratio:>8.2f}",
        f"  songs with same words  {f.same_words:>8} of {f.songs}",
        f"  generate, alone        {f.plain_alone_tokens_per_s:>8.0f} tokens/s",
        f"  generate, static batch {f.plain_batch_tokens_per_s:>8.0f} tokens/s",
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
