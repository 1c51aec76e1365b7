"""Layers that compute the same bits on every machine (DESIGN section 3).

Weights are integers of at most 63 and activations integers of at most 127, both held in float32.
Every partial sum of a convolution is then an integer below 2^24, which float32 represents exactly,
so no order of summation, thread count or graph optimisation changes a bit. Rescaling is by powers
of two and rounding is ``floor(x + 0.5)``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHT_LIMIT = 63
ACTIVATION_LIMIT = 127
ACCUMULATOR_LIMIT = 2**24


def round_half_up(x: Tensor) -> Tensor:
    """``floor(x + 0.5)`` forwards, identity backwards (straight-through estimator)."""
    rounded = torch.floor(x + 0.5)
    # the sum below is not always an integer in floating point: exact use has no gradient
    return x + (rounded - x).detach() if torch.is_grad_enabled() else rounded


def _clamp(x: Tensor, low: float, high: float) -> Tensor:
    return torch.clamp(x, low, high)


class ExactConv2d(nn.Module):
    """Convolution of integer activations, (N, C, H, W) -> (N, C', H, W) by default.

    ``low`` and ``high`` bound the integer outputs: (0, 127) is a clipped ReLU. The weight
    is trained as a real number and used as ``round(weight * 2^shift)``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        low: int = 0,
        high: int = ACTIVATION_LIMIT,
        stride: int = 1,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        fan_in = inputs * kernel * kernel
        deviation = math.sqrt(2.0 / fan_in)
        # four deviations fit into the integer range
        self.shift = int(math.floor(math.log2(WEIGHT_LIMIT / (4 * deviation))))
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel) * deviation)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.low, self.high = low, high
        self.stride, self.padding = stride, kernel // 2 if padding is None else padding
        self.frozen = False

    def freeze(self) -> None:
        """Replace the real weights by the integers they stand for, as they are exported."""
        with torch.no_grad():
            weight, bias = self.integer_weight(), self.integer_bias()
            self.weight.copy_(weight)
            self.bias.copy_(bias)
        self.frozen = True

    def integer_weight(self) -> Tensor:
        if self.frozen:
            return self.weight
        scaled = self.weight * 2.0**self.shift
        return _clamp(round_half_up(scaled), -WEIGHT_LIMIT, WEIGHT_LIMIT)

    def integer_bias(self) -> Tensor:
        if self.frozen:
            return self.bias
        return round_half_up(self.bias * 2.0**self.shift)

    def largest_accumulator(self) -> float:
        """The largest absolute partial sum that any input can cause; must be < 2^24."""
        with torch.no_grad():
            sums = self.integer_weight().abs().sum((1, 2, 3)) * ACTIVATION_LIMIT
            return float((sums + self.integer_bias().abs()).max())

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.integer_weight(), self.integer_bias()
        accumulated = F.conv2d(x, weight, bias, self.stride, self.padding)
        rescaled = round_half_up(accumulated * 2.0**-self.shift)
        return _clamp(rescaled, self.low, self.high)
