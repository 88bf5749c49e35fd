"""State dicts: whether one fits another, name by name."""

from collections.abc import Mapping

from torch import Tensor


class Misfit(ValueError):
    """A state that is none of this trial's network and optimizer."""


def check_alike(what: str, found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raise Misfit unless both have the same names, shapes and types."""
    if found.keys() != own.keys():
        raise Misfit(f"{what} has other layers")
    for name, value in own.items():
        if (found[name].shape, found[name].dtype) != (value.shape, value.dtype):
            raise Misfit(f"{what} has another {name}")
