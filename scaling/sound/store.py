"""Packed clips: each decoded, mixed to mono and resampled once, then read by every trial as int16.

A store is a folder `<cache>/<digest>-<rate>/`: `waves.int16` (little-endian, all clips one after
another), `clips.parquet` (the clip table, with each clip's offset and length in samples) and
`store.json` (what it is). It is memory-mapped, so that all processes of a machine share one copy.
Conventions: mono is the mean of the channels; the resampler is soxr's HQ; a sample is
round(32768 x value), limited to full scale, and how many lay beyond it stands in store.json.
Contents: Store and its three ways to read, `pack`, `unreadable`.
"""

# B clips of a batch, N clips of the store, T samples of a clip

import json
import shutil
import warnings
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import soxr
import torch
from torch import Tensor

from scaling.sound.cache import draft, each, kept, whole
from scaling.sound.clips import COLUMNS, Clips, digest, some

VERSION = 1  # of the folder's layout: any other is packed anew
WAVES, CLIPS, FACTS = "waves.int16", "clips.parquet", "store.json"
NAMED = 10  # unreadable files that an error names before it counts the rest
LIMITED = 1e-3  # share of samples beyond full scale above which the files' scale is in doubt


class Mapped(NamedTuple):
    """Reads batches from the memory-mapped file."""

    waves: np.ndarray  # int16, all clips one after another
    starts_N: np.ndarray
    lengths_N: np.ndarray
    tiled: bool = False  # whether a short clip is repeated, not followed by zeros

    def __call__(self, indices_B: np.ndarray, samples: int) -> Tensor:
        """A fresh tensor on the CPU."""
        batch_BT = np.empty((len(indices_B), samples), np.int16)
        lengths_B = np.minimum(self.lengths_N[indices_B], samples)
        for row_T, start, length in zip(batch_BT, self.starts_N[indices_B], lengths_B, strict=True):
            row_T[:length] = self.waves[start : start + length]
            row_T[length:] = np.resize(row_T[:length], samples - length) if self.tiled else 0
        return torch.from_numpy(batch_BT)


class Pinned(NamedTuple):
    """Reads batches from the file and sends them to a GPU while it computes."""

    host: Mapped
    device: torch.device

    def __call__(self, indices_B: np.ndarray, samples: int) -> Tensor:
        """A fresh tensor on the GPU; it may still be on its way."""
        return self.host(indices_B, samples).pin_memory().to(self.device, non_blocking=True)


