"""Packed clips: each decoded, mixed to mono and resampled once, then read by every trial as int16.

A store is a folder `<cache>/<digest>-<rate>/`, named by what its clips hold: `waves.int16`
(little-endian, all clips one after another), `clips.parquet` (the clip table, with each clip's
offset and length in samples, and what is wrong with its sound), `store.json` (what it is) and the
seal over them. It is memory-mapped, so that all processes of a machine share one copy.
Conventions: mono is the mean of the channels; the resampler is soxr's HQ; a sample is
round(32768 x value), limited to full scale, and how many lay beyond it stands in store.json.
Contents: Store, `ready`, `proven`, `pack`; `describe`, which writes what a store is.
"""

# B clips of a batch, N clips of the store, T samples of a clip

import json
import sys
import warnings
from collections.abc import Mapping, Sequence
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
from scaling.sound import checksums, contents, waves
from scaling.sound.batches import Mapped, Pinned, Uploaded
from scaling.sound.cache import draft, kept, whole
from scaling.sound.clips import COLUMNS, Clips, digest, glance, some

VERSION = 2  # of the folder's layout: any other is packed again
WAVES, CLIPS, FACTS = "waves.int16", "clips.parquet", "store.json"
NAMED = 10  # unreadable files that an error names before it counts the rest
LIMITED = 1e-3  # share of samples beyond full scale above which the files' scale is in doubt


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
            raise _damaged(folder, _reason(error)) from None
        names, targets = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
        labels = tuple(names.tolist())
        read = Mapped(waves, starts, lengths)
        bad = frame.get("fault", pd.Series("", index=frame.index))
        unusable = dict(zip(table["clip"][bad != ""], bad[bad != ""], strict=True))
        return cls(folder, table, named, rate, labels, targets, read, unusable)

    @cached_property
    def glance(self) -> str:
        """What records of earlier versions name these clips by: see `clips.glance`."""
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
        raise _damaged(folder, f"it holds the clips of {name}")
    return store


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

    Every byte of a file is read where it was touched since it was packed, and every byte of the
    store where that was: what is not whole is packed again, with a warning. Raises ValueError that
    names the files which cannot be read; with `skip_unreadable` they are left out with a warning,
    and the store is that of the remaining table. Warns of clips without usable sound. For the cache
    see `cache.place`.
    """
    store = kept(
        cache,
        f"{clips.digest}-{rate}",  # what the files hold is not known yet
        lambda place: _find(clips, rate, place.parent, skip_unreadable, progress),
        lambda place: _pack(clips, rate, place, skip_unreadable, workers, progress),
    )
    if bad := store.unusable:
        warnings.warn(
            f"{len(bad)} of {len(store.table)} clips of {clips.dataset} have no usable sound: "
            f"{some(f'{name} ({why})' for name, why in bad.items())}: mend them or leave them out "
            f"(overhear data check {clips.dataset} names them all)",
            stacklevel=2,
        )
    return store


def _find(clips: Clips, rate: int, cache: Path, skip: bool, progress: bool) -> Store | None:
    """The store, where it lies whole in the cache; with `skip`, that of the clips once readable."""
    read = contents.recalled(clips, cache, progress=progress)
    if read is None or (contents.has_files(clips) and (read.table["content"] == "").any()):
        return None
    folder = cache / f"{digest(read.table)}-{rate}"
    if skip and (found := _skipped(read, folder)):
        name, left_out = found
        if store := whole(proven, folder.with_name(name), verified=True):
            _warn_left_out(left_out)
            return store
    return whole(proven, folder, verified=True)


def _skipped(read: Clips, folder: Path) -> tuple[str, dict[str, str]] | None:
    """The name of the store without the clips that were left out of a folder's, and these; None
    where nothing was, or what says so is not as it was written.
    """
    try:
        found = json.loads(_record(folder).read_bytes())
        left_out = {str(clip): str(why) for clip, why in found["left_out"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    rest = read.table[~read.table["clip"].isin(list(left_out))]
    name = f"{digest(rest)}-{folder.name.rpartition('-')[2]}"
    return (name, left_out) if found.get("store") == name else None


def _record(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.skipped.json")


def _pack(
    clips: Clips, rate: int, place: Path, skip: bool, workers: int | None, progress: bool
) -> Store:
    """Write the store under another name, then rename it. The caller holds the lock."""
    with draft(place) as writing:
        label = f"packing {clips.dataset} at {rate} Hz" if progress else ""
        if label and not sys.stderr.isatty():  # where no bar says what is waited for
            print(label, file=sys.stderr, flush=True)
        packed = waves.write(clips, rate, writing / WAVES, workers, label)
        if packed.bad and (not skip or not packed.lengths):
            raise ValueError(_complaint(packed.bad, clips))
        if contents.has_files(clips):
            clips = contents.filled(clips, [each.content for each in packed.reads])
        final = place.with_name(f"{_write_facts(clips, rate, writing, packed)}-{rate}")
        checksums.settle(writing, final, {WAVES: packed.waves})
        contents.note(clips, packed.reads, place.parent)
        if packed.bad and not (clips.table["content"] == "").any():
            record = {"store": final.name, "left_out": packed.bad}
            whole_name = place.with_name(f"{digest(clips.table)}-{rate}")
            checksums.put(_record(whole_name), json.dumps(record, indent=1).encode())
    if packed.bad:
        _warn_left_out(packed.bad)
    return proven(final)


def describe(
    folder: Path,
    table: pd.DataFrame,
    lengths: Sequence[int] | np.ndarray,
    named: str,
    rate: int,
    facts: Mapping[str, Any],
    faults: Sequence[str] | None = None,
) -> None:
    """Write the table of a store, with where each clip lies in its waves, and what it is: `named`
    is the digest of its clips.
    """
    ends = np.cumsum(lengths)
    columns = pa.Table.from_pandas(table, preserve_index=False)
    columns = columns.append_column("offset", pa.array(ends - lengths))
    columns = columns.append_column("length", pa.array(lengths))
    if faults is not None:
        columns = columns.append_column("fault", pa.array(faults))
    # Without pandas' own metadata any version of it reads what any other has written.
    pq.write_table(columns.replace_schema_metadata(None), folder / CLIPS)
    own = {"version": VERSION, "digest": named, "rate": rate}
    own |= {"clips": len(table), "samples": int(ends[-1])}
    (folder / FACTS).write_text(json.dumps(own | dict(facts), indent=1))


def _write_facts(clips: Clips, rate: int, draft: Path, packed: waves.PackedWaves) -> str:
    """Write the table and the description of a draft; the digest of the table."""
    rest = clips.table[~clips.table["clip"].isin(list(packed.bad))].reset_index(drop=True)
    named, samples, limited = digest(rest), sum(packed.lengths), packed.limited
    facts = {"dataset": clips.dataset, "samples_beyond_full_scale": limited}
    describe(draft, rest, packed.lengths, named, rate, facts, packed.faults)
    if limited > LIMITED * samples:
        warnings.warn(
            f"{clips.dataset}: {limited} of {samples} samples lay beyond full scale and were "
            "limited: floating-point sound files must keep within -1 and 1",
            stacklevel=2,
        )
    return named


def _damaged(folder: Path, reason: str) -> ValueError:
    return ValueError(f"store {folder} is damaged ({reason}): it must be packed again")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, OSError) and error.filename:
        return f"{Path(error.filename).name}: {error.strerror}"
    return str(error).splitlines()[0]


def _complaint(bad: dict[str, str], clips: Clips) -> str:
    named = "; ".join(f"{name}: {why}" for name, why in list(bad.items())[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    return (
        f"{len(bad)} of {len(clips.table)} clips of {clips.dataset} cannot be read: {named}{more} "
        "(--skip-unreadable leaves them out)"
    )


def _warn_left_out(bad: dict[str, str]) -> None:
    warnings.warn(f"{len(bad)} unreadable clips are left out: {some(bad)}", stacklevel=3)
