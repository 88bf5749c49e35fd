"""Benchmark: how fast trials will be on this machine, measured by as many processes as will run at
once.

What the processes share (cores, memory, a GPU) slows them as it will slow the trials. Each has the
threads and sees the GPUs that Ray will give to a trial. Contents: Way, `measure`.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping
from time import monotonic
from typing import Any, NamedTuple, Self

from scaling.own import parts, sources
from sweeps.timing.step_times import Probe, Speed

ASSUMED = 2e9  # multiply-adds a second, before any is measured: little, for what cannot be done


class Way(NamedTuple):
    """How trials will run here."""

    device: str = "auto"
    precision: str = "auto"
    cpus: int = 1  # of one trial
    gpus: float = 0.0  # of one trial; 0: it sees none
    slots: int = 1  # trials at once
    frontend: str = "auto"  # as in sweeps.launch.Compute
    capture: str = "auto"  # as there


def measure(
    wanted: Mapping[Probe, int], way: Way, budget: float
) -> tuple[dict[Probe, Speed], dict[Probe, str]]:
    """The speeds of probes of so many trials each, and why one has none; those of most trials
    first, until about `budget` seconds are over.

    What seems to take more than is left of them comes last, the least of it first: wide networks
    are faster, for what they do, than the narrow ones that tell.
    """
    found: dict[Probe, Speed] = {}
    failed: dict[Probe, str] = {}
    waiting = sorted(wanted, key=lambda each: (-wanted[each], each.work, each.trial.id))
    with _Crew(way, budget) as crew:
        while waiting:
            pace = _pace(found)
            fitting = (each for each in waiting if each.work < pace * crew.left())
            now = next(fitting, None) or min(waiting, key=lambda each: each.work)
            waiting.remove(now)
            answer = crew.ask(now)
            if answer is None:
                break
            if isinstance(answer, str):
                failed[now] = answer
            else:
                found[now] = answer
    if len(found) > 1:  # what a process does only once (imports) fell upon the first
        first, *others = found
        start = min(found[each].start for each in others)
        found[first] = found[first]._replace(start=min(found[first].start, start))
    return found, failed


def _pace(found: Mapping[Probe, Speed]) -> float:
    """Multiply-adds a second: the least that was measured."""
    paces = (each.step_work / speed.step for each, speed in found.items() if each.step_work)
    return min(paces, default=ASSUMED)


class _Crew:
    """Processes that measure the same at the same time, and are ended when time is over."""

    def __init__(self, way: Way, budget: float) -> None:
        self.way, self.ends = way, monotonic() + budget
        self.members = [
            subprocess.Popen(
                [sys.executable, "-m", "sweeps.timing.step_times"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=_environment(way, number),
            )
            for number in range(way.slots)
        ]
        self.timer = threading.Timer(budget, self._kill)
        self.timer.daemon = True

    def __enter__(self) -> Self:
        self.timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        self._kill()
        for member in self.members:
            member.wait()
            for pipe in (member.stdin, member.stdout):
                assert pipe is not None
                pipe.close()

    def _kill(self) -> None:
        for member in self.members:
            member.kill()

    def left(self) -> float:
        """Seconds until time is over."""
        return self.ends - monotonic()

    def ask(self, probe: Probe) -> Speed | str | None:
        """What the members measured, on average; why one could not; None where time was over."""
        trials = [each.stated() for each in (probe.trial, *probe.beside)]
        way = self.way
        machine = way.device, way.precision, way.cpus, way.frontend, way.capture
        numbers = probe.classes, probe.clips, probe.held, probe.macs
        line = json.dumps({"trials": trials, "numbers": numbers, "machine": machine})
        try:
            for member in self.members:
                assert member.stdin is not None
                print(line, file=member.stdin, flush=True)
        except BrokenPipeError:
            return None
        speeds = []
        for answer in [_answer(member) for member in self.members]:
            if answer is None:
                return None
            if "error" in answer:
                return str(answer["error"])
            speeds.append(Speed(**answer))
        return Speed(*(statistics.fmean(parts) for parts in zip(*speeds, strict=True)))


def _answer(member: "subprocess.Popen[str]") -> dict[str, Any] | None:
    """What a process says; None where it is gone."""
    assert member.stdout is not None
    line = member.stdout.readline()
    answer: dict[str, Any] | None = json.loads(line) if line else None
    return answer


def _environment(way: Way, number: int) -> dict[str, str]:
    """What the process of this number sees: the threads and GPUs of a trial."""
    first, count = int(number * way.gpus), math.ceil(way.gpus)
    seen = ",".join(map(str, range(first, first + count)))
    threads = {"OMP_NUM_THREADS": str(way.cpus), "MALLOC_ARENA_MAX": "2"}
    folders = [each.folder for each in sources.held()]  # of parts that a person has named
    listed = os.pathsep.join([*folders, *filter(None, [os.environ.get(parts.VARIABLE)])])
    own = {parts.VARIABLE: listed} if listed else {}
    return {**os.environ, **threads, **own, "CUDA_VISIBLE_DEVICES": seen}
