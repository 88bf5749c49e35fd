"""Latency: how long trained trials take for one clip on this machine, measured and recorded.

The latency of a model is scope `waveform`, from waveform to probabilities: what its user waits for.
Scope `network` is the network alone, from features. One clip at a time, on the CPU. Files that
`overhear export` left in `models/` are timed by onnxruntime, the int8 twin among them. A trial's
measurements of several machines are kept side by side in `latency/<trial>.parquet`; the same one
measured again replaces its former self. Contents: PRECISIONS, FILES, `here`, `measured`,
`of_file`, `recorded`, `keep`.
"""

import importlib.metadata
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scaling import machine, optional
from scaling.receptive_field import runs
from scaling.results import lock_file
from scaling.results.records import Results
from scaling.shipping import MODELS, stopwatch
from scaling.shipping.stopwatch import Job
from scaling.text import one_line

PRECISIONS = ("float32", "bfloat16")  # of torch
FILES = {"float32": ".onnx", "int8": ".int8.onnx"}  # of onnxruntime
KEY = ("machine", "runtime", "threads", "precision", "scope")  # tells a trial's measurements apart
LONGEST_NAME = 80  # letters of a machine's name


def here(named: str = "") -> str:
    """What this machine is called: as named, else by its board or processor.

    Raises ValueError for a name that is too long.
    """
    if len(named) > LONGEST_NAME:
        raise ValueError(
            f"--machine {named[:20]}...: {len(named)} letters, the limit is {LONGEST_NAME}"
        )
    return one_line(named or _processor())


def check_threads(threads: int) -> None:
    """Raises ValueError for more threads than this machine has processors, or none."""
    processors = os.cpu_count() or 1
    if not 1 <= threads <= processors:
        raise ValueError(
            f"--threads {threads}: must be from 1 to {processors}, this machine's processors"
        )


def measured(
    results: Results,
    trials: Sequence[str],
    precisions: Sequence[str] = PRECISIONS,
    threads: int = 1,
    repeats: int = stopwatch.REPEATS,
    named: str = "",
) -> Iterator[list[dict[str, Any]]]:
    """Measure trials one by one, in a new process for each precision, and record each: yields its
    rows, as they are kept. Errors: those of stopwatch.run.
    """
    check_threads(threads)
    where = here(named)
    for trial in trials:
        rows = []
        for precision in precisions:
            job = Job(results.address, trial, "", 0, precision, threads, repeats)
            rows += recorded(trial, job, where)
        if not optional.missing("export"):
            rows += _of_files(results, trial, Job(threads=threads, repeats=repeats), where)
        keep(results, trial, rows)
        yield rows


def _of_files(results: Results, trial: str, job: Job, where: str) -> list[dict[str, Any]]:
    """The rows of the files that were exported of a trial, each timed as the job says."""
    contents = {name: results.get(MODELS, trial + ending) for name, ending in FILES.items()}
    there = {name: content for name, content in contents.items() if content is not None}
    if not there:
        return []
    (found,) = runs.trials(results, [trial])
    timed = job._replace(samples=found.sound.samples)
    parts = (of_file(trial, each, timed._replace(precision=p), where) for p, each in there.items())
    return [row for part in parts for row in part]


def of_file(trial: str, content: bytes, job: Job, where: str) -> list[dict[str, Any]]:
    """The rows of an ONNX file of this content for the records of a trial, as `recorded`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, trial + FILES[job.precision])
        file.write_bytes(content)
        return recorded(trial, job._replace(file=str(file)), where)


def recorded(trial: str, job: Job, where: str) -> list[dict[str, Any]]:
    """The rows of one job for the records of a trial on the machine of this name."""
    about = {
        "trial": trial,
        "machine": where,
        "node": platform.node(),
        "runtime": "onnxruntime" if job.file else "torch",
        "threads": job.threads,
        "precision": job.precision,
        "versions": _versions(),
        "measured": datetime.now(UTC),
    }
    return [about | timing._asdict() for timing in stopwatch.run(job)]


def keep(results: Results, trial: str, rows: Iterable[dict[str, Any]]) -> None:
    """Record measurements beside the trial's others, which another machine may just be adding to.
    Raises Refused.
    """
    new = {_key(row): row for row in rows}
    with lock_file.alone(results, lock_file.STILL):
        there = results.holds("latency", trial)
        known = results.read("latency", [trial]).to_pylist() if there else []
        results.write("latency", trial, [*(r for r in known if _key(r) not in new), *new.values()])


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def _versions() -> str:
    """Python and library versions as JSON, onnxruntime's among them."""
    found = json.loads(machine.versions())
    with suppress(importlib.metadata.PackageNotFoundError):
        found["onnxruntime"] = importlib.metadata.version("onnxruntime")
    return json.dumps(found)


def _processor() -> str:
    """The name of the board, as `Raspberry Pi 4 Model B Rev 1.4`, or of the processor."""
    with suppress(OSError):
        if board := Path("/proc/device-tree/model").read_text().strip("\0 \n"):
            return board
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    with suppress(OSError, subprocess.CalledProcessError):
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()
