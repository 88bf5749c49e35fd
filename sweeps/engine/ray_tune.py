"""Trials to Ray Tune and back: the driver that starts them, and the worker that runs one.

Ray schedules, places and retries; the results folder alone says which trials are done. Each launch
hands a fresh Tuner the trials that are not done (a Tuner restored from a snapshot runs finished
trials again). A trial whose worker dies is retried and resumes from its own checkpoint; a trial
that raises has recorded that itself and is not retried. Actors are reused, so that a small trial
does not pay for starting Python and torch; scaling.machine resets what reuse would leak. Contents:
`sweep`, `work`.
"""

import functools
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scaling import interruption
from scaling.results.outcome import Status
from scaling.results.records import Refused, Results
from scaling.results.run_trial import Progress, last_report, outcome_here, run_trial
from scaling.settings import Trial
from sweeps.adaptive.early_stopping import Watch
from sweeps.engine import cluster, head_watchdog, limits, local, preflight
from sweeps.engine.display import Display
from sweeps.engine.lock import Lock
from sweeps.engine.preflight import Task
from sweeps.engine.ray_adaptive import Proposals, searcher, stopper
from sweeps.engine.ray_callbacks import ATTEMPTS, listener
from sweeps.launch import Resources


def sweep(
    trials: Sequence[Trial],
    task: Task,
    resources: Resources,
    display: Display,
    watch: Watch | None = None,
    proposals: Proposals | None = None,
    lock: Lock | None = None,
) -> None:
    """Run these trials, in this order as far as resources allow, and show how it goes; stop those
    early that `watch` says, and run what `proposals` propose.

    Returns when Ray has nothing left to run, also when it was told to end while trials ran; before
    that interruption.Stopped is raised (to callers that handle no signals, KeyboardInterrupt). Who
    wants to know what is done reads the records. Raises ValueError when no Ray answers, when no
    node has the resources asked for, and on a cluster with a line for all that a node lacks;
    Refused when the results folder cannot be written any more. On a cluster whose head is gone the
    process ends, with a line.
    """
    auth = cluster.prepare_environment(resources)
    from ray import tune

    places = task.results, task.recordings.root or "", os.environ.get("OVERHEAR_DATA", "")
    with (
        interruption.handled(),
        local.folder(sockets=resources.address is None) as own,
        cluster.session(resources, places, own),
        _minding(resources, display, lock, own),
        cluster.checked(
            [proposals.ledger.search.base] if proposals else trials, task, resources, auth
        ) as task,
    ):
        display.slots = cluster.slots(resources)
        if lock:
            lock.slots = display.slots
        trainable = tune.with_resources(
            functools.partial(work, task=task, limit=limits.Limit(resources.memory)),
            resources.of_a_trial(),
        )
        at_once = display.slots if proposals else resources.concurrent
        for _ in range(ATTEMPTS):
            heard = listener(display, task.results, resources.hours)
            config = tune.TuneConfig(
                search_alg=searcher(proposals, display) if proposals else _listed(trials),
                num_samples=-1 if proposals else len(trials),
                reuse_actors=True,
                max_concurrent_trials=at_once,
                trial_dirname_creator=_name,
                trial_name_creator=_name,
            )
            _fit(trainable, config, heard, stopper(watch, task.results) if watch else None, own)
            if heard.refused:
                raise heard.refused
            trials = proposals.ledger.plan.trials if proposals else trials
            left = {trial.id for trial in trials} - Results(task.results).ended()
            # those left that were not dropped are so by Ctrl-C, or by unfit nodes
            if interruption.asked() or not left or left != heard.dropped:
                break
            trials = [trial for trial in trials if trial.id in left]


def _fit(trainable: Any, config: Any, heard: Any, stop: Any, own: Path) -> None:
    """Let Tune run trials until none is left, or until this process is told to end."""
    from ray import tune

    tuner = tune.Tuner(
        trainable,
        tune_config=config,
        run_config=tune.RunConfig(
            name="sweep",
            storage_path=str(own / "tune"),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
            callbacks=[heard],
            stop=stop,
        ),
    )
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)  # an earlier Tuner's
    with interruption.softly(_end_tune):
        tuner.fit()


def _end_tune() -> None:
    """End Tune as Ctrl-C does, which is what it answers SIGUSR1 with."""
    end = signal.getsignal(signal.SIGUSR1)
    if not callable(end):
        raise interruption.Stopped  # nothing runs yet
    end(signal.SIGUSR1, None)


@contextmanager
def _minding(
    resources: Resources, display: Display, lock: Lock | None, own: Path
) -> Iterator[None]:
    """On a cluster: while its head is there. See sweeps.engine.head_watchdog."""
    if resources.address is None:
        yield
        return
    import ray

    address = ray.get_runtime_context().gcs_address

    def gone() -> None:
        display.__exit__(None, None, None)
        print(
            f"overhear: the head of the cluster ({address}) is gone: start it again, then run the "
            "same command again to resume",
            file=sys.stderr,
            flush=True,
        )
        shutil.rmtree(own, ignore_errors=True)
        if lock:
            lock.release()

    with head_watchdog.watched(address, gone):
        yield


def work(config: dict[str, Any], task: Task, limit: limits.Limit) -> None:
    """What runs in a worker: one trial, reporting each epoch to the driver.

    Raises Unfit, which names the node, where this one cannot run it.
    """
    import ray
    from ray import tune

    trial = Trial.model_validate(config["trial"])
    try:
        for progress in _attempt(trial, task, limit):
            # 0 s: another worker's report, which has ended itself for it
            if progress.seconds > 0 and limits.broken(progress.error):
                os._exit(limits.EXIT)  # it is recorded; the next worker reports it
            # done: Tune need not come back to be told so
            tune.report({**progress._asdict(), "done": progress.status.ended})
    except (preflight.Unfit, Refused) as lack:
        if task.driver is None:
            raise
        here = ray.get_runtime_context().get_node_id()
        (name,) = (cluster.label(node) for node in cluster.nodes() if node["NodeID"] == here)
        raise type(lack)(f"node {name}: {lack}") from None


def _attempt(trial: Trial, task: Task, limit: limits.Limit) -> Iterator[Progress]:
    """A trial's progress in this worker. What is raised before it trains is its failure, too: it
    would be raised by the next worker again.
    """
    results = Results(task.results)
    try:
        store = preflight.ready(trial, task)
        where = preflight.machine_of(task)
        with limits.watched(trial.id, results, limit):
            yield from run_trial(trial, store, where, results)
    except (preflight.Unfit, Refused):
        raise
    except Exception as error:  # noqa: BLE001
        # of whatever kind: it is recorded, as what the training raises is
        reason = f"{type(error).__name__}: {error}"
        outcome = outcome_here(trial, Status.FAILED, reason)
        results.end(outcome)
        yield last_report(trial, outcome)


def _listed(trials: Sequence[Trial]) -> Any:
    """A Tune searcher that suggests these trials in their order.

    Of a grid Tune would copy all trials for each one of them.
    """
    from ray.tune.search import Searcher

    class Listed(Searcher):
        def __init__(self) -> None:
            super().__init__()
            self.left = iter(trials)

        def __getstate__(self) -> dict[str, Any]:
            return {}  # pickled for a restore that never comes

        def suggest(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002
            return {"trial": next(self.left).stated()}

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            pass

        def save(self, checkpoint_path: str) -> None:
            pass

    return Listed()


def _name(trial: Any) -> str:
    return Trial.model_validate(trial.config["trial"]).id
