"""Packing: clips made a store, or found in the cache as one.

Contents: `pack`; `describe`, which writes what a store is.
"""

import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scaling.sound import checksums, contents, waves
from scaling.sound.cache import draft, kept, whole
from scaling.sound.clip_table import digest, some
from scaling.sound.clips import Clips
from scaling.sound.store import CLIPS, FACTS, VERSION, WAVES, Store, proven

NAMED = 10  # unreadable files that an error names before it counts the rest
LIMITED = 1e-3  # share of samples beyond full scale above which the files' scale is in doubt


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


def _complaint(bad: dict[str, str], clips: Clips) -> str:
    named = "; ".join(f"{name}: {why}" for name, why in list(bad.items())[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    return (
        f"{len(bad)} of {len(clips.table)} clips of {clips.dataset} cannot be read: {named}{more} "
        "(--skip-unreadable leaves them out)"
    )


def _warn_left_out(bad: dict[str, str]) -> None:
    warnings.warn(f"{len(bad)} unreadable clips are left out: {some(bad)}", stacklevel=3)
