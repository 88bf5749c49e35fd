"""Trials to Ray Tune and back. The only module that talks to Ray.

Ray schedules, places and retries; what is done is what the results folder says. Each launch hands a
fresh Tuner the trials that are not done (a Tuner restored from a snapshot runs finished trials
again); a trial whose worker dies is retried and takes itself up from its own checkpoint; a trial
that raises has recorded that itself and is not retried. Actors are reused, so that a small trial
does not pay for starting Python and torch; scaling.machine resets what reuse would leak. On a
cluster every node is looked at before the first trial: see sweeps.preflight.
"""

import functools
import logging
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from scaling.config import Trial
from scaling.perform import Progress, end, perform
from scaling.records import Results
from sweeps import preflight
from sweeps.display import Display
from sweeps.preflight import Task

__all__ = ["Resources", "Task", "sweep"]

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
PATIENCE = 120  # seconds in which a node must have looked at itself
HEAD = "node:__internal_head__"  # the resource that Ray gives to the head, and to no other node


class Resources(NamedTuple):
    """What Ray is asked for."""

    address: str | None = None  # of a running cluster; None: this machine
    cpus: int = 1  # of one trial, and the threads of its torch
    gpus: float = 0.0  # of one trial
    concurrent: int | None = None  # trials at once at most
    local_cpus: int | None = None  # of this machine, where Ray is started here; None: all


def sweep(
    trials: Sequence[Trial],
    task: Task,
    resources: Resources,
    display: Display,
) -> None:
    """Run these trials, in this order as far as resources allow, and show how it goes.

    Returns when Ray has nothing left to run, also after Ctrl-C; who wants to know what is done
    reads the records. Raises ValueError when no Ray answers, when no node has the resources asked
    for, and on a cluster with a line for all that a node lacks.
    """
    os.environ.update({k: v for k, v in ENVIRONMENT.items() if k not in os.environ})
    auth = os.environ.get("RAY_AUTH_MODE")
    if resources.address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    elif _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    from ray import tune

    with (
        _ray(resources),
        _checked(trials, task, resources, auth) as task,
        tempfile.TemporaryDirectory(prefix="overhear-tune-") as scratch,
    ):
        # Slurm and Kubernetes stop a job by SIGTERM, which Ray's own handler dies of
        signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        display.slots = _slots(resources)
        trainable = tune.with_resources(
            functools.partial(work, task=task), {"cpu": resources.cpus, "gpu": resources.gpus}
        )
        for _ in range(ATTEMPTS):
            listener = _listener(display, task.results)
            tune.Tuner(
                trainable,
                param_space={"trial": tune.grid_search([_stated(trial) for trial in trials])},
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
                    callbacks=[listener],
                ),
            ).fit()
            ended = Results(task.results).names("outcomes")
            left = {trial.id for trial in trials}.difference(ended)
            if not left or left != listener.dropped:  # others are left by Ctrl-C, or by unfit nodes
                break
            trials = [trial for trial in trials if trial.id in left]


def work(config: dict[str, Any], task: Task) -> None:
    """What runs in a worker: one trial, reporting each epoch to the driver.

    Raises Unfit, which names the node, where this one cannot run it.
    """
    import ray
    from ray import tune

    from scaling import machine

    trial = Trial.model_validate(config["trial"])
    where = machine.here(task.device, task.precision, task.cpus)
    try:
        store = preflight.ready(trial, task)
    except preflight.Unfit as lack:
        here = ray.get_runtime_context().get_node_id()
        (name,) = (_label(node) for node in _nodes() if node["NodeID"] == here)
        raise preflight.Unfit(f"node {name}: {lack}") from None
    for progress in perform(trial, store, where, Results(task.results)):
        tune.report(progress._asdict())


