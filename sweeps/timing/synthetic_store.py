"""Synthetic store: packed clips of noise, to measure how long real steps take.

All clips share the samples of one; what the trials' transforms need lies beside them, without its
content where that costs no time. Contents: `store`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scaling.seeds import stream
from scaling.settings import Trial
from scaling.sound import clip_table, transforms
from scaling.sound.batches import Mapped
from scaling.sound.store import Store

LOUDNESS = 3000  # deviation of the samples, of 32768


def store(trials: Sequence[Trial], classes: int, train: int, held: int, folder: Path) -> Store:
    """So many clips to train on (fold 2) and to score (fold 1), as long as the trials hear
    them, which are alike in that.

    What their transforms need is made below `folder`.
    """
    rows = [
        {"clip": f"{part}{n:06}", "label": f"class{n % classes:04}", "fold": fold}
        for part, count, fold in (("train", train, 2), ("held", held, 1))
        for n in range(count)
    ]
    table = clip_table.table(rows)
    samples, rate = trials[0].sound.samples, trials[0].sound.rate
    waves = stream(0, "noise").normal(0, LOUDNESS, samples).clip(-32768, 32767).astype(np.int16)
    read = Mapped(waves, np.zeros(len(table), int), np.full(len(table), samples))
    names, targets = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
    made = Store(folder / "noise", table, "noise", rate, tuple(names.tolist()), targets, read)
    for trial in {each.model_copy(update={"seed": 0}): None for each in trials}:
        for name in trial.transforms:
            transforms.of(trial, name).simulate(made)
    return made
