"""Trials to Ray Tune and back. The only module that talks to Ray.

Ray schedules, places and retries; what is done is what the results folder says. Each launch hands a
fresh Tuner the trials that are not done (a Tuner restored from a snapshot runs finished trials
again); a trial whose worker dies is retried and takes itself up from its own checkpoint; a trial
that raises has recorded that itself and is not retried. Actors are reused, so that a small trial
does not pay for starting Python and torch; scaling.machine resets what reuse would leak.
"""

import functools
import logging
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from scaling.config import Trial
from scaling.perform import Progress, end, perform
from scaling.records import Results
from sweeps.display import Display

# Set before Ray is imported, and handed on to its workers. Sources: Ray 2.60 as installed, tried
# out one by one.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's own progress tables; ours stands in for them
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths stay true in workers
    "RAY_memory_monitor_refresh_ms": "0",  # its kill of one trial aborts the whole sweep
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON, TensorBoard beside our records
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # snapshots of Tune's state are never read
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    # each trial runs in a thread of its own, and glibc gives threads heaps of their own, up to 8 a
    # core, each of which keeps the most that a trial needed: 100 MB more per trial, measured
    "MALLOC_ARENA_MAX": "2",
}
ATTEMPTS = 3  # a trial whose worker dies this often has failed


class Resources(NamedTuple):
    """What Ray is asked for."""

    address: str | None = None  # of a running cluster; None: this machine
    cpus: int = 1  # of one trial, and the threads of its torch
    gpus: float = 0.0  # of one trial
    concurrent: int | None = None  # trials at once at most
    local_cpus: int | None = None  # of this machine, where Ray is started here; None: all


class Task(NamedTuple):
    """What every worker must know besides its trial; small, pickled to each."""

    stores: dict[str, str]  # folders of the packed clips, by store_key(trial)
    results: str
    cpus: int
    device: str
    precision: str


def sweep(
    trials: Sequence[Trial],
    task: Task,
    resources: Resources,
    display: Display,
) -> None:
    """Run these trials, in this order as far as resources allow, and show how it goes.

    Returns when Ray has nothing left to run, also after Ctrl-C; who wants to know what is done
    reads the records. Raises ValueError when no Ray answers, or when no node has the resources
    asked for.
    """
    os.environ.update({k: v for k, v in ENVIRONMENT.items() if k not in os.environ})
    os.environ.setdefault("RAY_AUTH_MODE", "disabled" if resources.address is None else "token")
    from ray import tune

    with _ray(resources), tempfile.TemporaryDirectory(prefix="overhear-tune-") as scratch:
        # Slurm and Kubernetes stop a job by SIGTERM, which Ray's own handler dies of
        signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        display.slots = _slots(resources)
        trainable = tune.with_resources(
            functools.partial(work, task=task), {"cpu": resources.cpus, "gpu": resources.gpus}
        )
        space = [trial.model_dump(mode="json", exclude_defaults=True) for trial in trials]
        tune.Tuner(
            trainable,
            param_space={"trial": tune.grid_search(space)},
            tune_config=tune.TuneConfig(
                reuse_actors=True,
                max_concurrent_trials=resources.concurrent,
                trial_dirname_creator=_name,
                trial_name_creator=_name,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=scratch,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
                callbacks=[_listener(display, task.results)],
            ),
        ).fit()


def work(config: dict[str, Any], task: Task) -> None:
    """What runs in a worker: one trial, reporting each epoch to the driver."""
    from ray import tune

    from scaling import machine
    from scaling.sound.prepare import store_key
    from scaling.sound.store import Store

    trial = Trial.model_validate(config["trial"])
    where = machine.here(task.device, task.precision, task.cpus)
    store = Store.open(Path(task.stores[store_key(trial)]))
    for progress in perform(trial, store, where, Results(task.results)):
        tune.report(progress._asdict())


def _name(trial: Any) -> str:
    return Trial.model_validate(trial.config["trial"]).id


@contextmanager
def _ray(resources: Resources) -> Iterator[None]:
    """A Ray to run in: the cluster at an address, or one started here and stopped again."""
    import ray

    for name in ("ray", "ray.tune", "ray.train", "ray.air"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    quiet: dict[str, Any] = {
        "logging_level": logging.CRITICAL,
        "log_to_driver": False,
        "runtime_env": {"env_vars": ENVIRONMENT},
    }
    session = None
    try:
        if resources.address:
            try:
                ray.init(address=resources.address, **quiet)
            except ConnectionError as error:
                reason = str(error).splitlines()[0]
                raise ValueError(
                    f"--address {resources.address}: no Ray answers ({reason})"
                ) from None
        else:
            session = tempfile.mkdtemp(prefix="overhear-ray-")
            ray.init(
                num_cpus=resources.local_cpus,
                object_store_memory=100 * 2**20,  # nothing large passes through it
                include_dashboard=False,
                _temp_dir=session,
                **quiet,
            )
        yield
    finally:
        ray.shutdown()
        if session:
            shutil.rmtree(session, ignore_errors=True)


def _slots(resources: Resources) -> int:
    """How many trials can run at once. Ray waits for ever for what no node has: that is a
    ValueError here.
    """
    import ray

    found = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = [node["Resources"] for node in found if node["Alive"]]
    room = [resources.concurrent or 10**9] * len(nodes)
    for option, kind, asked in (
        ("--cpus-per-trial", "CPU", resources.cpus),
        ("--gpus-per-trial", "GPU", resources.gpus),
    ):
        most = max((node.get(kind, 0) for node in nodes), default=0)
        if asked > most:
            raise ValueError(
                f"{option} {asked:g}: the largest node has {most:g} {kind}s: ask for less"
            )
        if asked:
            room = [
                min(r, int(node.get(kind, 0) // asked)) for r, node in zip(room, nodes, strict=True)
            ]
    return min(sum(room), resources.concurrent or 10**9)


def _listener(display: Display, where: str) -> Any:
    """A Tune callback that hands on what trials report, and records those whose worker kept
    dying.
    """
    from ray.tune import Callback

    class Listener(Callback):
        heard: Callable[[Progress], None]
        retried: Callable[[str], None]

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune pickles its callbacks for a restore that never comes

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            self.heard(Progress(*(result[field] for field in Progress._fields)))

        def on_trial_recover(
            self, iteration: int, trials: list[Any], trial: Any, **info: Any
        ) -> None:
            self.retried(_name(trial))

        def on_trial_error(
            self, iteration: int, trials: list[Any], trial: Any, **info: Any
        ) -> None:
            planned = Trial.model_validate(trial.config["trial"])
            reason = f"its worker died {ATTEMPTS} times, {_summary(trial.get_pickled_error())}"
            self.heard(
                Progress(planned.id, 0, planned.training.epochs, None, 0.0, "failed", reason)
            )
            try:
                end(planned, Results(where), "failed", reason, 0, 0.0, None)
            except OSError as error:  # a callback that raises would end the whole sweep
                warnings.warn(f"the failure of {planned.id} is not recorded: {error}", stacklevel=2)

    listener = Listener()
    listener.heard, listener.retried = display.heard, display.retried
    return listener


def _summary(error: BaseException | None) -> str:
    """An exception that came through Ray, in one line."""
    if error is None:
        return "unknown"
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0] if lines else ''}"
