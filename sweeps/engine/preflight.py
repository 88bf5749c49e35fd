"""Preflight: what a node must have before a trial runs on it. Knows no Ray.

The driver states what it has (`driver`), and leaves a mark in the results folder while it sweeps.
Before the first trial every node inspects itself (`look`), and `complaints` has a line for each
thing that a node lacks. Nodes may join later: each worker checks its own node (`ready`). What a
node lacks is no trial's failure, and is never recorded as one.
"""

import hashlib
import importlib.metadata
import os
import platform
import uuid
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from scaling import machine
from scaling.machine import LIBRARIES
from scaling.own import sources
from scaling.own.sources import Sources
from scaling.results.records import HIDDEN, Refused, Results
from scaling.settings import Trial
from scaling.sound import prepare
from scaling.sound.datasets.reading import Reading
from scaling.sound.store import Store
from sweeps.engine import limits
from sweeps.launch import AS_GIVEN, Compute, Recordings

# Those that records depend on, and those that nodes talk through.
PACKAGES = (
    *("ray", *LIBRARIES, "pandas", "pyarrow", "pydantic", "pyroomacoustics"),
    *("safetensors", "scikit-learn", "scipy"),
)
CODE = "code of Overhear"


class Unfit(ValueError):
    """This node cannot run what another one can."""


class Reference(NamedTuple):
    """What the driver of a sweep over several nodes has, and every node must have, too."""

    mark: str  # a file in the results folder, there while the sweep lasts
    versions: dict[str, str]
    extras: dict[str, str]  # see prepare.extras


@dataclass(frozen=True)
class Task:
    """What every worker must know besides its trial; small, pickled to each."""

    stores: Mapping[str, str]  # folders of the packed clips, by store_key(trial)
    results: str
    cpus: int
    compute: Compute
    recordings: Recordings = AS_GIVEN  # on a cluster its root is absolute
    glances: Mapping[str, str] = field(default_factory=dict)  # of the clips, by store_key(trial)
    driver: Reference | None = None  # None: all runs on the driver's own machine
    parts: tuple[Sources, ...] = ()  # code of a person's own, as the driver read it

    def hold_parts(self) -> None:
        """Let this worker import what the driver sent along."""
        for each in self.parts:
            sources.hold(each)

    def glance(self, trial: Trial) -> str:
        """What a look tells of the clips of a trial."""
        return self.glances.get(prepare.store_key(trial), "")


class Facts(NamedTuple):
    """What a node found when it looked at itself."""

    lacks: list[str]  # each in one line
    wrote: str  # a file that it left in the results folder; "": it could not
    auth: str
    monitored: bool = False  # see limits.monitored


@contextmanager
def driver(trials: Iterable[Trial], where: str) -> Iterator[Reference]:
    """What this process has; it holds while the mark lies in the results folder.

    Raises ValueError where the folder cannot be written or a trial's microphones or weights are not
    here.
    """
    results, mark = Results(where), f"{HIDDEN}sweep-{uuid.uuid4().hex}"
    extras = prepare.extras(trials)
    results.prepare()
    results.put(platform.node().encode(), mark)
    try:
        yield Reference(mark, versions(), extras)
    finally:
        with suppress(OSError):  # left behind, it does no harm
            results.remove(mark)


def look(trials: Sequence[Trial], task: Task) -> Facts:
    """What this node lacks for these trials, which should need different things each. Runs on each
    node before the first trial; decodes nothing.
    """
    assert task.driver is not None, "a sweep on one machine looks at no nodes"
    task.hold_parts()
    lacks, wrote = _differences(task.driver), ""
    try:
        _check_results(task, task.driver)
        wrote = _write(task, task.driver)
    except Unfit as error:
        lacks.append(str(error))
    for trial in trials:
        folder = Path(task.stores[prepare.store_key(trial)])
        try:
            if prepare.found(folder) is None:
                prepare.behind(trial, folder, *_read(task), task.glance(trial))
            _check_extras(trial, task.driver)
        except ValueError as error:
            lacks.append(_with_remedy(error))
    lacks = list(dict.fromkeys(lacks))
    auth = os.environ.get("RAY_AUTH_MODE", "disabled").lower()
    return Facts(lacks, wrote, auth, limits.monitored())


def complaints(
    found: Mapping[str, Facts | str], results: Results, auth: str | None = None
) -> list[str]:
    """One line for all that a node lacks: `found` holds what each said, or why it said nothing.

    `auth` is the driver's RAY_AUTH_MODE, where a person has set it. The files that the nodes wrote
    are looked for here, and removed.
    """
    lines = []
    modes = {node: facts.auth for node, facts in found.items() if isinstance(facts, Facts)}
    expected = auth or next(iter(modes.values()), "")
    whose = "the driver" if auth else f"node {next(iter(modes), '')}"
    for node, facts in found.items():
        if isinstance(facts, str):
            lines.append(f"node {node} does not answer: {facts}")
            continue
        lines += [f"node {node}: {lack}" for lack in facts.lacks]
        if facts.wrote:
            if results.get(facts.wrote) is None:
                lines.append(
                    f"node {node}: what it writes to results folder {results.where} is not visible "
                    "here: mount one folder at the same path on all nodes, or name a URI with --out"
                )
            results.remove(facts.wrote)
        if facts.auth != expected:
            lines.append(
                f"node {node}: its Ray was started with RAY_AUTH_MODE={facts.auth}, that of "
                f"{whose} with {expected}: start all with the same"
            )
    return lines