class Uploaded(NamedTuple):
    """Gathers batches from one tensor that holds every clip."""

    waves_NT: Tensor

    def __call__(self, indices_B: np.ndarray, samples: int) -> Tensor:
        """A fresh tensor on the same device."""
        assert samples <= self.waves_NT.shape[1], "uploaded with fewer samples than now asked for"
        rows_B = torch.from_numpy(indices_B).to(self.waves_NT.device, non_blocking=True)
        return self.waves_NT[:, :samples].index_select(0, rows_B)


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

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a packed store in milliseconds. Raises ValueError when it is not whole."""
        try:
            facts = json.loads((folder / FACTS).read_text())
            if facts["version"] != VERSION:
                raise ValueError(f"layout {facts['version']}, this Overhear knows {VERSION}")
            frame = pq.read_table(folder / CLIPS).to_pandas()
            starts, lengths = frame["offset"].to_numpy(), frame["length"].to_numpy()
            if len(frame) != facts["clips"] or int(lengths.sum()) != facts["samples"]:
                raise ValueError(f"{CLIPS} does not hold the {facts['clips']} clips it should")
            if (size := (folder / WAVES).stat().st_size) != 2 * facts["samples"]:
                raise ValueError(f"{WAVES} has {size} bytes, not {2 * facts['samples']}")
            waves = np.asarray(np.memmap(folder / WAVES, dtype="<i2", mode="r"))
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"store {folder} is not whole ({reason}): delete it and pack again"
            ) from None
        table = frame[list(COLUMNS)].astype({name: kind for name, (kind, _) in COLUMNS.items()})
        names, targets = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
        labels = tuple(names.tolist())
        read = Mapped(waves, starts, lengths)
        return cls(folder, table, facts["digest"], facts["rate"], labels, targets, read)

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


def pack(
    clips: Clips,
    rate: int,
    *,
    cache: Path | None = None,
    skip_unreadable: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> Store:
    """The clips at `rate` Hz, from the cache, or decoded now by `workers` threads into it.

    Raises ValueError that names the files which cannot be read; with `skip_unreadable` they are
    left out with a warning, and the store is that of the remaining table. What is not whole is
    packed again. For the cache see `kept`.
    """
    return kept(
        cache,
        f"{clips.digest}-{rate}",
        lambda folder: _find(folder, skip_unreadable),
        lambda folder: _pack(clips, rate, folder, skip_unreadable, workers, progress),
    )


def unreadable(
    clips: Clips, *, workers: int | None = None, progress: bool = True
) -> dict[str, str]:
    """Why a clip cannot be decoded, for every clip that cannot."""
    names = clips.table["clip"].tolist()
    label = f"checking {clips.dataset}" if progress else ""
    outcomes = each(lambda name: _samples(clips, None, name), names, workers, label)
    return {name: why for name, why in zip(names, outcomes, strict=True) if isinstance(why, str)}


def _find(folder: Path, skip: bool) -> Store | None:
    """The store, where it lies whole in the cache; with `skip`, that of the clips once readable."""
    record = folder.with_name(f"{folder.name}.skipped.json")
    if skip and record.exists():
        found = json.loads(record.read_text())
        if store := whole(Store.open, folder.with_name(found["store"])):
            _warn_left_out(found["left_out"])
            return store
    return whole(Store.open, folder)


def _pack(
    clips: Clips, rate: int, folder: Path, skip: bool, workers: int | None, progress: bool
) -> Store:
    """Write the store under another name, then rename it. The caller holds the lock."""
    with draft(folder) as writing:
        label = f"packing {clips.dataset} at {rate} Hz" if progress else ""
        lengths, bad, beyond = _write_waves(clips, rate, writing / WAVES, workers, label)
        if bad and (not skip or not lengths):
            raise ValueError(_complaint(bad, clips))
        name = f"{_write_facts(clips, rate, writing, lengths, bad, beyond)}-{rate}"
        final = folder.with_name(name)
        if final == folder or whole(Store.open, final) is None:
            shutil.rmtree(final, ignore_errors=True)
            writing.rename(final)
        if bad:
            writing.mkdir(exist_ok=True)
            (writing / FACTS).write_text(json.dumps({"store": name, "left_out": bad}, indent=1))
            (writing / FACTS).replace(folder.with_name(f"{folder.name}.skipped.json"))
            _warn_left_out(bad)
    return Store.open(final)


def _write_waves(
    clips: Clips, rate: int, path: Path, workers: int | None, label: str
) -> tuple[list[int], dict[str, str], int]:
    """Stream every readable clip to `path`: lengths, why the others failed, samples limited."""
    names = clips.table["clip"].tolist()
    lengths: list[int] = []
    bad: dict[str, str] = {}
    limited = 0
    outcomes = each(lambda name: _samples(clips, rate, name), names, workers, label)
    with path.open("wb") as file, closing(outcomes) as read:
        for name, outcome in zip(names, read, strict=True):
            if isinstance(outcome, str):
                bad[name] = outcome
            else:
                file.write(outcome[0].data)
                lengths.append(len(outcome[0]))
                limited += outcome[1]
    return lengths, bad, limited


def _samples(clips: Clips, rate: int | None, name: str) -> tuple[np.ndarray, int] | str:
    """One clip as stored (None: at its own rate), and how many samples were limited; or why not."""
    try:
        samples, own_rate = clips.decode(clips.path(name))
    except (ValueError, OSError) as error:
        return str(error)
    wave_T = samples.mean(axis=1)
    if rate not in (None, own_rate):
        wave_T = soxr.resample(wave_T, own_rate, rate, quality="HQ")
    if not len(wave_T):
        return f"too short: nothing is left of it at {rate} Hz"
    whole_T = np.clip(np.rint(32768 * wave_T), -32768, 32767).astype("<i2")
    return whole_T, int(np.count_nonzero(np.abs(wave_T) > 1))


def _write_facts(
    clips: Clips, rate: int, draft: Path, lengths: list[int], bad: dict[str, str], limited: int
) -> str:
    """Write the table and the description of a draft; the digest of the table."""
    kept = clips.table[~clips.table["clip"].isin(list(bad))].reset_index(drop=True)
    ends = np.cumsum(lengths)
    packed = pa.Table.from_pandas(kept, preserve_index=False)
    packed = packed.append_column("offset", pa.array(ends - lengths))
    packed = packed.append_column("length", pa.array(lengths))
    # Without pandas' own metadata any version of it reads what any other has written.
    pq.write_table(packed.replace_schema_metadata(None), draft / CLIPS)
    facts = {
        "version": VERSION,
        "dataset": clips.dataset,
        "digest": digest(kept),
        "rate": rate,
        "clips": len(kept),
        "samples": int(ends[-1]),
        "samples_beyond_full_scale": limited,
    }
    (draft / FACTS).write_text(json.dumps(facts, indent=1))
    if limited > LIMITED * ends[-1]:
        warnings.warn(
            f"{clips.dataset}: {limited} of {ends[-1]} samples lay beyond full scale and were "
            "limited: floating-point sound files must keep within -1 and 1",
            stacklevel=2,
        )
    return str(facts["digest"])


def _complaint(bad: dict[str, str], clips: Clips) -> str:
    named = "; ".join(f"{name}: {why}" for name, why in list(bad.items())[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    return (
        f"{len(bad)} of {len(clips.table)} clips of {clips.dataset} cannot be read: {named}{more} "
        "(--skip-unreadable leaves them out)"
    )


def _warn_left_out(bad: dict[str, str]) -> None:
    warnings.warn(f"{len(bad)} unreadable clips are left out: {some(bad)}", stacklevel=3)
