"""Lineage: which trials of a launch take over from which, and the order that follows from it.

A trial states the id of the trial whose weights it takes over (transfer.trial). Here that id
becomes the trial itself, where both are part of one launch; a source outside of it has been trained
before. Contents: `sources`, `stages`.
"""

from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter

from scaling.settings import Trial


def sources(trials: Sequence[Trial]) -> dict[str, Trial]:
    """The one of these trials that each takes over from, by the id of the trial that takes over."""
    known = {trial.id: trial for trial in trials}
    return {
        trial.id: known[trial.transfer.trial] for trial in trials if trial.transfer.trial in known
    }


def stages(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """The trials, each in a later stage than the one that it takes over from; their order is kept
    within a stage.

    No two can take over from each other: an id is a hash of what the trial names.
    """
    taken = sources(trials)
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for trial in trials:
        sorter.add(trial.id, *([taken[trial.id].id] if trial.id in taken else []))
    sorter.prepare()
    while sorter.is_active():
        ready = set(sorter.get_ready())
        yield [trial for trial in trials if trial.id in ready]
        sorter.done(*ready)
