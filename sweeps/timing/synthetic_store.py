"""Synthetic store: packed clips of noise, to measure how long real steps take.

All clips share the samples of one; the pitch-shifted copies and the rooms beside them are silent
ones of the right sizes, as their content costs no time. Contents: `store`.
"""

# N clips of the store, M rooms, K samples of a response

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scaling.seeds import stream
from scaling.settings import Trial
from scaling.sound import augment, checksums, clips, pitch, rooms
from scaling.sound import store as stores
from scaling.sound.augment import ROOMS, RT60, SEMITONES
from scaling.sound.batches import Mapped
from scaling.sound.store import CLIPS, FACTS, WAVES, Store

LOUDNESS = 3000  # deviation of the samples, of 32768


def store(trial: Trial, classes: int, train: int, held: int, folder: Path) -> Store:
    """So many clips to train on (fold 2) and to score (fold 1), as long as the trial hears them.

    The copies and rooms that the trial needs are made below `folder`.
    """
    rows = [
        {"clip": f"{part}{n:06}", "label": f"class{n % classes:04}", "fold": fold}
        for part, count, fold in (("train", train, 2), ("held", held, 1))
        for n in range(count)
    ]
    table = clips.table(rows)
    samples, rate = trial.sound.samples, trial.sound.rate
    waves = stream(0, "noise").normal(0, LOUDNESS, samples).clip(-32768, 32767).astype(np.int16)
    read = Mapped(waves, np.zeros(len(table), int), np.full(len(table), samples))
    names, targets = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
    made = Store(folder / "noise", table, "noise", rate, tuple(names.tolist()), targets, read)
    kinds = augment.kinds(trial.augment.transform, trial.evaluation.disagreement)
    if "pitch" in kinds:
        _copies(table, rate, samples, folder / f"noise-pitched-v{pitch.VERSION}")
    if "reverb" in kinds:
        _rooms(rate, folder / f"rooms-v{rooms.VERSION}-{rate}-{ROOMS}")
    return made


def _copies(table: pd.DataFrame, rate: int, samples: int, folder: Path) -> None:
    """Silent copies of every clip, as scaling.sound.pitch keeps them; they take no disk space."""
    copies = table.iloc[np.repeat(np.arange(len(table)), len(SEMITONES))]
    folder.mkdir()
    with (folder / WAVES).open("wb") as file:
        file.truncate(2 * samples * len(copies))
    lengths = np.full(len(copies), samples)
    packed = pa.Table.from_pandas(copies, preserve_index=False)
    packed = packed.append_column("offset", pa.array(np.cumsum(lengths) - lengths))
    packed = packed.append_column("length", pa.array(lengths))
    pq.write_table(packed.replace_schema_metadata(None), folder / CLIPS)
    facts = {"version": stores.VERSION, "digest": "noise", "rate": rate, "clips": len(copies)}
    (folder / FACTS).write_text(json.dumps(facts | {"samples": int(lengths.sum())}))
    checksums.vouch(folder)


def _rooms(rate: int, folder: Path) -> None:
    """Responses of the longest RT60, as scaling.sound.rooms keeps them: direct sound alone."""
    folder.mkdir()
    shape = (ROOMS, round(RT60[1] * rate))
    responses_MK = np.lib.format.open_memmap(folder / rooms.RESPONSES, "w+", np.float32, shape)
    responses_MK[:, 0] = 1
    del responses_MK
    pq.write_table(pa.table({"rt60": np.full(shape[0], RT60[1])}), folder / rooms.TABLE)
    checksums.vouch(folder)
