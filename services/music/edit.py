"""What can be done to a song that is there: four edits, and the source that they are done to.

Values only, already validated. Knows no model and no transport.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import InstanceOf

EDIT_TASKS = ("variation", "repaint", "lyric_edit", "extend")


@dataclass(frozen=True)
class Variation:
    """The same song made again, as far from itself as `variance` says; 0 gives the source back."""

    variance: float  # 0 to 1
    task: Literal["variation"] = "variation"


@dataclass(frozen=True)
class Repaint:
    """From `start_s` to `end_s` anew, as far from what was there as `variance` says."""

    start_s: float
    end_s: float
    variance: float  # 0 to 1
    task: Literal["repaint"] = "repaint"


@dataclass(frozen=True)
class LyricEdit:
    """Other words: sung to the same song ("only_lyrics"), or with it moved along ("remix")."""

    mode: Literal["only_lyrics", "remix"]
    task: Literal["lyric_edit"] = "lyric_edit"


@dataclass(frozen=True)
class Extend:
    """More music before the song and behind it."""

    left_s: float
    right_s: float
    task: Literal["extend"] = "extend"


Edit = Variation | Repaint | LyricEdit | Extend


@dataclass(frozen=True, eq=False)
class Source:
    """The song that an edit starts from, as its engine left it."""

    # Checked as an instance, where values are read from a wire: no numbers of it are looked at.
    pcm: Annotated[NDArray[np.int16], InstanceOf()]  # int16, (n, 2), 44.1 kHz
    state: bytes
