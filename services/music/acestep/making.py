"""How a song was made, as far as its edits need to know: words, options, and the noise that it came from.

Travels in the song's state as JSON. Knows no latents and no models.
"""

from dataclasses import asdict, dataclass, field
from typing import Annotated

import rfc8785
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor

from services.common.errors import InvalidField
from services.music.acestep.edits import vary
from services.music.acestep.noise import NoiseSource
from services.music.acestep.options import SamplingOptions
from services.music.engine import LyricSection

SECOND_STREAM = 2**32
"""Added to a seed: noise that no request's own seed (below 2^32) gives."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class MakingError(ValueError):
    """Bytes that do not say how a song was made; says why."""


@dataclass(frozen=True)
class Step:
    """One variation: towards the noise of another seed."""

    seed: Seed
    variance: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Seeds:
    """The noise that a song came from: that of a seed, and every variation since."""

    seed: Seed
    steps: tuple[Step, ...] = ()

    def noise(self, frames: int) -> Tensor:
        """(1, 8, 16, frames) float32 on the CPU: standard normal."""
        noise = NoiseSource([self.seed]).draw(frames)
        for step in self.steps:
            noise = vary(noise, NoiseSource([step.seed + SECOND_STREAM]).draw(frames), step.variance)
        return noise

    def varied(self, seed: int, variance: float) -> "Seeds":
        return Seeds(self.seed, (*self.steps, Step(seed, variance)))


@dataclass(frozen=True)
class Making:
    prompt: str
    lyrics: tuple[LyricSection, ...]
    language: str
    options: SamplingOptions = field(default_factory=SamplingOptions)
    # None: not of noise alone, but of another song's latents.
    seeds: Seeds | None = None

    def to_bytes(self) -> bytes:
        """RFC 8785 JSON, so that the same making is the same bytes."""
        return rfc8785.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Making":
        """Raises MakingError."""
        try:
            return _ADAPTER.validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "making"
            raise MakingError(f"{place}: {first['msg']}") from None
        except InvalidField as error:
            raise MakingError(f"{error.field}: {error.message}") from None


_ADAPTER: TypeAdapter[Making] = TypeAdapter(Making)
