"""Cluster: a Ray session, started here or joined at an address, and the nodes in it.

On a cluster every node is checked before the first trial starts: see sweeps.engine.preflight.
Contents: `check`, `reach`, `prepare_environment`, `session`, `checked`, `slots`, `nodes`, `label`.
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from scaling import interruption
from scaling.byte_size import memory_size
from scaling.results.records import Results
from scaling.settings import Trial
from sweeps.engine import addresses, limits, local, mps, preflight
from sweeps.engine.preflight import Task
from sweeps.engine.ray_callbacks import cause, summary
from sweeps.engine.ray_private import undisturbed
from sweeps.launch import Compute, Resources

# Set before Ray is imported, and handed on to its workers. Sources: Ray 2.60 as installed, tried
# out one by one.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's own progress tables; ours stands in for them
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths stay true in workers
    limits.MONITOR: "0",  # its kill of one trial aborts the whole sweep
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON, TensorBoard beside our records
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # would start as many as there are cores, without our runtime_env: none of them is ever used
    "RAY_prestart_worker_first_driver": "0",
    # in C++, it prints addresses at SIGTERM, and aborts the process 3 s later
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours stands in for it: see scaling.interruption
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # snapshots of Tune's state are never read
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    "TUNE_MAX_PENDING_TRIALS_PG": "200",  # so many ask for room at once, that a cluster may grow
    # each trial runs in a thread of its own, and glibc gives threads heaps of their own, up to 8 a
    # core, each of which keeps the most that a trial needed: 100 MB more per trial, measured
    "MALLOC_ARENA_MAX": "2",
}
HANDED_ON = ("OVERHEAR_PATIENCE",)  # what a person may have set on the driver's machine only
PATIENCE = 120  # seconds in which a node must have looked at itself
HEAD = "node:__internal_head__"  # the resource that Ray gives to the head, and to no other node
OPTIONS = {"CPU": "--cpus-per-trial", "GPU": "--gpus-per-trial", "memory": "--memory-per-trial"}


def check(resources: Resources, compute: Compute) -> None:
    """Raises ValueError, before Ray starts, for a device, precision or amount that this machine
    does not have. Of a cluster only the spelling is checked here; its nodes answer for the rest.
    """
    from scaling import machine

    machine.check_names(compute.device, compute.precision, compute.capture)
    if resources.gpus and compute.device[-1].isdigit():
        raise ValueError(
            f"--device {compute.device} with --gpus-per-trial {resources.gpus:g}: each trial sees "
            "only the GPUs that Ray gives it: use --device cuda"
        )
    if resources.address is not None:
        addresses.spelled(resources.address)
        return
    machine.here(compute.device, compute.precision, capture=compute.capture)
    import torch

    if compute.device.startswith("cuda") and not resources.gpus:
        raise ValueError(
            f"--device {compute.device}: each trial sees only the GPUs that Ray gives it: add "
            "--gpus-per-trial, such as --gpus-per-trial 1"
        )
    if compute.device == "auto" and not resources.gpus and torch.cuda.device_count():
        warnings.warn(
            "no trial uses this machine's GPU: add --gpus-per-trial 1 to use it", stacklevel=2
        )
    there = {
        "CPU": resources.local_cpus or os.cpu_count() or 1,
        "GPU": torch.cuda.device_count(),
        "memory": psutil.virtual_memory().total,
    }
    for kind, much in resources.of_a_trial().items():
        if much > there[kind]:
            of_them = memory_size(much) if kind == "memory" else f"{much:g}"
            most = _amount(kind, there[kind])
            raise ValueError(f"{OPTIONS[kind]} {of_them}: this machine has {most}: ask for less")
    if resources.mps:
        mps.check()
    addresses.ignored()


def reach(resources: Resources) -> None:
    """Raises ValueError where no Ray answers at the address, before clips are packed for it."""
    if resources.address is not None:
        addresses.check(resources.address, _has_token())


def prepare_environment(resources: Resources) -> str | None:
    """Set what Ray reads as it is imported; the RAY_AUTH_MODE that a person had set, if any."""
    os.environ.update({k: v for k, v in ENVIRONMENT.items() if k not in os.environ})
    auth = os.environ.get("RAY_AUTH_MODE")
    if resources.address is not None and _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    return auth


@contextmanager
def session(resources: Resources, places: Sequence[str], own: Path) -> Iterator[Callable[[], None]]:
    """A Ray to run in: the cluster at an address, or one that starts here while the block goes on,
    and is stopped after it; yields what waits until it is there.

    `places` are the folders and URIs that trials read and write, `own` is a folder that only this
    user can enter. Raises ValueError where no Ray answers at the address.
    """
    import ray

    for name in ("ray", "ray.tune", "ray.train", "ray.air"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    quiet: dict[str, Any] = {
        "logging_level": logging.CRITICAL,
        "log_to_driver": False,
        "job_config": _job(),
        # Ray sets it, too, but not where the node's environment has one already
        "runtime_env": {
            "env_vars": {
                **ENVIRONMENT,
                "OMP_NUM_THREADS": str(resources.cpus),
                **{name: os.environ[name] for name in HANDED_ON if name in os.environ},
            }
        },
    }
    if resources.address is None:
        served = mps.served(own) if resources.mps else nullcontext()
        with served, local.starting(own, resources.local_cpus, places, **quiet) as ready:
            yield ready
        return
    try:
        reach(resources)
        try:
            with undisturbed(here=False), interruption.deferred():
                ray.init(address=resources.address, **quiet)
        except (ConnectionError, ray.exceptions.AuthenticationError) as error:
            none = "none runs on this machine" if resources.address == "auto" else ""
            reason = none or str(error).splitlines()[0]
            raise addresses.silent(resources.address, reason) from None
        yield _there
    finally:
        local.shut_down()


def _there() -> None:
    """What is waited for has come."""


def _job() -> Any:
    """What Ray's workers import: what is installed, as the driver does. Left to itself Ray looks
    into the driver's working directory first, where any `scaling.py` or `torch.py` stands in the
    place of the package; a working directory of the job's own would be looked into instead.
    """
    from ray.job_config import JobConfig

    class Job(JobConfig):
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    return Job(_py_driver_sys_path=[str(Path(__file__).resolve().parents[2])])


@contextmanager
def checked(
    trials: Sequence[Trial], task: Task, resources: Resources, auth: str | None
) -> Iterator[Task]:
    """The task as workers get it; on a cluster, once all of its nodes have been looked at.

    Raises ValueError with a line for all that a node lacks.
    """
    if resources.address is None:
        yield task
        return
    with preflight.driver(trials, task.results) as driver:
        task = replace(task, driver=driver)
        root = task.recordings.root
        if root and "://" not in root:
            absolute = str(Path(root).expanduser().absolute())
            task = replace(task, recordings=replace(task.recordings, root=absolute))
        found = _look(preflight.distinct(trials), task, resources)
        lines = preflight.complaints(found, Results(task.results), auth)
        if task.compute.device.startswith("cuda"):
            without = [node for node in nodes() if not node["Resources"].get("GPU")]
            lines += [
                f"node {label(node)}: it has no GPU, which --device {task.compute.device} needs"
                for node in without
                if _room(node["Resources"], resources)
            ]
        if lines:
            raise ValueError(
                f"the cluster is not ready and no trial was started: {'; '.join(lines)}"
            )
        monitored = [node for node, facts in found.items() if getattr(facts, "monitored", False)]
        if monitored:
            warnings.warn(
                f"node {', '.join(monitored)}: Ray's memory monitor is on, and if it ends one "
                f"trial, the sweep ends: start Ray there with {limits.MONITOR}=0",
                stacklevel=2,
            )
        yield task


def _look(
    trials: Sequence[Trial], task: Task, resources: Resources
) -> dict[str, preflight.Facts | str]:
    """What each node with room for a trial says of itself, or why it says nothing."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(preflight.look)
    asked = {}
    for node in nodes():
        if _room(node["Resources"], resources):
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            options = look.options(num_cpus=0, max_retries=0, scheduling_strategy=there)
            asked[label(node)] = options.remote(trials, task)
    answered, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=PATIENCE)
    found: dict[str, preflight.Facts | str] = {}
    for name, reference in asked.items():
        found[name] = f"nothing within {PATIENCE} s: is it there, and is Overhear installed on it?"
        if reference in answered:
            try:
                found[name] = ray.get(reference)
            except Exception as error:  # noqa: BLE001
                # of whatever kind: what a node fails with is the answer
                found[name] = summary(cause(error))
    return found


