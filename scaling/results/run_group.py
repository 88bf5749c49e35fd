"""Run trials of one shape side by side into a results folder, each as `run_trial` would run it.

Each keeps its own records, checkpoint and outcome: one that raises, is stopped or ended earlier
leaves, the others train on; a group that was killed continues in any other grouping, or one by one.
Contents: `run_group`.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from scaling.machine import Machine, lost, short
from scaling.networks.modules.state import Misfit
from scaling.results import lost_gpu, transfer
from scaling.results.records import Refused, Results
from scaling.results.run_trial import Attempt, Progress, ended_before, run_trial
from scaling.settings import Trial
from scaling.sound.store import Store
from scaling.training import stacked
from scaling.training.inputs import Listener
from scaling.training.session import Session


def run_group(
    trials: Sequence[Trial], store: Store, machine: Machine, results: Results
) -> Iterator[Progress]:
    """Run what is left of trials that have one shape (scaling.training.shape), writing their
    records; yields after each epoch of each of them, and at its end.

    Those that prove not to be alike train apart. A group that does not fit into memory is halved,
    one that cannot be stacked at all runs one trial after the other, each from its last epoch; so
    does a trial that raises among others, as that may be the stack's doing: what it raises alone
    is its end. Raises Refused and LostGpu, as `run_trial` does.
    """
    running, apart = list[Trial](), list[Trial]()
    for trial in trials:
        if ended := ended_before(trial, results):
            yield ended
        else:
            (apart if lost_gpu.noted(trial, results) else running).append(trial)
    if len(running) < 2:
        for trial in [*running, *apart]:
            yield from run_trial(trial, store, machine, results)
        return
    machine.reset()
    group = _Group(running, store, machine, results)
    yield from group.progress()
    left, lack, doubted = group.left, group.lack, group.doubted
    del group  # and the memory that it takes
    if left:
        of = f"trial {left[0].id}" + (f" and {len(left) - 1} more" if len(left) > 1 else "")
        warnings.warn(f"{of}, side by side: {lack}", stacklevel=2)
    size = -(-len(left) // 2) if lack == _MEMORY else 1
    for at in range(0, len(left), size):
        yield from run_group(left[at : at + size], store, machine, results)
    for trial in [*doubted, *apart]:
        yield from run_trial(trial, store, machine, results)


_MEMORY = "not enough memory for so many at once; continued in two halves"


class _Group:
    """Trials side by side; after `progress`, those that are `left`, and what they lacked, and those
    that raised something among the others.
    """

    def __init__(
        self, trials: Sequence[Trial], store: Store, machine: Machine, results: Results
    ) -> None:
        self.store, self.machine, self.results = store, machine, results
        self.attempts = {t.id: Attempt(t, store, machine, results) for t in trials}
        self.left, self.doubted = [*trials], list[Trial]()
        self.lack = ""

    def progress(self) -> Iterator[Progress]:
        """What each trial reports, until none is left or something is lacking."""
        try:
            yield from self._stacked()
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001
            # of no trial alone: it would be each one's own failure if it happened there, too
            lost_gpu.note(error, [*self.left, *self.doubted], self.results)
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            self.lack = _MEMORY if short(error) else f"{said}; continued one after the other"

    def _stacked(self) -> Iterator[Progress]:
        alike: dict[Any, dict[str, Session]] = {}
        for name, attempt in self.attempts.items():
            try:
                session = self._session(attempt)
                alike.setdefault(stacked.alike(session), {})[name] = session
            except Refused:
                raise
            except Exception as reason:
                # as in run_trial
                if short(reason) or lost(reason):
                    raise
                yield self._told(attempt.failed(reason))
        for sessions in alike.values():
            for left in stacked.run(sessions):
                for name, found in left.items():
                    attempt = self.attempts[name]
                    attempt.share = 1 / len(left)
                    if isinstance(found, Exception):
                        self._doubt(attempt.trial, found)
                        continue
                    told = attempt.heard(found)
                    if told.status.ended:
                        sessions.pop(name, None)
                    yield self._told(told)

    def _session(self, attempt: Attempt) -> Session:
        """What an attempt trains with, from where it starts."""
        source = transfer.source(attempt.trial, self.results)
        listener = Listener(attempt.trial, self.store, self.machine)
        try:
            return Session(attempt.trial, listener, self.machine, attempt.start.state, source)
        except Misfit as misfit:
            attempt.restart(misfit)
            return Session(attempt.trial, listener, self.machine, None, source)

    def _doubt(self, trial: Trial, error: Exception) -> None:
        """Take out a trial that raised something, which will run alone."""
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        warnings.warn(f"trial {trial.id}, side by side: {said}; continued alone", stacklevel=2)
        self.left = [each for each in self.left if each.id != trial.id]
        self.doubted.append(trial)

    def _told(self, progress: Progress) -> Progress:
        if progress.status.ended:
            self.left = [trial for trial in self.left if trial.id != progress.trial]
        return progress
