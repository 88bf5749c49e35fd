"""Effective receptive field (ERF): where in its input a model really looks, and how far.

The map of a model is the mean absolute gradient of one target with respect to the input, over clips
and input channels, in evaluation mode. Sources: Luo et al. 2016; Koutini et al. 2021 and, for what
both leave open, facts, cp_resnet, sections 7 and 12. Conventions: maps are (rows, columns), at our
networks (mel bands, frames), in float64; nothing is normalized, and no number of a map depends on
its scale. A clip's gradient depends on no other clip, so one backward pass serves a whole batch.
Contents: `effective_field` and its Map; the targets `output_of` and `map_of` (any model),
`target_of` (our networks) and `cropped` (faster); `place_of` (the maximum field); `numbers`.
"""

# B clips, C channels, F rows of the input (mel bands), N columns (frames), Y classes

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scaling.networks.cost import Field
from scaling.spelling import nearest

KINDS = ("feature", "logits", "class")
SCORES = "classifier_norm"  # the module of our networks that puts out the map of class scores
TWO_SIGMA = 0.9545  # of a Gaussian's mass lies within two standard deviations (Luo et al., 2.4)
ROUNDING = 1e-9  # a share of the mass that is short of a half by no more than this is a half

# From a batch to a map (B, C, rows, columns), of which the middle pixel is differentiated, or to
# (B, C) or (B,); what is left of a clip's entries is summed.
Target = Callable[[Tensor], Tensor]


class Map(NamedTuple):
    """An ERF map and what it is of."""

    values_FN: NDArray[np.float64]  # mean absolute gradient
    pixel: tuple[int, int] | None  # of the target's map; None where that was no map, or cropped
    clips: int


class Place(NamedTuple):
    """Where a pixel's maximum receptive field lies in the input; first and last are inclusive."""

    centre: tuple[float, float]  # row, column
    box: tuple[tuple[int, int], tuple[int, int]]  # first and last row, first and last column


class Numbers(NamedTuple):
    """What a map amounts to, in input pixels (mel bands, frames); _f along rows, _t columns."""

    row: float  # the centre that widths are measured about
    column: float
    sigma_f: float  # standard deviation of the marginal, about its own mean
    sigma_t: float
    f50: int  # width of the window around the centre that holds 50 % of the marginal
    t50: int
    f95: int  # the same for 95.45 %
    t95: int
    luo_side: float  # square root of the number of pixels above 4.55 % of the largest
    participation: float  # (sum g)^2 / sum g^2: the number of pixels, were they all alike
    inside: float  # share of the mass inside the maximum field: 1, or something is wrong


def effective_field(model: nn.Module, batches: Iterable[Tensor], target: Target) -> Map:
    """The ERF map of any model over all clips of `batches`, each (B, C, F, N) or (B, F, N).

    `target` calls the model. Computed as the batches' own type says, without autocast; the model is
    left as it was found, and its parameters get no gradients. Raises ValueError for no batch, for
    sizes that differ, a target of another shape than Target's, and a map that is zero or not
    finite.
    """
    sums_FN: Tensor | None = None
    pixel: tuple[int, int] | None = None
    clips = entries = 0
    with _frozen(model):
        for batch in batches:
            gradient, at = _gradient(batch, target)
            sizes_FN = gradient.abs().flatten(0, -3).sum(dim=0, dtype=torch.float64)
            if sums_FN is not None and sums_FN.shape != sizes_FN.shape:
                shapes = " and of ".join("{} x {}".format(*s.shape) for s in (sums_FN, sizes_FN))
                raise ValueError(f"inputs of {shapes}: a map needs clips of one size")
            sums_FN = sizes_FN if sums_FN is None else sums_FN + sizes_FN
            pixel, clips = at, clips + len(batch)
            entries += math.prod(batch.shape[:-2])
    if sums_FN is None:
        raise ValueError("no clip to compute an ERF map of: give at least one batch")
    values_FN: NDArray[np.float64] = (sums_FN / entries).cpu().numpy()
    _check(values_FN)
    return Map(values_FN, pixel, clips)


