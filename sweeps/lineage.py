"""Lineage: which trials of a launch learn from which, and the order that follows from it.

A trial states the ids of those whose weights it takes over (transfer.trial) or that teach it
(objective.teachers). Here an id becomes the trial itself, where both are part of one launch; a
source outside of it has been trained before. Contents: `sources`, `stages`.
"""

from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter

from scaling.settings import Trial


def sources(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Those of these trials that each learns from, by the id of the trial that learns."""
    known = {trial.id: trial for trial in trials}
    return {trial.id: [known[n] for n in trial.sources if n in known] for trial in trials}


def stages(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """The trials, each in a later stage than those that it learns from; their order is kept
    within a stage.

    No two can learn from each other: an id is a hash of what the trial names.
    """
    taken = sources(trials)
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for trial in trials:
        sorter.add(trial.id, *(source.id for source in taken[trial.id]))
    sorter.prepare()
    while sorter.is_active():
        ready = set(sorter.get_ready())
        yield [trial for trial in trials if trial.id in ready]
        sorter.done(*ready)
