"""Stopwatch: times and memory of one model, in a process of its own that is run for nothing else.

Run as `python -m scaling.shipping.stopwatch` with a Job as JSON on standard input, it prints a
Timing for each scope as a JSON line. A process of its own starts with no memory of others and no
threads of others; nothing heavy is imported before the job says what it takes.
Conventions: one clip at a time, of white noise, as no layer's time depends on what it hears;
garbage is not collected meanwhile. A call in which the system gave the processor to another program
tells of that program: it is called again, and left out unless too few ran undisturbed. Memory is
the resident set. Contents: Job, Timing, run, main.
"""

import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

WARM_UP = 10, 0.3  # calls and seconds, at least
REPEATS = 200  # timed calls: ten of them are slower than the 95th percentile
FEWEST, LONGEST = 50, 60.0  # a model that takes more seconds than these is called fewer times
MOST = 4  # times as many calls as are asked for, where others interrupt
STRETCHES = 5  # consecutive parts of the repeats, whose medians tell how steady the machine is


class Job(NamedTuple):
    """What is measured: a trial of a results folder by torch, or an ONNX file by onnxruntime."""

    results: str = ""  # address of the folder
    trial: str = ""
    file: str = ""  # path of the ONNX file, whose first input is waves (B, T)
    samples: int = 0  # T of the file's clips
    precision: str = "float32"
    threads: int = 1
    repeats: int = REPEATS


class Scope(NamedTuple):
    """What is called, and what memory the process held before."""

    name: str
    call: Callable[[], Any]
    before: int  # bytes, without the model


class Timing(NamedTuple):
    """What was measured of one scope; the columns of these names in the records of latency."""

    scope: str
    p50_ms: float
    p95_ms: float
    low_ms: float
    high_ms: float
    cpu_ms: float
    peak_memory_bytes: int
    model_memory_bytes: int
    repeats: int
    interrupted: float


def run(job: Job) -> list[Timing]:
    """The timings of a job, from a new process. Raises ValueError, in one line, for what that
    process refuses, and where it dies.
    """
    places = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(job.threads))
    ended = subprocess.run(
        [sys.executable, "-m", "scaling.shipping.stopwatch"],
        input=json.dumps(job._asdict()),
        capture_output=True,
        text=True,
        env={**os.environ, **places, **threads},
        check=False,
    )
    if ended.returncode == 2:
        raise ValueError(ended.stderr.strip().splitlines()[-1])
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise ValueError(
            f"{job.file or job.trial}: the process that measured it ended with code "
            f"{ended.returncode} ({last[0]}); a negative one is a signal, 9 too little memory"
        )
    return [Timing(**json.loads(line)) for line in ended.stdout.splitlines()]


def main() -> None:
    """Answer the job on standard input; exit with 2 after one line for what a person can mend."""
    job = Job(**json.load(sys.stdin))
    try:
        for timing in _timings(job):
            print(json.dumps(timing._asdict()))
    except ValueError as error:
        sys.exit(_said(str(error)))


def _said(line: str) -> int:
    print(line, file=sys.stderr)
    return 2


def _timings(job: Job) -> Iterator[Timing]:
    """The network first: whatever it takes, the whole takes, too, and a peak never sinks."""
    prepare = _file if job.file else _trial
    for scope in prepare(job):
        yield _timing(scope, job.repeats)


def _trial(job: Job) -> Iterator[Scope]:
    """The scopes of a trial. What reading its records took is not the model's."""
    import torch

    from scaling.machine import Machine
    from scaling.results.records import Results
    from scaling.shipping.model import load
    from scaling.training.inputs import patches

    torch.set_num_threads(job.threads)
    torch.set_num_interop_threads(1)
    machine = Machine(torch.device("cpu"), getattr(torch, job.precision), job.threads)
    with torch.inference_mode(), machine.autocast():  # what torch itself sets up is not the model's
        torch.nn.functional.conv2d(torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 3, 3))
        torch.fft.rfft(torch.zeros(64, dtype=torch.float64))
    model = load(Results(job.results), job.trial, machine)
    held = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
    before = _forget() - held
    with torch.inference_mode():
        noise = torch.Generator().manual_seed(0)
        waves_BT = 0.1 * torch.randn((1, model.samples), generator=noise)
        features_PFN = patches(model.trial, model.frontend(waves_BT)).flatten(0, 1).clone()
        yield Scope("network", lambda: model.classifier(features_PFN), before)
        yield Scope("waveform", lambda: model.probabilities(model(waves_BT)), before)


def _file(job: Job) -> Iterator[Scope]:
    """The one scope of a file from waveform to probabilities."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
    before = _forget()
    session = onnxruntime.InferenceSession(job.file, options, ["CPUExecutionProvider"])
    noise = np.random.default_rng(0).standard_normal((1, job.samples))
    given = {session.get_inputs()[0].name: (0.1 * noise).astype(np.float32)}
    yield Scope("waveform", lambda: session.run(None, given), before)


def _timing(scope: Scope, repeats: int) -> Timing:
    """Call it again and again."""
    times, interrupted = _times(scope.call, repeats)
    wall, processor = zip(*times, strict=True)
    size = max(1, len(wall) // STRETCHES)
    medians = [statistics.median(wall[at : at + size]) for at in range(0, len(wall), size)]
    peak = _memory("VmHWM")
    return Timing(
        scope.name,
        p50_ms=round(statistics.median(wall), 3),
        p95_ms=round(_percentile(wall, 0.95), 3),
        low_ms=round(min(medians), 3),
        high_ms=round(max(medians), 3),
        cpu_ms=round(statistics.median(processor), 3),
        peak_memory_bytes=peak,
        model_memory_bytes=max(0, peak - scope.before),
        repeats=len(wall),
        interrupted=round(interrupted, 4),
    )


def _times(call: Callable[[], Any], repeats: int) -> tuple[list[tuple[float, float]], float]:
    """Milliseconds by a wall clock and of the processor of each call that counts, and the share of
    all calls that was interrupted.
    """
    began, called = time.perf_counter(), 0
    while called < WARM_UP[0] or time.perf_counter() - began < WARM_UP[1]:
        call()
        called += 1
    gc.collect()
    gc.disable()
    undisturbed: list[tuple[float, float]] = []
    disturbed: list[tuple[float, float]] = []
    began = time.perf_counter()
    while len(undisturbed) < repeats:
        called = len(undisturbed) + len(disturbed)
        late = time.perf_counter() - began > LONGEST and called >= FEWEST
        if late or called >= MOST * repeats:
            break
        switches, working = _switches(), time.process_time_ns()
        now = time.perf_counter_ns()
        call()
        wall = (time.perf_counter_ns() - now) / 1e6
        processor = (time.process_time_ns() - working) / 1e6
        calls = undisturbed if _switches() == switches else disturbed
        calls.append((wall, processor))
    gc.enable()
    share = len(disturbed) / (len(undisturbed) + len(disturbed))
    enough = len(undisturbed) >= min(FEWEST, repeats)
    return undisturbed if enough else undisturbed + disturbed, share


def _switches() -> int:
    """How often the system took the processor from this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is at least as large as this share of all."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1)]


def _memory(name: str) -> int:
    """Bytes of VmRSS, resident now, or VmHWM, the peak. Not getrusage's, which on Linux begins with
    that of the process that started this one. Source: proc(5).
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _forget() -> int:
    """Forget the peak of importing libraries, where the system can; what they leave, bytes."""
    gc.collect()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


if __name__ == "__main__":
    main()