def output_of(model: nn.Module, module: str) -> Target:
    """The target that is the output of a model's submodule, by its name in `named_modules`.

    Of a module that runs more than once, the last output. Raises ValueError for an unknown name;
    the target does when the module does not run or puts out something else than one tensor.
    """
    known = dict(model.named_modules())
    if module not in known:
        raise ValueError(f"layer {module}: no such submodule{nearest(module, known)}")

    def run(batch: Tensor) -> Tensor:
        outputs: list[Any] = []

        def keep(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
            outputs.append(output)
            # what follows may work in place (ReLU, +=): on a copy, or it would change what we kept
            return output.clone() if isinstance(output, Tensor) else output

        with known[module].register_forward_hook(keep):
            model(batch)
        if not outputs or not isinstance(outputs[-1], Tensor):
            found = f"puts out a {type(outputs[-1]).__name__}" if outputs else "did not run"
            raise ValueError(f"module {module!r} {found}: name one that puts out a tensor")
        return outputs[-1]

    return run


def map_of(model: nn.Module, name: str = "the model") -> Target:
    """The target that is what a model returns: its map, or its logits, summed; of (logits, last
    map) the map. Raises ValueError, the target does, for something else.
    """

    def run(batch: Tensor) -> Tensor:
        found = model(batch)
        if isinstance(found, tuple) and len(found) == 2:
            found = found[1] if isinstance(found[1], Tensor) else found[0]
        if not isinstance(found, Tensor):
            raise ValueError(
                f"{name} puts out a {type(found).__name__}: it must return a map, logits or "
                "(logits, map); or name a layer"
            )
        return found

    return run


def target_of(network: nn.Module, kind: str, label: int | None = None) -> Target:
    """A target of one of scaling.networks, which takes (B, C, F, N) and puts out an Output.

    feature: the penultimate map, summed over its channels (Luo et al.; Koutini et al.'s text).
    logits: the map of class scores before pooling, summed over classes (their public code); it is
    ill-conditioned, as a shift common to all scores changes no decision. class: the scores of class
    `label` alone. A network without a map of scores is asked for its logits. Raises ValueError for
    another kind, a class without a label or a label without a class.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind} must be one of {', '.join(KINDS)}")
    if (kind == "class") != (label is not None):
        raise ValueError(f"kind={kind} with label={label}: kind=class, and no other, takes a label")
    if kind == "feature":
        return lambda batch: network(batch).features_BCFN
    scores: Target = lambda batch: network(batch).logits_BY  # noqa: E731
    if SCORES in dict(network.named_modules()):
        scores = output_of(network, SCORES)
    if label is None:
        return scores

    def score(batch: Tensor) -> Tensor:
        scored = scores(batch)
        if not 0 <= label < scored.shape[1]:
            raise ValueError(f"label={label}: this network has classes 0 to {scored.shape[1] - 1}")
        return scored[:, label : label + 1]

    return score


def cropped(target: Target, field: Field, pixel: tuple[int, int], size: tuple[int, int]) -> Target:
    """The same target at this pixel of its map, computed from the pixel's maximum field alone.

    The same map but for rounding, and faster by the share of the input that is left out. Only for
    networks that `field` describes wholly and that take inputs of any size: no attention, no
    pooling over the map before the target, no dense layer on a flattened map. `size` is that of the
    whole input (rows, columns), which the target still takes.
    """
    crops, at = [], []
    for axis, index, length in zip(field, pixel, size, strict=True):
        first, last = axis.interval(index, length)
        skipped = first // axis.step  # whole steps, so that every stride falls where it fell
        crops.append(slice(skipped * axis.step, last + 1))
        at.append(index - skipped)

    def run(batch: Tensor) -> Tensor:
        if batch.shape[-2:] != size:
            raise ValueError(
                "an input of {} x {}: this target was cropped from {} x {}".format(
                    *batch.shape[-2:], *size
                )
            )
        return target(batch[..., crops[0], crops[1]])[:, :, at[0], at[1]]

    return run


def place_of(field: Field, pixel: tuple[int, int], size: tuple[int, int]) -> Place:
    """Where the maximum field of this pixel lies in an input of this size (rows, columns).

    A field that reaches beyond the input is clipped to it, with a warning: a published network of
    295 x 295 is asked about 256 mel bands. Its numbers are of what is left, and are comparable only
    at one input size.
    """
    centre = (field.rows.centre(pixel[0]), field.columns.centre(pixel[1]))
    rows, columns = (
        axis.interval(index, length) for axis, index, length in zip(field, pixel, size, strict=True)
    )
    height, width = rows[1] - rows[0] + 1, columns[1] - columns[0] + 1
    if (height, width) != (field.rows.side, field.columns.side):
        warnings.warn(
            f"the maximum field of {field.rows.side} x {field.columns.side} pixels reaches beyond "
            f"the input of {size[0]} mel bands x {size[1]} frames: its ERF is clipped to "
            f"{height} x {width}",
            stacklevel=2,
        )
    return Place(centre, (rows, columns))


def numbers(values_FN: NDArray[np.floating], place: Place) -> Numbers:
    """The numbers of a map, of any scale. Raises ValueError for one that is zero or not finite."""
    _check(values_FN)
    g_FN = values_FN.astype(np.float64) / np.max(values_FN)  # no sum of squares can overflow
    mass = g_FN.sum()
    rows_F, columns_N = g_FN.sum(axis=1) / mass, g_FN.sum(axis=0) / mass
    row, column = place.centre
    outside_FN = np.ones(g_FN.shape, bool)
    outside_FN[tuple(slice(first, last + 1) for first, last in place.box)] = False
    return Numbers(
        row=row,
        column=column,
        sigma_f=_deviation(rows_F),
        sigma_t=_deviation(columns_N),
        f50=_width(rows_F, row, 0.5),
        t50=_width(columns_N, column, 0.5),
        f95=_width(rows_F, row, TWO_SIGMA),
        t95=_width(columns_N, column, TWO_SIGMA),
        # Luo et al. compare with the centre; where a network strides, the largest value, which is
        # the centre of their Gaussian, lies beside the middle pixel
        luo_side=math.sqrt(np.count_nonzero(g_FN > 1 - TWO_SIGMA)),
        participation=float(mass**2 / np.square(g_FN).sum()),
        inside=float(1 - g_FN[outside_FN].sum() / mass),
    )


def _deviation(marginal: NDArray[np.float64]) -> float:
    """Standard deviation, in pixels, of a marginal that sums to 1."""
    at = np.arange(len(marginal))
    return math.sqrt(marginal @ np.square(at - marginal @ at))


def _width(marginal: NDArray[np.float64], centre: float, share: float) -> int:
    """Pixels of the smallest window symmetric about the centre that holds this share."""
    distances, at = np.unique(np.abs(np.arange(len(marginal)) - centre), return_inverse=True)
    held = np.cumsum(np.bincount(at, weights=marginal))
    reach: float = distances[np.searchsorted(held, share - ROUNDING)]
    return round(2 * reach + 1)


def _check(values_FN: NDArray[np.floating]) -> None:
    """Raise ValueError for a map that no number can be taken of."""
    if not np.isfinite(values_FN).all():
        raise ValueError(
            "the ERF map is not finite because the model's weights or its inputs are not"
        )
    if not values_FN.any():
        raise ValueError(
            "the ERF map is zero everywhere: the target does not depend on the input (before its "
            "first step a fixup network's logits do not: train it, or take kind=feature)"
        )


def _gradient(batch: Tensor, target: Target) -> tuple[Tensor, tuple[int, int] | None]:
    """The gradient of each clip's target with respect to that clip; the pixel targeted."""
    if batch.ndim < 3:
        raise ValueError(
            f"a batch of shape {tuple(batch.shape)}: an ERF map needs (B, C, rows, columns) or "
            "(B, rows, columns)"
        )
    # not even under no_grad: leaving inference mode turns gradients on
    with torch.inference_mode(False), torch.autocast(batch.device.type, enabled=False):
        leaf = batch.detach().clone().requires_grad_()
        output = target(leaf.clone())  # a first layer that works in place may not touch a leaf
        if output.ndim not in (1, 2, 4) or len(output) != len(batch):
            raise ValueError(
                f"a target of shape {tuple(output.shape)} for {len(batch)} clips: it must be "
                "(B, C, rows, columns), (B, C) or (B,)"
            )
        pixel = None
        if output.ndim == 4:
            pixel = (output.shape[2] // 2, output.shape[3] // 2)
            output = output[:, :, *pixel]
        if not output.requires_grad:
            raise ValueError("the target does not depend on the input: it must call the model")
        (gradient,) = torch.autograd.grad(output.sum(), leaf)
    return gradient, pixel


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode and without parameters to learn; afterwards as it was."""
    modes = [(module, module.training) for module in model.modules()]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.eval()
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
        for module, training in modes:
            module.training = training
