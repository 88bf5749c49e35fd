"""What benchmarks share: fair timing, a table, and one line of history per run.

Conventions: a ratio above 1 means that ours is ahead. A target is the ratio aimed at, a limit the
ratio below which something is broken (None: not judged, shown for comparison).
Contents: `medians`, `Result` with `timed`, and `report`.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table

REST = 0.3  # seconds
HISTORY = Path(__file__).with_name("history.jsonl")


class Result(NamedTuple):
    """One comparison; `ours` and `peer` are in the unit that `name` ends with."""

    name: str
    ours: float
    peer: float
    ratio: float
    target: float | None = None
    limit: float | None = None

    @property
    def verdict(self) -> str:
        if self.limit is not None and self.ratio < self.limit:
            return "[red]below the limit"
        if self.target is not None:
            return "[green]reached" if self.ratio >= self.target else "[yellow]below the target"
        return ""


def timed(
    name: str,
    ours: float,
    peer: float,
    target: float | None = None,
    limit: float | None = None,
) -> Result:
    """A comparison of two durations in seconds, told in milliseconds."""
    return Result(f"{name}, ms", 1e3 * ours, 1e3 * peer, peer / ours, target, limit)


def medians(contestants: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of one call of each; interleaved, so that a busy moment hits all alike.

    Between two calls all rest: the idle threads of OpenBLAS spin for about 0.1 s after their
    work, which would be charged to whoever comes next.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for run in range(repeats + 1):
        for name, call in contestants.items():
            time.sleep(REST)
            start = time.perf_counter()
            call()
            if run > 0:  # the first call warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def machine() -> str:
    """Processor, its threads as torch uses them, GPU if any, and torch's version."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    parts = [names[0] if names else platform.processor() or platform.machine()]
    parts.append(f"{torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join([*parts, f"torch {torch.__version__}"])


def report(title: str, results: Sequence[Result]) -> None:
    """Print a table and the run as one JSON line, and append that line to HISTORY."""
    table = Table(title=title, caption=machine())
    table.add_column("comparison")
    for column in ("ours", "peer", "ratio", "target", "limit"):
        table.add_column(column, justify="right")
    table.add_column("")
    for result in results:
        numbers = ["" if value is None else f"{value:,.2f}" for value in result[1:]]
        table.add_row(result.name, *numbers, result.verdict)
    Console(width=120).print(table)
    run = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "results": [result._asdict() for result in results],
    }
    line = json.dumps(run)
    print(line)
    with HISTORY.open("a") as history:
        history.write(line + "\n")
