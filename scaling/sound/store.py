"""Packed clips: each decoded, mixed to mono and resampled once, then read by every trial as int16.

A store is a folder `<cache>/<digest>-<rate>/`, named by what its clips hold: `waves.int16`
(little-endian, all clips one after another), `clips.parquet` (the clip table, with each clip's
offset and length in samples, and what is wrong with its sound), `store.json` (what it is) and the
seal over them. It is memory-mapped, so that all processes of a machine share one copy.
Conventions: mono is the mean of the channels; the resampler is soxr's HQ; a sample is
round(32768 x value), limited to full scale, and how many lay beyond it stands in store.json.
`scaling.sound.packing` writes it. Contents: Store, `ready`, `proven`.
"""

# B clips of a batch, N clips of the store, T samples of a clip

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from scaling.settings import Sound
from scaling.sound import checksums
from scaling.sound.batches import Mapped, Pinned, Uploaded
from scaling.sound.clip_table import COLUMNS, digest, glance

VERSION = 2  # of the folder's layout: any other is packed again
WAVES, CLIPS, FACTS = "waves.int16", "clips.parquet", "store.json"


@dataclass(frozen=True)
class Store:
    """A dataset's clips, ready to be trained on. Pickles as its folder's path."""

    folder: Path
    table: pd.DataFrame  # COLUMNS, one row per clip
    digest: str  # of the table
    rate: int  # Hz
    labels: tuple[str, ...]  # class names, in alphabetical order
    targets: np.ndarray  # int64: each clip's index into labels
    read: Mapped | Pinned | Uploaded
    unusable: Mapping[str, str] = field(default_factory=dict)  # what is wrong with a clip's sound

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a packed store in milliseconds. Raises ValueError when a look shows damage.

        Its waves are not read: see `checksums.verify`.
        """
        try:
            facts = json.loads((folder / FACTS).read_bytes())
            if facts["version"] != VERSION:
                raise ValueError(f"layout {facts['version']}, this Overhear knows {VERSION}")
            checksums.check(folder)
            frame = pq.read_table(folder / CLIPS).to_pandas()
            starts, lengths = frame["offset"].to_numpy(), frame["length"].to_numpy()
            if len(frame) != facts["clips"] or int(lengths.sum()) != facts["samples"]:
                raise ValueError(f"{CLIPS} does not hold the {facts['clips']} clips it should")
            if lengths.min() < 1 or (starts != np.cumsum(lengths) - lengths).any():
                raise ValueError(f"{CLIPS} has clips that do not follow one another")
            if (size := (folder / WAVES).stat().st_size) != 2 * facts["samples"]:
                raise ValueError(f"{WAVES} has {size} bytes, not {2 * facts['samples']}")
            waves = np.asarray(np.memmap(folder / WAVES, dtype="<i2", mode="r"))
            table = frame[list(COLUMNS)].astype({name: kind for name, (kind, _) in COLUMNS.items()})
            named, rate = str(facts["digest"]), int(facts["rate"])
        except (
            OSError,
            ValueError,
            TypeError,
            KeyError,
            RecursionError,
            pa.ArrowException,
        ) as error:
            raise damaged(folder, _reason(error)) from None
        names, targets = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
        labels = tuple(names.tolist())
        read = Mapped(waves, starts, lengths)
        bad = frame.get("fault", pd.Series("", index=frame.index))
        unusable = dict(zip(table["clip"][bad != ""], bad[bad != ""], strict=True))
        return cls(folder, table, named, rate, labels, targets, read, unusable)

    @cached_property
    def glance(self) -> str:
        """What records of earlier versions name these clips by: see `clip_table.glance`."""
        return glance(self.table)

    def batch(self, indices: np.ndarray, samples: int) -> Tensor:
        """Clips from their start, cut, or zero-padded or tiled at the end: int16 (B, samples)."""
        return self.read(indices, samples)

    def tiled(self) -> Self:
        """The same store, whose short clips are repeated up to the samples that are asked for."""
        assert isinstance(self.read, Mapped), "tile before it is resident"
        return replace(self, read=self.read._replace(tiled=True))

    def resident(self, device: torch.device, samples: int) -> Self:
        """The same store for a GPU: uploaded whole if that takes up to half of its free memory.

        A larger one sends its batches through pinned memory. `batch` then takes at most `samples`.
        """
        if device.type != "cuda":
            return self
        assert isinstance(self.read, Mapped), "resident already"
        if 2 * len(self.table) * samples <= torch.cuda.mem_get_info(device)[0] / 2:
            return replace(self, read=self._upload(device, samples))
        return replace(self, read=Pinned(self.read, device))

    def _upload(self, device: torch.device, samples: int) -> Uploaded:
        waves_NT = torch.empty((len(self.table), samples), dtype=torch.int16, device=device)
        for start in range(0, len(waves_NT), 256):
            part_NT = waves_NT[start : start + 256]
            part_NT.copy_(self.batch(np.arange(start, start + len(part_NT)), samples))
        return Uploaded(waves_NT)

    def __reduce__(self) -> tuple[Any, ...]:
        return Store.open, (self.folder,)


class Packed(Protocol):
    """Clips of a store, or of one that is made from it."""

    def tiled(self) -> Self:
        """See Store.tiled."""

    def resident(self, device: torch.device, samples: int) -> Self:
        """See Store.resident."""


P = TypeVar("P", bound=Packed)


def ready(packed: P, sound: Sound, device: torch.device) -> P:
    """Clips as a trial hears them: short ones filled, and on its device where they fit."""
    filled = packed.tiled() if sound.fill == "tile" else packed
    return filled.resident(device, sound.samples)


def proven(folder: Path) -> Store:
    """The store in a folder that is named by what it holds. Raises ValueError as `open` does, and
    for a store of another name.
    """
    store = Store.open(folder)
    if folder.name != (name := f"{digest(store.table)}-{store.rate}"):
        raise damaged(folder, f"it holds the clips of {name}")
    return store


def damaged(folder: Path, reason: str) -> ValueError:
    """The error that says what is wrong with a store, and what helps."""
    return ValueError(f"store {folder} is damaged ({reason}): it must be packed again")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, OSError) and error.filename:
        return f"{Path(error.filename).name}: {error.strerror}"
    return str(error).splitlines()[0]
