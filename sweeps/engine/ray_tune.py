"""Trials to Ray Tune and back: the driver that starts them, and the worker that runs one.

Ray schedules, places and retries; the results folder alone says which trials are done. Each launch
hands a fresh Tuner the trials that are not done (a Tuner restored from a snapshot runs finished
trials again); those that train side by side are one trial to it (sweeps.engine.group). A trial
whose worker dies is retried and resumes from its own checkpoint; a trial that raises has recorded
that itself and is not retried. Actors are reused, so that a small trial does not pay for starting
Python and torch; scaling.machine resets what reuse would leak. Contents: `sweep`, `work`.
"""

import functools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from scaling import awaited, interruption, machine, warned
from scaling.results.records import Refused, Results
from scaling.results.run_trial import Progress
from scaling.settings import Trial
from sweeps.adaptive.early_stopping import Watch
from sweeps.engine import cluster, group, head_watchdog, limits, preflight
from sweeps.engine.display import Display
from sweeps.engine.lock import Lock
from sweeps.engine.preflight import Task
from sweeps.engine.ray_adaptive import Proposals, searcher, stopper
from sweeps.engine.ray_callbacks import ATTEMPTS, AWAITED, listener
from sweeps.engine.ray_session import RaySession, places
from sweeps.launch import Resources


def sweep(
    trials: Sequence[Trial],
    task: Task,
    resources: Resources,
    display: Display,
    watch: Watch | None = None,
    proposals: Proposals | None = None,
    lock: Lock | None = None,
    grouped: Callable[[Sequence[Trial]], list[list[Trial]]] | None = None,
    session: RaySession | None = None,
) -> None:
    """Run these trials, in this order as far as resources allow, and show how it goes; stop those
    early that `watch` says, and run what `proposals` propose. Trials of one of the groups that
    `grouped` makes train side by side; those that keep losing their worker then run one by one.
    `session` is the Ray of several sweeps; else this one has its own.

    Returns when Ray has nothing left to run, also when it was told to end while trials ran; before
    that interruption.Stopped is raised (to callers that handle no signals, KeyboardInterrupt). Who
    wants to know what is done reads the records. Raises ValueError when no Ray answers, when no
    node has the resources asked for, and on a cluster with a line for all that a node lacks;
    Refused when the results folder cannot be written any more. On a cluster whose head is gone the
    process ends, with a line.
    """
    auth = cluster.prepare_environment(resources)
    where = places(task.results, task.recordings)
    with (
        ExitStack() as alone,
        nullcontext((session or RaySession(alone)).started(resources, where, display)) as own,
        _minding(resources, display, lock, own),
        cluster.checked(
            [proposals.ledger.search.base] if proposals else trials, task, resources, auth
        ) as task,
    ):
        display.slots = cluster.slots(resources)
        workers = display.slots if proposals else min(display.slots, len(trials))
        display.waiting(f"starting {workers} worker{'s' if workers > 1 else ''}")
        if lock:
            lock.slots = display.slots
        at_once = display.slots if proposals else resources.concurrent
        for attempt in range(ATTEMPTS):
            groups = grouped(trials) if grouped and not attempt else [[each] for each in trials]
            heard = listener(display, task.results, resources.hours)
            search = searcher(proposals, display) if proposals else _listed(groups)
            config = _config(search, -1 if proposals else len(groups), at_once)
            early = stopper(watch, task.results) if watch else None
            _fit(_trainable(task, resources), config, heard, early, own)
            if heard.refused:
                raise heard.refused
            trials = proposals.ledger.plan.trials if proposals else trials
            left = {trial.id for trial in trials} - Results(task.results).ended()
            # those left that were not dropped are so by Ctrl-C, or by unfit nodes
            if interruption.asked() or not left or left != heard.dropped:
                break
            trials = [trial for trial in trials if trial.id in left]


def _trainable(task: Task, resources: Resources) -> Any:
    """What a worker of Tune's runs, and what that takes of its node."""
    from ray import tune

    run = functools.partial(work, task=task, limit=limits.Limit(resources.memory))
    return tune.with_resources(run, resources.of_a_trial())


def _config(search: Any, samples: int, at_once: int | None) -> Any:
    """How Tune runs so many samples (-1: any number) of a searcher."""
    from ray import tune

    return tune.TuneConfig(
        search_alg=search,
        num_samples=samples,
        reuse_actors=True,
        max_concurrent_trials=at_once,
        trial_dirname_creator=_name,
        trial_name_creator=_name,
    )


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
    """What runs in a worker: one group of trials, reporting each epoch of each to the driver.

    Raises Unfit, which names the node, where this one cannot run it.
    """
    import ray
    from ray import tune

    trials = group.planned(config)
    left = {trial.id for trial in trials}
    try:
        for progress, said in _attempt(trials, task, limit, tune.report):
            # 0 s: another worker's report, which has ended itself for it
            if progress.seconds > 0 and machine.broken(progress.error):
                os._exit(limits.EXIT)  # it is recorded; the next worker reports it
            others = left - {progress.trial}
            left = others if progress.status.ended else left
            # done: Tune need not come back to be told so
            more = {"others": len(others), "done": not left, "said": said}
            tune.report({**progress._asdict(), **more})
    except (preflight.Unfit, Refused) as lack:
        if task.driver is None:
            raise
        here = ray.get_runtime_context().get_node_id()
        (name,) = (cluster.label(node) for node in cluster.nodes() if node["NodeID"] == here)
        raise type(lack)(f"node {name}: {lack}") from None


def _attempt(
    trials: Sequence[Trial],
    task: Task,
    limit: limits.Limit,
    report: Callable[[dict[str, Any]], None],
) -> Iterator[tuple[Progress, list[str]]]:
    """The progress of a group, and what was warned of since the last; a worker has no screen, and
    reports what is waited for.
    """
    with warned.kept() as said, awaited.shown(lambda what: report({AWAITED: what})):
        for progress in group.attempt(trials, task, limit):
            yield progress, [*said]
            said.clear()


def _listed(groups: Sequence[Sequence[Trial]]) -> Any:
    """A Tune searcher that suggests these groups in their order.

    Of a grid Tune would copy all trials for each one of them.
    """
    from ray.tune.search import Searcher

    class Listed(Searcher):
        def __init__(self) -> None:
            super().__init__()
            self.left = iter(groups)

        def __getstate__(self) -> dict[str, Any]:
            return {}  # pickled for a restore that never comes

        def suggest(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002
            return group.configured(next(self.left))

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            pass

        def save(self, checkpoint_path: str) -> None:
            pass

    return Listed()


def _name(trial: Any) -> str:
    return group.name(group.planned(trial.config))