def nodes() -> list[dict[str, Any]]:
    """The living nodes, as Ray describes them."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def label(node: Mapping[str, Any]) -> str:
    """A node as a person finds it: its name or host name, its address, and Ray's id of it."""
    named = node["NodeName"] != node["NodeManagerAddress"]
    name = node["NodeName"] if named else node["NodeManagerHostname"]
    return f"{name} ({node['NodeManagerAddress']}, {node['NodeID'][:8]})"


def _room(node: Mapping[str, float], resources: Resources) -> int:
    """How many trials a node with these resources can run at once."""
    taken = resources.of_a_trial()
    return min(int(node.get(kind, 0) // much) for kind, much in taken.items() if much)


def slots(resources: Resources) -> int:
    """How many trials can run at once. Ray waits for ever for what no node has: that is a
    ValueError here, unless the head runs no trials: then nodes are expected to come when asked for.
    """
    there = nodes()
    room = sum(_room(node["Resources"], resources) for node in there)
    grows = any(HEAD in n["Resources"] and not n["Resources"].get("CPU") for n in there)
    taken = {kind: much for kind, much in resources.of_a_trial().items() if much}
    for kind, much in taken.items():
        largest = max(there, key=lambda node: float(node["Resources"].get(kind, 0)))
        most = largest["Resources"].get(kind, 0)
        if much > most and not grows:
            of_them = memory_size(much) if kind == "memory" else f"{much:g}"
            raise ValueError(
                f"{OPTIONS[kind]} {of_them}: the largest node has {_amount(kind, most)}: ask for "
                f"less (it is {label(largest)})"
            )
    if not room and not grows:
        together = " and ".join(_amount(kind, much) for kind, much in taken.items())
        options = " and ".join(OPTIONS[kind] for kind in taken)
        raise ValueError(f"no node has {together} together, which {options} request: ask for less")
    if not room:
        warnings.warn("no node has room for a trial yet: waiting for one", stacklevel=2)
    return max(1, min(room, resources.concurrent or 10**9))


def _amount(kind: str, much: float) -> str:
    if kind == "memory":
        return f"{memory_size(much)} of memory"
    return f"{much:g} {kind}{'' if much == 1 else 's'}"


def _has_token() -> bool:
    """Whether this user has a token for a cluster's authentication, at any of Ray's places."""
    named = os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
    return bool(named) or Path("~/.ray/auth_token").expanduser().exists()
