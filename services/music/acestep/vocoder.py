"""The vocoder, ADaMoSHiFiGANV1: log-mel to audio, a ConvNeXt backbone at mel rate before a HiFi-GAN head.

Parameters carry the released names, weight norm folded: `weight` for the stored `weight_g` and `weight_v`.
Knows one channel of audio at a time; channels, songs and windows are all just its batch.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn, ones
from torch.nn import functional as F

from services.music.acestep.config import ConfigError, VocoderConfig
from services.music.acestep.receptive_field import Span

NORM_EPS = 1e-6
STEM_KERNEL = 7


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (B, C, T)."""

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = super().forward(x.mT).mT
        return normed


class ConvNeXtBlock(nn.Module):
    """ConvNeXt (arXiv 2201.03545) over time: depthwise convolution, then an MLP on every frame."""

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(ones(dim))  # layer scale

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T) → (B, C, T)
        frames: Tensor = self.norm(self.dwconv(x).mT)  # (B, T, C)
        frames = self.pwconv2(F.gelu(self.pwconv1(frames)))
        scaled: Tensor = (self.gamma * frames).mT
        return x + scaled


class Backbone(nn.Module):
    """Mel bands to features, at mel rate: (B, input_channels, T) → (B, dims[-1], T)."""

    def __init__(
        self, input_channels: int, depths: Sequence[int], dims: Sequence[int], kernel_size: int
    ) -> None:
        super().__init__()
        stem = nn.Sequential(
            # The edge repeats its frame: a border of zeros would be loud, silence is −11.
            nn.Conv1d(
                input_channels, dims[0], STEM_KERNEL, padding=STEM_KERNEL // 2, padding_mode="replicate"
            ),
            ChannelNorm(dims[0], eps=NORM_EPS),
        )
        widenings = (
            nn.Sequential(ChannelNorm(narrow, eps=NORM_EPS), nn.Conv1d(narrow, wide, kernel_size=1))
            for narrow, wide in pairwise(dims)
        )
        self.channel_layers = nn.ModuleList([stem, *widenings])
        self.stages = nn.ModuleList(
            nn.Sequential(*(ConvNeXtBlock(dim, kernel_size) for _ in range(depth)))
            for depth, dim in zip(depths, dims, strict=True)
        )
        self.norm = ChannelNorm(dims[-1], eps=NORM_EPS)

    def forward(self, mel: Tensor) -> Tensor:
        x = mel
        for channel_layer, stage in zip(self.channel_layers, self.stages, strict=True):
            x = stage(channel_layer(x))
        features: Tensor = self.norm(x)
        return features


class ResBlock(nn.Module):
    """HiFi-GAN's residual block (arXiv 2010.05646): pairs of a dilated and a plain convolution."""

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_conv(channels, channels, kernel_size, d) for d in dilations)
        self.convs2 = nn.ModuleList(_conv(channels, channels, kernel_size) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T) → (B, C, T)
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            x = x + plain(F.silu(dilated(F.silu(x)), inplace=True))
        return x


class Head(nn.Module):
    """Features to samples: (B, num_mels, T) → (B, hop_length · T), each stage half as wide and longer."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        widths = [config.upsample_initial_channel >> i for i in range(len(config.upsample_rates) + 1)]
        self.conv_pre = _conv(config.num_mels, widths[0], config.pre_conv_kernel_size)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(wide, narrow, kernel, stride=rate, padding=(kernel - rate) // 2)
            for (wide, narrow), kernel, rate in zip(
                pairwise(widths), config.upsample_kernel_sizes, config.upsample_rates, strict=True
            )
        )
        # Flat in the checkpoint: all kernel sizes of the first stage, then all of the second, …
        self.resblocks = nn.ModuleList(
            ResBlock(width, kernel, dilations)
            for width in widths[1:]
            for kernel, dilations in zip(
                config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
            )
        )
        self.conv_post = _conv(widths[-1], 1, config.post_conv_kernel_size)

    def forward(self, features: Tensor) -> Tensor:
        x = self.conv_pre(features)
        per_stage = len(self.resblocks) // len(self.ups)
        for i, up in enumerate(self.ups):
            x = up(F.silu(x, inplace=True))
            first, *others = self.resblocks[i * per_stage : (i + 1) * per_stage]
            total = first(x)
            for block in others:
                total += block(x)
            x = total / per_stage
        # The last convolution in float32, whatever the weights are: eight bits of bf16 are heard as hiss.
        post = self.conv_post
        x = F.silu(x, inplace=True).float()
        return F.conv1d(x, post.weight.float(), _float(post.bias), padding=post.padding).tanh().squeeze(1)


class Vocoder(nn.Module):
    """(B, input_channels, T) log-mel to (B, hop_length · T) float32 samples in −1 … 1.

    Raises:
        ConfigError: the configuration contradicts itself, or is of a variant that was never released.
    """

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.backbone = Backbone(config.input_channels, config.depths, config.dims, config.kernel_sizes[0])
        self.head = Head(config)

    def forward(self, mel: Tensor) -> Tensor:
        samples: Tensor = self.head(self.backbone(mel.to(self.head.conv_pre.weight.dtype)))
        return samples


def weight_normed(vocoder: Vocoder) -> set[str]:
    """The weights that the checkpoint stores as magnitude and direction: all of the head's."""
    return {f"head.{name}" for name, _ in vocoder.head.named_parameters() if name.endswith("weight")}


def is_unused(name: str) -> bool:
    """The released file also keeps the analysis window of the log-mel; `log_mel.py` computes its own."""
    return name == "mel_transform.spectrogram.window"


def halo_frames(config: VocoderConfig) -> int:
    """How many mel frames on either side the 512 samples of one frame depend on."""
    span = Span(0, config.hop_length - 1).before_conv(config.post_conv_kernel_size)
    for kernel, rate in reversed(list(zip(config.upsample_kernel_sizes, config.upsample_rates, strict=True))):
        widest = Span(0, 0)
        for block_kernel, dilations in zip(
            config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
        ):
            block = Span(0, 0)
            for dilation in dilations:
                block = block.before_conv(block_kernel, dilation).before_conv(block_kernel)
            widest = max(widest, block, key=lambda s: s.last)
        span = Span(span.first + widest.first, span.last + widest.last)
        span = span.before_transposed_conv(kernel, rate, (kernel - rate) // 2)
    span = span.before_conv(config.pre_conv_kernel_size)
    for _ in range(sum(config.depths)):
        span = span.before_conv(config.kernel_sizes[0])
    return span.before_conv(STEM_KERNEL).beyond(0, 0)


def _conv(channels_in: int, channels_out: int, kernel_size: int, dilation: int = 1) -> nn.Conv1d:
    padding = dilation * (kernel_size - 1) // 2
    return nn.Conv1d(channels_in, channels_out, kernel_size, padding=padding, dilation=dilation)


def _float(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.float()


def _check(config: VocoderConfig) -> None:
    if len(config.kernel_sizes) != 1:
        raise ConfigError(f"vocoder: kernel_sizes must be one size, not {config.kernel_sizes}")
    if prod(config.upsample_rates) != config.hop_length:
        raise ConfigError(
            f"vocoder: upsample_rates {config.upsample_rates} make no hop of {config.hop_length}"
        )
