"""Grouped: the layers of stacked trials, each as one call in groups, channels last.

Within `grouped()`, under `vmap` over trials, a convolution of S trials is one convolution in S
groups, a batch normalization one of S times the channels, with statistics for each trial; so is a
max pooling. It is what vmap does too, but vmap leaves channels-last and cannot normalize bfloat16
by statistics in float32. Written once for all networks: functions are replaced, not modules.
"""

# S trials, B clips, C channels, F rows of a map, N columns

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


def _folded(x: Tensor, of_trials: int | None, trials: int) -> Tensor:
    """Maps (B, C, F, N) with an axis of trials in any place, as (B, S x C, F, N)."""
    x_SB = x.expand(trials, *x.shape) if of_trials is None else x.movedim(of_trials, 0)
    x_BCFN = x_SB.movedim(0, 1).flatten(1, 2)
    return x_BCFN.contiguous(memory_format=torch.channels_last)


def _joined(x: Any, of_trials: int | None, trials: int) -> Any:
    """Weights or statistics (C, ...) with an axis of trials, as (S x C, ...), in the same memory
    where they lie trial by trial.
    """
    if x is None:
        return None
    x_SC = x.expand(trials, *x.shape) if of_trials is None else x.movedim(of_trials, 0)
    return x_SC.flatten(0, 1)


def _apart(x_BCFN: Tensor, trials: int) -> tuple[Tensor, int]:
    """Maps (B, S x C, F, N) with an axis of trials, and its place."""
    batch, channels, rows, columns = x_BCFN.shape
    return x_BCFN.view(batch, trials, channels // trials, rows, columns), 1


class _Grouped(torch.autograd.Function):
    """What all three share: a rule of vmap whose steps autograd records as it does any others."""

    generate_vmap_rule = False

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing: never differentiated by itself."""


class _Convolution(_Grouped):
    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
    ) -> Tensor:
        return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    def vmap(
        info: Any,
        dims: Any,
        x: Tensor,
        weight: Tensor,
        bias: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
    ) -> tuple[Tensor, int]:
        trials = info.batch_size
        kernel, bias = _joined(weight, dims[1], trials), _joined(bias, dims[2], trials)
        x_BCFN = _folded(x, dims[0], trials)
        out_BCFN = torch.conv2d(x_BCFN, kernel, bias, stride, padding, dilation, trials * groups)
        return _apart(out_BCFN, trials)


class _Normalization(_Grouped):
    @staticmethod
    def forward(x: Tensor, *how: Any) -> Tensor:
        return functional.batch_norm(x, *how)

    @staticmethod
    def vmap(info: Any, dims: Any, x: Tensor, *how: Any) -> tuple[Tensor, int]:
        trials, of_channels = info.batch_size, 4
        joined = [
            _joined(value, dim, trials)
            for value, dim in zip(how[:of_channels], dims[1:], strict=False)
        ]
        out_BCFN = functional.batch_norm(_folded(x, dims[0], trials), *joined, *how[of_channels:])
        return _apart(out_BCFN, trials)


class _Pooling(_Grouped):
    @staticmethod
    def forward(x: Tensor, *how: Any) -> Tensor:
        pooled: Tensor = functional.max_pool2d(x, *how)
        return pooled

    @staticmethod
    def vmap(info: Any, dims: Any, x: Tensor, *how: Any) -> tuple[Tensor, int]:
        trials = info.batch_size
        return _apart(functional.max_pool2d(_folded(x, dims[0], trials), *how), trials)


def _convolve(
    x: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    return _Convolution.apply(x, weight, bias, stride, padding, dilation, groups)


def _normalize(
    x: Tensor,
    mean: Any,
    variance: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    return _Normalization.apply(x, mean, variance, weight, bias, training, momentum, eps)


def _pool(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    return _Pooling.apply(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


_REPLACED: dict[Any, Callable[..., Any]] = {
    torch.conv2d: _convolve,
    functional.batch_norm: _normalize,
    functional.max_pool2d: _pool,
}


class grouped(TorchFunctionMode):
    """While it is entered, layers under vmap over trials are computed in groups."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _REPLACED.get(func, func)(*args, **(kwargs or {}))
