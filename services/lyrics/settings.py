"""Settings of the lyrics service, from the environment: `LYRICS_…`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from services.common.settings import Port, ServiceSettings
from services.lyrics.llama.options import DeviceChoice, DtypeChoice, LlamaOptions, Sampling


class LyricsSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="LYRICS_")

    grpc_port: Port = 50051
    """Port that gRPC listens on; 0 takes any free one."""
    engine: Literal["builtin", "llama"] = "builtin"
    """Who writes: "builtin" is the lyricist without a model, "llama" is Llama-Song-Stream-3B-Instruct."""
    slots: Annotated[int, Field(ge=1, le=1024)] = 32
    """Songs that are written or wait for it at once; one more is answered POD_BUSY."""
    weights: Path | None = None
    """Folder of the weights that llama needs; `python -m services.lyrics.weights fetch DIR` fills one."""
    device: DeviceChoice = "auto"
    """Where llama runs; "auto" takes the best that there is."""
    dtype: DtypeChoice = "auto"
    """Of llama's numbers; "auto" is bfloat16 on CUDA, else float32. Songs are replayable in float32."""
    batch: Annotated[int, Field(ge=1, le=256)] = 8
    """Songs that llama writes at once; others wait. Each takes 0.7 GB of memory (float32: 1.4 GB)."""
    constrained: bool = True
    """Whether llama is held to line counts by masks; else sections that came out wrong are written again."""
    languages: Annotated[tuple[str, ...], NoDecode] = ("en",)
    """What llama may be asked for, comma-separated. It was tuned on English; its base knows seven more."""
    temperature: Annotated[float, Field(ge=0.05, le=2)] = 0.8
    """Of llama's sampling."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Of llama's sampling: the share of probability that is drawn from."""
    repetition_penalty: Annotated[float, Field(ge=1, le=2)] = 1.1
    """Of llama's sampling: on words that the song has had; 1 is none."""
    max_new_tokens: Annotated[int, Field(ge=64, le=16_384)] = 2048
    """Tokens that llama may draw for one song, those of lines that are drawn again included."""

    @field_validator("languages", mode="before")
    @classmethod
    def _split_languages(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _weights_given(self) -> Self:
        if self.engine == "llama" and self.weights is None:
            hint = "python -m services.lyrics.weights fetch DIR"
            raise ValueError(f"the engine llama needs a folder of weights (LYRICS_WEIGHTS); run: {hint}")
        return self

    @property
    def llama_options(self) -> LlamaOptions:
        """Raises ValueError for another engine without weights."""
        if self.weights is None:
            raise ValueError("no weights")
        sampling = Sampling(self.temperature, self.top_p, self.repetition_penalty)
        return LlamaOptions(
            self.weights,
            self.device,
            self.dtype,
            self.batch,
            self.constrained,
            self.languages,
            self.max_new_tokens,
            sampling,
        )
