"""A linear layer that takes the fast path of the device it is on. Knows shapes and devices, no model."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d


class Linear(nn.Linear):
    """`nn.Linear`, but for a sequence in float32 on a CPU, where a 1×1 convolution is the faster product.

    PyTorch hands linears to MKL and convolutions to oneDNN; on AMD processors the latter is up to twice as
    fast (docs/measurements.md). In and out (B, L, C): as an image one row high that is channels-last already,
    so nothing is transposed.
    """

    def forward(self, x: Tensor) -> Tensor:
        eager = not torch.compiler.is_compiling()  # a compiler chooses for itself
        if not (eager and x.device.type == "cpu" and x.dtype == torch.float32 and x.ndim == 3 and x.shape[1]):
            return super().forward(x)
        image = conv2d(x.mT[:, :, None], self.weight[:, :, None, None], self.bias)  # (B, C, 1, L)
        return image[:, :, 0].mT
