"""The one convolution: weight x damping (x mask).

A constant of the kernel's own shape multiplies the weight in every forward pass, in training and in
evaluation, so dense and damped (and, later, pruned) networks are one layer. Stored weights are
undamped. Source: frequency damping, Koutini et al. 2021 (facts: cp_resnet, section 2). Conventions:
the first axis of a kernel is frequency, the second is time.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def damper(kernel: int, damping: float) -> Tensor:
    """What multiplies a kernel along frequency: 1 in the centre, falling linearly to 1 - damping at
    the outermost taps.

    Returns (kernel, 1); all ones for kernels of fewer than 3 taps.
    """
    centre = (kernel - 1) / 2
    if centre < 1:
        return torch.ones(kernel, 1)
    distance = (torch.arange(kernel, dtype=torch.float64) - centre).abs() / centre
    return (1 - damping * distance).float()[:, None]


class Convolution(nn.Conv2d):
    """A square convolution without bias, padded by kernel // 3, whose kernel is weight x factor."""

    factor: Tensor | None

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, damping: float = 0.0
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 3, bias=False)
        plain = damping == 0 or kernel < 3
        factor = None if plain else damper(kernel, damping)
        # not saved: it follows from the settings, and a damped network's weights keep the base
        # network's names
        self.register_buffer("factor", factor, persistent=False)

    def reset_parameters(self) -> None:
        """Nothing: whoever builds a network initializes it from the trial's own stream."""

    @property
    def kernel(self) -> Tensor:
        """The kernel that is convolved with: (outputs, inputs, frequency, time)."""
        return self.weight if self.factor is None else self.weight * self.factor

    def forward(self, x_BCFN: Tensor) -> Tensor:
        return functional.conv2d(x_BCFN, self.kernel, None, self.stride, self.padding)