def ready(trial: Trial, task: Task) -> Store:
    """The trial's packed clips, on the node that this runs on; packed here where they are not yet.

    Raises Unfit for the first thing that this node lacks.
    """
    folder = Path(task.stores[prepare.store_key(trial)])
    if task.driver is None:
        return prepare.reopened(trial, folder, *_read(task), task.glance(trial))
    for difference in _differences(task.driver):
        raise Unfit(difference)
    _check_results(task, task.driver)
    try:
        store = prepare.reopened(trial, folder, *_read(task), task.glance(trial))
        _check_extras(trial, task.driver)
    except ValueError as error:
        raise Unfit(_with_remedy(error)) from None
    return store


def _read(task: Task) -> tuple[str | None, bool, Reading]:
    """How the clips are read, as scaling.sound.prepare takes it."""
    return task.recordings.root, task.recordings.skip_unreadable, task.recordings.reading


def machine_of(task: Task) -> machine.Machine:
    """Where a trial of this task computes: this worker's machine.

    Raises Unfit where a cluster's node lacks what another one may have, Refused where the driver's
    own machine has lost its GPU, else ValueError.
    """
    compute = task.compute
    threads = min(task.cpus, os.cpu_count() or 1)  # Ray's count of a node may be a person's
    try:
        how = compute.frontend, compute.capture
        found = machine.here(compute.device, compute.precision, threads, *how)
        machine.check_answers(found)
    except ValueError as error:
        if task.driver is not None:
            raise Unfit(f"{error}") from None
        if compute.device.startswith("cuda"):  # it was there when the sweep began
            raise Refused(
                f"this machine's GPU stopped answering ({error}): all records are kept; repair "
                "the GPU (nvidia-smi shows its state)"
            ) from None
        raise
    return found


def distinct(trials: Iterable[Trial]) -> list[Trial]:
    """One trial for each combination of what trials read: clips, microphones, weights."""
    found: dict[Hashable, Trial] = {}
    for trial in trials:
        microphones = trial.microphones.heard, trial.microphones.responses
        found.setdefault((prepare.store_key(trial), microphones, trial.transfer.weights), trial)
    return list(found.values())


@cache
def versions() -> dict[str, str]:
    """Of Python, of packages, and a digest of Overhear's own code, as this process began."""
    found = {"Python": platform.python_version(), CODE: _code()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "none"  # of Overhear, run from a checkout that is not installed
    return found


def _code() -> str:
    """12 hex digits of the SHA-256 of all Python files of scaling and sweeps."""
    root, content = Path(__file__).resolve().parents[2], hashlib.sha256()
    for package in ("scaling", "sweeps"):
        for path in sorted((root / package).rglob("*.py")):
            content.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return content.hexdigest()[:12]


def _differences(driver: Reference) -> list[str]:
    """Versions of this node that are not the driver's."""
    return [
        f"it has {name} {here}, the driver {driver.versions.get(name)}: install the same on both"
        for name, here in versions().items()
        if here != driver.versions.get(name)
    ]


def _check_results(task: Task, driver: Reference) -> None:
    """Whether the driver's mark is seen from here. Raises Unfit where it is not."""
    results = Results(task.results)
    try:
        seen = results.get(driver.mark) is not None
    except Refused as error:
        raise Unfit(str(error)) from None
    if not seen:
        raise Unfit(
            f"the driver's results folder {results.where} is not visible there: mount one "
            "folder at the same path on all nodes, or name a URI with --out"
        )


def _write(task: Task, driver: Reference) -> str:
    """Leave a file in the results folder; its name. Raises Unfit where it cannot be written."""
    results, name = Results(task.results), f"{driver.mark}-{uuid.uuid4().hex}"
    try:
        results.put(b"", name)
    except Refused as error:
        raise Unfit(str(error)) from None
    return name


def _check_extras(trial: Trial, driver: Reference) -> None:
    for name, here in prepare.extras([trial]).items():
        if here != driver.extras[name]:
            raise ValueError(
                f"its {name} are not the driver's files (digest {here}, not "
                f"{driver.extras[name]}): copy those to it"
            )


def _with_remedy(error: ValueError) -> str:
    return f"{error} (a node has the OVERHEAR_DATA and OVERHEAR_CACHE that its `ray start` had)"