def _stated(trial: Trial) -> dict[str, Any]:
    return trial.model_dump(mode="json", exclude_defaults=True)


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
            except (ConnectionError, ray.exceptions.AuthenticationError) as error:
                reason = str(error).splitlines()[0]
                mode = os.environ.get("RAY_AUTH_MODE", "unset")
                raise ValueError(
                    f"--address {resources.address}: no Ray answers ({reason}): start one there, "
                    f"with the same token as here and the same RAY_AUTH_MODE (here: {mode})"
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


@contextmanager
def _checked(
    trials: Sequence[Trial], task: Task, resources: Resources, auth: str | None
) -> Iterator[Task]:
    """The task as workers get it; on a cluster, once all of its nodes have been looked at.

    Raises ValueError with a line for all that a node lacks.
    """
    if resources.address is None:
        yield task
        return
    with preflight.driver(trials, task.results) as driver:
        task = task._replace(driver=driver)
        if task.root and "://" not in task.root:
            task = task._replace(root=str(Path(task.root).expanduser().absolute()))
        found = _look(preflight.distinct(trials), task, resources)
        if lines := preflight.complaints(found, Results(task.results), auth):
            raise ValueError("\n".join(["the cluster is not ready, no trial was started", *lines]))
        yield task


def _look(
    trials: Sequence[Trial], task: Task, resources: Resources
) -> dict[str, preflight.Facts | str]:
    """What each node with room for a trial says of itself, or why it says nothing."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(preflight.look)
    asked = {}
    for node in _nodes():
        if _room(node["Resources"], resources):
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            options = look.options(num_cpus=0, max_retries=0, scheduling_strategy=there)
            asked[_label(node)] = options.remote(trials, task)
    answered, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=PATIENCE)
    found: dict[str, preflight.Facts | str] = {}
    for name, reference in asked.items():
        found[name] = f"nothing within {PATIENCE} s: is it there, and is Overhear installed on it?"
        if reference in answered:
            try:
                found[name] = ray.get(reference)
            except Exception as error:  # noqa: BLE001
                # of whatever kind: what a node fails with is the answer
                found[name] = _summary(_cause(error))
    return found


def _nodes() -> list[dict[str, Any]]:
    """The living nodes, as Ray describes them."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _label(node: Mapping[str, Any]) -> str:
    """A node as a person finds it: its name or host name, its address, and Ray's id of it."""
    named = node["NodeName"] != node["NodeManagerAddress"]
    name = node["NodeName"] if named else node["NodeManagerHostname"]
    return f"{name} ({node['NodeManagerAddress']}, {node['NodeID'][:8]})"


def _room(node: Mapping[str, float], resources: Resources) -> int:
    """How many trials a node with these resources can run at once."""
    asked = {"CPU": resources.cpus, "GPU": resources.gpus}
    return min(int(node.get(kind, 0) // much) for kind, much in asked.items() if much)


def _slots(resources: Resources) -> int:
    """How many trials can run at once. Ray waits for ever for what no node has: that is a
    ValueError here, unless the head runs no trials: then nodes are expected to come when asked for.
    """
    nodes = _nodes()
    room = sum(_room(node["Resources"], resources) for node in nodes)
    grows = any(HEAD in n["Resources"] and not n["Resources"].get("CPU") for n in nodes)
    for option, kind, asked in (
        ("--cpus-per-trial", "CPU", resources.cpus),
        ("--gpus-per-trial", "GPU", resources.gpus),
    ):
        largest = max(nodes, key=lambda node: float(node["Resources"].get(kind, 0)))
        most = largest["Resources"].get(kind, 0)
        if asked > most and not grows:
            raise ValueError(
                f"{option} {asked:g}: the largest node has {most:g} {kind}s: ask for less "
                f"(it is {_label(largest)})"
            )
    if not room and not grows:
        raise ValueError(
            f"no node has both {resources.cpus} CPUs and {resources.gpus:g} GPUs, as a trial asks "
            "with --cpus-per-trial and --gpus-per-trial: ask for less"
        )
    if not room:
        warnings.warn("no node has room for a trial yet: waiting for one to join", stacklevel=2)
    return max(1, min(room, resources.concurrent or 10**9))


def _listener(display: Display, where: str) -> Any:
    """A Tune callback that hands on what trials report, and records those whose worker kept
    dying. What a node lacks is said, but is no trial's failure: that trial stays to be run.

    `dropped` are those that have to be handed to Tune again: it gives a trial up at once when the
    worker dies that it is about to reuse.
    """
    from ray.tune import Callback

    class Listener(Callback):
        heard: Callable[[Progress], None]
        retried: Callable[[str], None]
        dropped: set[str]

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune pickles its callbacks for a restore that never comes

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            self.heard(Progress(*(result[field] for field in Progress._fields)))

        def on_trial_recover(
            self, iteration: int, trials: list[Any], trial: Any, **info: Any
        ) -> None:
            error = _raised(trial)
            if isinstance(error, preflight.Unfit):
                warnings.warn(str(error), stacklevel=2)
            else:
                self.retried(_name(trial))

        def on_trial_error(
            self, iteration: int, trials: list[Any], trial: Any, **info: Any
        ) -> None:
            planned = Trial.model_validate(trial.config["trial"])
            error = _raised(trial)
            if trial.run_metadata.num_failures < ATTEMPTS:
                self.dropped.add(planned.id)
                self.retried(planned.id)
                return
            lost = not isinstance(error, preflight.Unfit)
            reason = f"its worker died {ATTEMPTS} times, " if lost else "not run: "
            reason += _summary(error) if lost else str(error)
            self.heard(
                Progress(planned.id, 0, planned.training.epochs, None, 0.0, "failed", reason)
            )
            try:
                if lost:
                    end(planned, Results(where), "failed", reason, 0, 0.0, None)
            except OSError as error:  # a callback that raises would end the whole sweep
                warnings.warn(f"the failure of {planned.id} is not recorded: {error}", stacklevel=2)

    listener = Listener()
    listener.heard, listener.retried, listener.dropped = display.heard, display.retried, set()
    return listener


def _raised(trial: Any) -> BaseException | None:
    """What ended a trial's last attempt, as its worker raised it, if Tune knows it."""
    from ray import cloudpickle

    # Trial.get_pickled_error looks where Tune copies it to later
    path = trial.pickled_error_file
    if path is None or not Path(path).exists():
        return None
    error: BaseException = cloudpickle.loads(Path(path).read_bytes())
    return _cause(error)


def _cause(error: BaseException) -> BaseException:
    """An exception without what Ray wrapped it in."""
    return getattr(error, "cause", None) or error


def _summary(error: BaseException | None) -> str:
    """An exception in one line."""
    if error is None:
        return "unknown"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _has_token() -> bool:
    """Whether this user has a token for a cluster's authentication, at any of Ray's places."""
    named = os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
    return bool(named) or Path("~/.ray/auth_token").expanduser().exists()
