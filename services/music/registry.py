"""The engines that this service can run, by the name that MUSIC_ENGINE gives.

Imports an engine only when it is opened: nobody pays for the dependencies of another.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from services.common.weights import WeightsError
from services.music.acestep.options import STEP_PRESETS
from services.music.engine import Engine, EngineCannotStart
from services.music.weights import RELEASE

ENGINES = ("sketch", "acestep")


@dataclass(frozen=True)
class EngineChoice:
    """Which engine, and what it needs to be opened; `sketch` needs nothing."""

    name: str
    weights: Path | None = None
    steps: int = STEP_PRESETS["quality"]

    def arguments(self) -> list[str]:
        """The choice on a command line, where `parse` reads it."""
        weights = ["--weights", str(self.weights)] if self.weights else []
        return ["--engine", self.name, "--steps", str(self.steps), *weights]

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--engine", required=True, choices=ENGINES)
        parser.add_argument("--steps", type=int, default=STEP_PRESETS["quality"])
        parser.add_argument("--weights", type=Path)

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        return cls(arguments.engine, arguments.weights, arguments.steps)

    def check(self) -> None:
        """What can be seen without loading anything. Raises EngineCannotStart."""
        if self.name not in ENGINES:
            raise ValueError(f"no engine {self.name!r}; there are {', '.join(ENGINES)}")
        if self.name == "acestep":
            if self.weights is None:
                raise EngineCannotStart("the engine acestep needs a folder of weights (MUSIC_WEIGHTS)")
            try:
                RELEASE.in_folder(self.weights)
            except WeightsError as error:
                raise EngineCannotStart(str(error)) from None


def open_engine(choice: EngineChoice) -> Engine:
    """An engine, loaded and warm. Takes as long as that takes.

    Raises:
        EngineCannotStart: weights or packages that it needs are missing or of another kind.
        ValueError: an unknown name.
    """
    choice.check()
    if choice.name == "sketch":
        from services.music.sketch.engine import SketchEngine

        sketch = SketchEngine()
        sketch.warm_up()
        return sketch
    assert choice.weights is not None  # checked above
    try:
        from services.music.acestep.engine import AceStepEngine
    except ModuleNotFoundError as error:
        line = f"the engine acestep needs {error.name}; run: pip install -r requirements/acestep.txt"
        raise EngineCannotStart(line) from error
    acestep = AceStepEngine.load(choice.weights, choice.steps)
    acestep.warm_up()
    return acestep
