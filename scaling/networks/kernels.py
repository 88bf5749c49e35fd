"""The one convolution: weight x damping x mask.

A constant multiplies the weight in every forward pass, in training and in evaluation, so dense,
damped and pruned networks are one layer. Stored weights are undamped. The mask needs no product of
its own: weights that are cut are zero and get no gradient, which costs a step next to nothing.
Source: frequency damping, Koutini et al. 2021 (facts: cp_resnet, section 2). Conventions: the first
axis of a kernel is frequency, the second is time.
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

    factor: Tensor | None  # (kernel, 1)
    mask: Tensor | None  # of the weight's shape, 1 where it is kept

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, damping: float = 0.0
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 3, bias=False)
        plain = damping == 0 or kernel < 3
        # not saved: they follow from the settings and from the zeros, and the weights of a damped
        # or pruned network keep the base network's names
        self.register_buffer("factor", None if plain else damper(kernel, damping), persistent=False)
        self.register_buffer("mask", None, persistent=False)

    def reset_parameters(self) -> None:
        """Nothing: whoever builds a network initializes it from the trial's own stream."""

    @torch.no_grad()
    def cut(self, mask_OIFN: Tensor) -> None:
        """Keep only the weights where the mask, of the weight's shape, is true; for good.

        The others become zero and get no gradient, so that an optimizer whose moments are zero
        there leaves them at zero.
        """
        if self.mask is None:
            self.weight.register_post_accumulate_grad_hook(self._mask_gradient)  # type: ignore[no-untyped-call]
        # in the weight's own memory format
        self.mask = torch.empty_like(self.weight).copy_(mask_OIFN)
        self.weight.mul_(self.mask)

    @torch.no_grad()
    def _mask_gradient(self, weight: Tensor) -> None:
        if weight.grad is not None and self.mask is not None:
            weight.grad.mul_(self.mask)

    @property
    def kernel(self) -> Tensor:
        """The kernel that is convolved with: (outputs, inputs, frequency, time)."""
        return self.weight if self.factor is None else self.weight * self.factor

    def forward(self, x_BCFN: Tensor) -> Tensor:
        return functional.conv2d(x_BCFN, self.kernel, None, self.stride, self.padding)
