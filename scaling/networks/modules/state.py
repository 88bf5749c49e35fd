"""State dicts: whether one fits another, name by name; and names of earlier versions.

Contents: Misfit, `check_alike`, `renamed`.
"""

import re
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


# Where layers stood in the state of a classifier before they had one name each (until 2026-11-27).
_EARLIER = (
    (re.compile(r"^network\.base\."), "network."),
    (re.compile(r"^network\.blocks\."), "network."),
    (re.compile(r"^network\.norms\.([^.]+)\."), r"network.\1_norm."),
)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a classifier that an earlier version wrote, by the names that layers have now.

    Only a state that is known to be an earlier version's: a network may call a layer `blocks`.
    """
    found = {}
    for name, value in state.items():
        for earlier, now in _EARLIER:
            name = earlier.sub(now, name)
        found[name] = value
    return found
