"""Transform: what each augmentation of scaling.sound.transforms is made of."""

# B clips of a batch

from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from scaling.settings import Sound
from scaling.sound.store import Store

UNCHANGED = -1  # in place of a variant's number: the clip as it is


class Batch(NamedTuple):
    """Which clips of a batch a transform changes, and how."""

    rows_B: np.ndarray  # of the store
    variants_B: Tensor  # int64, on the CPU: which variant of the clip is heard, or UNCHANGED
    stream: np.random.Generator  # the transform's own, named like it; for all other draws

    @property
    def chosen_B(self) -> Tensor:
        """Whether each clip is changed: bool, on the CPU."""
        return self.variants_B != UNCHANGED


class Transform:
    """What may happen to clips in training, by the name of its file; one object serves a trial."""

    changes: ClassVar[Literal["wave", "features"]]
    # How many ways of changing a clip are drawn with the choice of clips; for COMBINATION only, as
    # their draws share a stream. All others draw from Batch.stream.
    variants: int = 1

    def __init__(self, store: Store, sound: Sound, device: torch.device) -> None:
        """Open what `prepare` made for the store."""
        del store, sound, device

    @classmethod
    def prepare(cls, store: Store, progress: bool = True) -> Any:
        """Make what the transform needs in the cache beside the store, unless it is there."""

    @classmethod
    def simulate(cls, store: Store) -> None:
        """Make what has the sizes of what `prepare` makes, to measure how long steps take."""
        cls.prepare(store, progress=False)

    def apply(self, x_B: Tensor, batch: Batch) -> Tensor:
        """Waves (B, T), full scale 1, or standardized features (B, F, N), with the chosen clips
        changed. At least one is chosen; x_B may be changed in place.
        """
        raise NotImplementedError
