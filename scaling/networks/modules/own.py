"""A person's own torch module as a network: built from the trial's seed, checked, measured.

Its Conv1d, Conv2d and Linear layers become ones that masks can cut. Its multiply-adds are half of
the FLOPs that torch counts (convolutions and matrix products) in one clip's forward pass.
"""

# B clips, F mel bands, N frames, Y classes

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from scaling.networks.cost import Cost, LayerCost, Sides, of_parts
from scaling.networks.modules.kernels import Prunable
from scaling.networks.modules.output import Output


class Recipe(NamedTuple):
    """A person's module that can be constructed."""

    kind: str  # its name
    make: Callable[[Mapping[str, Any]], Any]  # from classes, mels and frames; raises ValueError
    classes: int
    size: Sides  # of its inputs


class OwnConvolution(Prunable, nn.Conv2d):
    """A person's convolution over maps, of which weights can be cut."""


class OwnConvolution1d(Prunable, nn.Conv1d):
    """The same over sequences."""


class OwnLinear(Prunable, nn.Linear):
    """A person's dense layer, of which weights can be cut."""


PRUNABLE: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv1d: OwnConvolution1d,
    nn.Conv2d: OwnConvolution,
    nn.Linear: OwnLinear,
}


class OwnModule(nn.Module):
    """Features (B, 1, F, N) to an Output, whatever form the person's module gives it."""

    def __init__(self, kind: str, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.kind, self.net, self.classes = kind, net, classes

    def forward(self, x_BCFN: Tensor) -> Output:
        """Raises ValueError where the module puts out another shape than (B, classes)."""
        found = self.net(x_BCFN)
        if isinstance(found, Tensor):
            found = Output(found, None)  # type: ignore[arg-type]
        elif isinstance(found, tuple) and not isinstance(found, Output) and len(found) == 2:
            found = Output(*found)
        wanted = x_BCFN.shape[0], self.classes  # not len, which fixes the batch of an export
        if not isinstance(found, Output) or not isinstance(found.logits_BY, Tensor):
            what = f"a {type(found).__name__}"
        elif tuple(found.logits_BY.shape) != wanted:
            what = f"logits {tuple(found.logits_BY.shape)}"
        else:
            return found
        raise ValueError(
            f"network.kind={self.kind} makes {what} of features {tuple(x_BCFN.shape)}: it must put "
            f"out logits {wanted} (clips, classes), or (logits, last map)"
        )


def built(recipe: Recipe, generator: torch.Generator) -> OwnModule:
    """The network, constructed while torch's own generator is seeded from `generator`. Raises
    ValueError in one line for what the constructor raises, and for what is no torch module.
    """
    kind, classes, size = recipe.kind, recipe.classes, recipe.size
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = recipe.make({"classes": classes, "mels": size[0], "frames": size[1]})
    if not isinstance(made, nn.Module):
        raise ValueError(
            f"network.kind={kind} makes a {type(made).__name__}: it must be a torch.nn.Module, or "
            "a subclass of scaling.networks.Network"
        )
    for module in made.modules():
        if prunable := PRUNABLE.get(type(module)):
            module.__class__ = prunable
            module.register_buffer("mask", None, persistent=False)
    return OwnModule(kind, made, classes)


def measured(recipe: Recipe) -> Cost:
    """What the network costs; its receptive field is not known.

    Raises ValueError in one line for a network that does not work on such inputs, puts out another
    shape, or has other weights when it is constructed again from the same seed.
    """
    first, again = (built(recipe, torch.Generator().manual_seed(0)) for _ in range(2))
    other = again.state_dict()
    for name, value in first.state_dict().items():
        if not torch.equal(value, other[name]):
            raise ValueError(
                f"network.kind={recipe.kind}: {name} differs when it is constructed twice from "
                "one seed: draw weights by torch's own functions, which follow the trial's seed, "
                "not by numpy, random or time"
            )
    counter, maps = FlopCounterMode(display=False), dict[str, Sides]()
    first.eval()
    for name, module in first.named_modules():
        module.register_forward_hook(_noting(maps, name))
    _run(recipe.kind, first, torch.zeros(2, 1, *recipe.size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oneDNN, which is off as it hides recurrent layers
        with torch.backends.mkldnn.flags(enabled=False), counter:
            # with gradients, as torch's faster ways without them are not counted
            _run(recipe.kind, first, torch.zeros(1, 1, *recipe.size))
    return _summed(first, counter.get_flop_counts(), maps)


def _run(kind: str, model: nn.Module, x_BCFN: Tensor) -> None:
    try:
        model(x_BCFN)
    except Exception as error:
        if str(error).startswith("network.kind="):
            raise
        line = (str(error) or repr(error)).splitlines()[0]
        raise ValueError(
            f"network.kind={kind} fails on features {tuple(x_BCFN.shape)} (clips, 1, mel "
            f"bands, frames): {type(error).__name__}: {line}"
        ) from error


def _noting(maps: dict[str, Sides], name: str) -> Any:
    def note(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            maps[name] = output.shape[2], output.shape[3]

    return note


def _summed(model: OwnModule, flops: Any, maps: dict[str, Sides]) -> Cost:
    """Costs of the modules that hold parameters, and of what is computed outside of them."""
    top = type(model).__name__
    multiplied = {
        name.removeprefix(top).removeprefix("."): sum(each.values()) // 2
        for name, each in flops.items()
        if name != "Global"
    }
    costs: list[LayerCost] = []
    total = sum(flops["Global"].values()) // 2
    for name, module in model.named_modules():
        own = [each.numel() for each in module.parameters(recurse=False)]
        if not own:
            continue
        weights = module.weight.numel() if isinstance(module, Prunable) else 0
        below = sum(
            multiplied.get(f"{name}.{child}".lstrip("."), 0) for child, _ in module.named_children()
        )
        macs = multiplied.get(name, 0) - below
        size = maps.get(name, (1, 1))
        costs.append(LayerCost(name, sum(own), weights, macs, size, dcase_macs=None))
    if rest := total - sum(each.macs for each in costs):
        costs.append(LayerCost("(outside of layers)", 0, 0, rest, (1, 1), None))
    return of_parts(costs, None)


def uncut(recipe: Recipe) -> str:
    """A layer with weights that masks cannot cut, as `lstm (LSTM)`; "" where there is none."""
    model = built(recipe, torch.Generator().manual_seed(0))
    for name, module in model.net.named_modules():
        if isinstance(module, Prunable):
            continue
        if any(each.ndim > 1 for each in module.parameters(recurse=False)):
            return f"{name} ({type(module).__name__})"
    return ""
