"""One trial, alone: packed, planned and run on this machine, without Ray."""

from collections.abc import Iterator

from scaling.machine import Machine
from scaling.results import teachers, transfer
from scaling.results.manifest import Plan, record
from scaling.results.records import Results
from scaling.results.run_trial import Progress, run_trial
from scaling.sound import prepare
from scaling.sound.clips import Clips


def begin(
    planned: Plan,
    clips: dict[str, Clips],
    results: Results,
    machine: Machine,
    skip_unreadable: bool = False,
) -> Iterator[Progress]:
    """Pack the clips of a plan's one trial and record the plan; the iterator runs the trial, as
    `run_trial` does.

    Raises ValueError for clips that cannot be read or do not suit the trial and for teachers and
    sources that are missing or leak, Refused where the results folder cannot be written.
    """
    (trial,) = planned.trials
    teachers.check([trial], results)
    transfer.check([trial], results)
    results.prepare()
    stores = prepare.stores([trial], clips, skip_unreadable)
    (store,) = stores.values()
    digests = prepare.digests([trial], stores)
    record(planned, digests, results, prepare.glances([trial], stores))
    return run_trial(trial, store, machine, results)
