"""A Dockerfile as stages of instructions. Knows the syntax that ours use."""

import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    word: str
    text: str


@dataclass(frozen=True)
class Stage:
    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def texts(self, word: str) -> list[str]:
        return [instruction.text for instruction in self.instructions if instruction.word == word]

    def copies(self) -> list[tuple[list[str], str]]:
        """(sources, target) of what is copied from the context."""
        found = [text.split() for text in self.texts("COPY") if "--from=" not in text]
        return [(words[:-1], words[-1]) for words in found]


@dataclass(frozen=True)
class Dockerfile:
    arguments: dict[str, str]
    stages: tuple[Stage, ...]

    def stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    def last(self, target: str, word: str) -> str:
        """What holds in the image, of words that a later one replaces; also from the stages below."""
        stage = self.stage(target)
        texts = stage.texts(word)
        return texts[-1] if texts else self.last(stage.base, word)


def read(path: Path) -> Dockerfile:
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    instructions = [Instruction(*line.split(None, 1)) for line in text.splitlines() if line.strip()]
    begins = [i for i, instruction in enumerate(instructions) if instruction.word == "FROM"]
    arguments = dict(i.text.split("=", 1) for i in instructions[: begins[0]])
    stages = []
    for begin, end in zip(begins, [*begins[1:], len(instructions)], strict=True):
        base, _, name = instructions[begin].text.partition(" AS ")
        stages.append(Stage(base, name, tuple(instructions[begin + 1 : end])))
    return Dockerfile(arguments, tuple(stages))


def exec_form(text: str) -> list[str]:
    """The words of a JSON array. Raises ValueError for the shell form."""
    words: list[str] = json.loads(text)
    return words
