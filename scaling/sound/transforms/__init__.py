"""Transforms: what may happen to a clip beside roll and mixup, one file each, by name.

A new transform is a file with one subclass of Transform, and its name in
scaling.settings.transforms. Contents: TRANSFORMS, `of`, `draw`.
"""

# B clips of a batch

from collections.abc import Mapping
from importlib import import_module

import numpy as np
import torch
from torch import Tensor

from scaling.own.names import is_own
from scaling.settings import Trial
from scaling.settings import transforms as names
from scaling.sound.transforms import own
from scaling.sound.transforms.transform import UNCHANGED, Transform


def _found(name: str) -> type[Transform]:
    (found,) = (
        each
        for each in vars(import_module(f"{__name__}.{name}")).values()
        if isinstance(each, type) and issubclass(each, Transform) and each is not Transform
    )
    return found


TRANSFORMS = {name: _found(name) for name in names.TRANSFORMS}


def of(trial: Trial, name: str) -> type[Transform]:
    """The transform of this name, of a trial that names it. Raises ValueError in one line for a
    person's own that is not at hand.
    """
    return own.of(trial.augment) if is_own(name) else TRANSFORMS[name]


def draw(
    stream: np.random.Generator,
    batch: int,
    named: names.Transforms,
    share: float,
    variants: Mapping[str, int] | None = None,
) -> dict[str, Tensor]:
    """By each transform that is named, which variant of each clip is heard: (B,) int64.

    With probability 1 - share a clip is UNCHANGED, else each variant has the same probability, as
    have both halves of a combination. `variants` says how many there are, where a trial's
    transforms have others than their classes do.
    """
    counts = {name: TRANSFORMS[name].variants for name in names.COMBINATION} | dict(variants or {})
    # All are drawn, whatever is named, so that the next batch draws the same.
    taken = stream.random(batch) < share
    drawn = {name: stream.integers(counts[name], size=batch) for name in names.COMBINATION}
    first = stream.random(batch) < 0.5
    chosen = dict.fromkeys(names.named(named), taken)
    if named == "combination":
        chosen = dict(zip(names.COMBINATION, (taken & first, taken & ~first), strict=True))
    zeros = np.zeros(batch, np.int64)
    return {
        name: torch.from_numpy(np.where(chosen_B, drawn.get(name, zeros), UNCHANGED))
        for name, chosen_B in chosen.items()
    }
