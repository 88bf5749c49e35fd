"""Synthetic store: packed clips of noise, to measure how long real steps take.

All clips share the samples of one; what the trial's transforms need lies beside them, without its
content where that costs no time. Contents: `store`.
"""

from pathlib import Path

import numpy as np

from scaling.seeds import stream
from scaling.settings import Trial
from scaling.sound import clips, transforms
from scaling.sound.batches import Mapped
from scaling.sound.store import Store

LOUDNESS = 3000  # deviation of the samples, of 32768


def store(trial: Trial, classes: int, train: int, held: int, folder: Path) -> Store:
    """So many clips to train on (fold 2) and to score (fold 1), as long as the trial hears them.

    What the trial's transforms need is made below `folder`.
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
    for name in trial.transforms:
        transforms.of(trial, name).simulate(made)
    return made
