"""Which inputs an output of a stack of convolutions depends on: whole-number arithmetic, walked backwards.

Knows layers by their sizes only; what the answer is for (halos of decode windows) is its callers' matter.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Positions `first` to `last` of a layer's output; each method answers with those of its input."""

    first: int
    last: int

    def before_conv(self, kernel_size: int, dilation: int = 1) -> "Span":
        """A convolution of stride 1 that is padded to keep its length. Odd kernels."""
        radius = kernel_size // 2 * dilation
        return Span(self.first - radius, self.last + radius)

    def before_transposed_conv(self, kernel_size: int, stride: int, padding: int) -> "Span":
        """Output n reads every input i with 0 ≤ n + padding − i·stride < kernel_size."""
        first = -(-(self.first + padding - kernel_size + 1) // stride)  # rounded up
        return Span(first, (self.last + padding) // stride)

    def before_upsampling(self, factor: int) -> "Span":
        """Every input becomes `factor` outputs: nearest interpolation, or pixel shuffle."""
        return Span(self.first // factor, self.last // factor)

    def beyond(self, first: int, last: int) -> int:
        """How far this span reaches out of `first` … `last`, on the side where it reaches further."""
        return max(first - self.first, self.last - last, 0)
