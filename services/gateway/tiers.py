"""What accounts of each tier may do, as a file has it (tiers.toml is the default and says what is what).

Knows numbers; who holds an account to them is elsewhere.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

DEFAULT_FILE = Path(__file__).with_name("tiers.toml")
DEVELOPMENT = "development"


class Tier(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    priority: Annotated[int, Field(ge=-1000, le=1000)]
    concurrency: Annotated[int, Field(ge=1, le=10_000)]
    longest_s: Annotated[float, Field(ge=5, le=600, strict=False)]
    # 0: any number
    songs_per_day: Annotated[int, Field(ge=0, le=1_000_000)]


class TiersError(ValueError):
    """The file is not one of tiers, in one line."""


@dataclass(frozen=True)
class Tiers:
    # by name; the first is that of a new account
    by_name: Mapping[str, Tier]

    @property
    def first(self) -> str:
        return next(iter(self.by_name))

    def of(self, name: str) -> Tier:
        """The tier of an account; one whose tier is no longer there has the first."""
        return self.by_name.get(name) or self.by_name[self.first]


def read_tiers(file: Path) -> Tiers:
    """Raises TiersError."""
    try:
        data = tomllib.loads(file.read_text("utf-8"))
        tiers = TypeAdapter(dict[str, Tier]).validate_python(data)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TiersError(f"{file}: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise TiersError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if not tiers:
        raise TiersError(f"{file}: there is no tier in it")
    return Tiers(tiers)
