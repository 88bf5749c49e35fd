"""An augmentation of a person's own, by the name `module:Class`: a function of waves, or a
Transform.

A function is given the chosen clips as waves (B, T) and a random stream; its further keywords are
options. A subclass of Transform has the options as keywords of its constructor.
"""

# B clips of a batch, K of them chosen, T samples

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scaling.own import options, parts
from scaling.own.names import TRANSFORM
from scaling.settings import Augment, Sound
from scaling.sound.store import Store
from scaling.sound.transforms.transform import Batch, Transform


@lru_cache(maxsize=100)
def of(augment: Augment) -> type[Transform]:
    """The transform that augment.transform names, with its options. Raises ValueError as
    scaling.own.parts.loaded does, and where it is neither.
    """
    kind = augment.transform
    thing = parts.loaded(kind, augment.source, TRANSFORM)
    own = options.values(thing, augment.options, TRANSFORM.prefix)
    if isinstance(thing, type):
        return _class(kind, thing, own)

    class Applied(Transform):
        """A person's function."""

        changes = "wave"

        def apply(self, x_B: Tensor, batch: Batch) -> Tensor:
            """See Transform.apply."""
            rows_K = torch.from_numpy(np.flatnonzero(batch.chosen_B.numpy())).to(x_B.device)
            before_KT = x_B[rows_K]
            after_KT = thing(before_KT.clone(), batch.stream, **own)
            x_B[rows_K] = _alike(kind, before_KT, after_KT)
            return x_B

    return Applied


def _class(kind: str, thing: type, own: dict[str, Any]) -> type[Transform]:
    if not issubclass(thing, Transform) or getattr(thing, "changes", "") not in (
        "wave",
        "features",
    ):
        raise ValueError(
            f"augment.transform={kind}: it must be a function of waves and a stream, or a subclass "
            'of Transform with changes = "wave" or "features"'
        )
    base: Any = thing

    class Optioned(base):  # type: ignore[misc]
        """A person's transform, with its options."""

        def __init__(self, store: Store, sound: Sound, device: torch.device) -> None:
            super().__init__(store, sound, device, **own)

        def apply(self, x_B: Tensor, batch: Batch) -> Tensor:
            """See Transform.apply."""
            return _alike(kind, x_B, super().apply(x_B, batch))

    return Optioned


def _alike(kind: str, before: Tensor, after: Any) -> Tensor:
    """What came out, if it has the shape and type of what went in."""
    if isinstance(after, Tensor) and (after.shape, after.dtype) == (before.shape, before.dtype):
        return after
    what = f"{after.dtype} {tuple(after.shape)}" if isinstance(after, Tensor) else type(after)
    raise ValueError(
        f"augment.transform={kind} makes {what} of {before.dtype} {tuple(before.shape)}: it must "
        "keep shape and type"
    )
