"""The one convolution: weight x damping x mask; and the dense layer, which is pruned like it.

A constant multiplies the weight in every forward pass, in training and in evaluation, so dense,
damped and pruned networks are one layer. Stored weights are undamped. The mask needs no product of
its own: weights that are cut are zero and get no gradient, which costs a step next to nothing.
Source: frequency damping, Koutini et al. 2021 (facts: cp_resnet, section 2). Conventions: the first
axis of a kernel is frequency, the second is time; only convolutions are damped.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.cost import Padding, Sides, dilated, zeros
from scaling.networks.plan import Scheme


def damper(kernel: int, damping: float) -> Tensor:
    """What multiplies a kernel along frequency: 1 in the centre, falling linearly to 1 - damping at
    the outermost taps. The centre of an even kernel lies between its two middle taps.

    Returns (kernel, 1); all ones for kernels of fewer than 3 taps.
    """
    centre = (kernel - 1) / 2
    if centre < 1:
        return torch.ones(kernel, 1)
    distance = (torch.arange(kernel, dtype=torch.float64) - centre).abs() / centre
    return (1 - damping * distance).float()[:, None]


class Prunable(nn.Module):
    """What a convolution and a dense layer share: a weight of which parts can be cut."""

    weight: Tensor
    mask: Tensor | None  # of the weight's shape, 1 where it is kept

    @property
    def kernel(self) -> Tensor:
        """What the input is multiplied with: the weight, damped where the layer is."""
        return self.weight

    def reset_parameters(self) -> None:
        """Nothing: whoever builds a network initializes it from the trial's own stream."""

    @torch.no_grad()
    def cut(self, mask: Tensor) -> None:
        """Keep only the weights where the mask, of the weight's shape, is true; for good.

        The others become zero and get no gradient, so that an optimizer whose moments are zero
        there leaves them at zero.
        """
        if self.mask is None:
            self.weight.register_post_accumulate_grad_hook(self._mask_gradient)  # type: ignore[no-untyped-call]
            self.mask = torch.empty_like(self.weight)  # in the weight's own memory format
        self.mask.copy_(mask)  # where it lies: captured steps read it there
        self.weight.mul_(self.mask)

    @torch.no_grad()
    def _mask_gradient(self, weight: Tensor) -> None:
        if weight.grad is not None and self.mask is not None:
            weight.grad.mul_(self.mask)


class Convolution(Prunable, nn.Conv2d):
    """A convolution whose kernel is weight x factor.

    A kernel given as one number is square. Unless told, it is padded by a third of its sides, as in
    CP-ResNet, and has no bias.
    """

    factor: Tensor | None  # (rows of the kernel, 1)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | Sides,
        stride: int | Sides = 1,
        damping: float = 0.0,
        padding: Padding | None = None,
        bias: bool = False,
        groups: int = 1,
        dilation: Sides = (1, 1),
    ) -> None:
        rows, columns = sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        around = zeros(dilated(sides, dilation), padding or (rows // 3, columns // 3))
        (top, bottom), (left, right) = around
        super().__init__(
            inputs, outputs, sides, stride, (top, left), dilation, groups=groups, bias=bias
        )
        # torch pads both sides alike; its own "same" does not, but warns
        self.rest = (0, right - left, 0, bottom - top)
        plain = damping == 0 or rows < 3
        # not saved: they follow from the settings and from the zeros, and the weights of a damped
        # or pruned network keep the base network's names
        self.register_buffer("factor", None if plain else damper(rows, damping), persistent=False)
        self.register_buffer("mask", None, persistent=False)

    @property
    def kernel(self) -> Tensor:
        """The kernel that is convolved with: (outputs, inputs of a group, frequency, time)."""
        return self.weight if self.factor is None else self.weight * self.factor

    def forward(self, x_BCFN: Tensor) -> Tensor:
        if any(self.rest):
            x_BCFN = functional.pad(x_BCFN, self.rest)
        return functional.conv2d(
            x_BCFN,
            self.kernel,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )


class Dense(Prunable, nn.Linear):
    """A dense layer with a bias: (B, inputs) to (B, outputs)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer("mask", None, persistent=False)


@torch.no_grad()
def initialize(network: nn.Module, generator: torch.Generator, scheme: Scheme = "he") -> None:
    """Draw every weight, in the order of `modules()`; biases are zero.

    he: convolutions normal with variance 2 / fan-in (He et al. 2015), dense layers uniform within
    1 / sqrt(fan-in), as torch's own. glorot: all uniform within sqrt(6 / (fan-in + fan-out))
    (Glorot and Bengio 2010), as TensorFlow's own. fan_out: convolutions normal with variance 2 /
    fan-out, which counts all channels of a grouped one, as in torch. uniform: all within 1 /
    sqrt(fan-in), as torch's own.
    """
    for module in network.modules():
        if not isinstance(module, Convolution | Dense):
            continue
        fan_in = module.weight[0].numel()
        if scheme == "glorot":
            nn.init.xavier_uniform_(module.weight, generator=generator)
        elif isinstance(module, Convolution) and scheme != "uniform":
            fan_out = module.weight.numel() // module.weight.shape[1]
            fan = fan_out if scheme == "fan_out" else fan_in
            module.weight.normal_(0, (2 / fan) ** 0.5, generator=generator)
        else:
            module.weight.uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)
        if module.bias is not None:
            module.bias.zero_()
