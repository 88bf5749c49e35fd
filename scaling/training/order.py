"""Order: which clips each step of an epoch is made of.

Contents: `batches`, `check`.
"""

from collections.abc import Iterator

import numpy as np

from scaling.objectives.prototypes import Prototypes
from scaling.settings import Trial
from scaling.training.optimizer import steps_of


def batches(
    trial: Trial, train: np.ndarray, targets: np.ndarray, shuffle: np.random.Generator
) -> Iterator[np.ndarray]:
    """The clips of each step of an epoch: rows of the clip table, drawn from its stream `shuffle`.
    `targets` are the classes of all rows.

    In every pass each clip comes once; with queries of prototypes, each step draws as many clips of
    each class instead, `training.passes` of each at most (Pons et al. 2019: patches of a clip).
    """
    training = trial.training
    count = steps_of(training, len(train) * training.passes)
    if queries := _queries(trial):
        of_class = [np.tile(train[targets[train] == y], training.passes) for y in _classes(targets)]
        for _ in range(count):
            drawn = [shuffle.choice(own, min(queries, len(own)), replace=False) for own in of_class]
            yield np.concatenate(drawn)
        return
    order = np.concatenate([shuffle.permutation(train) for _ in range(training.passes)])
    for step in range(count):
        yield order[step * training.batch : (step + 1) * training.batch]


def check(trial: Trial, classes: int) -> None:
    """Raises ValueError where a batch is not as large as the queries of all classes."""
    queries, batch = _queries(trial), trial.training.batch
    if queries and batch != queries * classes:
        raise ValueError(
            f"training.batch={batch}: objective.queries={queries} of each of {classes} classes are "
            f"{queries * classes} clips: set training.batch={queries * classes}"
        )


def _queries(trial: Trial) -> int:
    """Clips of each class in a step; 0: drawn from all alike."""
    return trial.objective.queries if isinstance(trial.objective, Prototypes) else 0


def _classes(targets: np.ndarray) -> range:
    return range(int(targets.max()) + 1)
