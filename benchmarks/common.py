"""What benchmarks share: fair timing, a table, and one line of history per run.

Conventions: a ratio above 1 means that ours is ahead. Its spread are the quartiles of the ratios of
the rounds, in each of which all contestants run once. A target is the ratio aimed at, a limit the
ratio below which something is broken (None: not judged, shown for comparison).
Contents: `rounds`, `Result` with `timed`, `machine`, `table` and `report`.
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
WIDTH = 130  # of tables, columns
HISTORY = Path(__file__).with_name("history.jsonl")


class Result(NamedTuple):
    """One comparison; `ours` and `peer` are in the unit that `name` ends with."""

    name: str
    ours: float
    peer: float
    ratio: float
    target: float | None = None
    limit: float | None = None
    low: float | None = None  # first and third quartile of the ratio; None: of one round only
    high: float | None = None

    @property
    def spread(self) -> str:
        """The quartiles, for a table."""
        return "" if self.low is None else f"{self.low:,.2f} to {self.high:,.2f}"

    @property
    def verdict(self) -> str:
        if self.limit is not None and self.ratio < self.limit:
            return "[red]below the limit"
        if self.target is not None:
            return "[green]reached" if self.ratio >= self.target else "[yellow]below the target"
        return ""


def timed(
    name: str,
    ours: Sequence[float],
    peer: Sequence[float],
    target: float | None = None,
    limit: float | None = None,
) -> Result:
    """A comparison of two contestants' seconds in the same rounds: medians in milliseconds."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    ratios = [one / other for one, other in zip(peer, ours, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    ratio = theirs / mine
    return Result(f"{name}, ms", 1e3 * mine, 1e3 * theirs, ratio, target, limit, low, high)


def rounds(contestants: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of one call of each in every round; interleaved, so that a busy moment hits all
    alike.

    Between two calls all rest: the idle threads of OpenBLAS spin for about 0.1 s after their
    work, which would be charged to whoever comes next.
    """
    assert repeats > 1, "one round has no spread"
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for run in range(repeats + 1):
        for name, call in contestants.items():
            time.sleep(REST)
            start = time.perf_counter()
            call()
            if run > 0:  # the first call warms up
                seconds[name].append(time.perf_counter() - start)
    return seconds


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


def table(title: str, results: Sequence[Result], caption: str) -> Table:
    """The results as a table."""
    found = Table(title=title, caption=caption)
    found.add_column("comparison")
    for column in ("ours", "peer", "ratio", "quartiles", "target", "limit"):
        found.add_column(column, justify="right")
    found.add_column("")
    for each in results:
        measured = [f"{value:,.2f}" for value in (each.ours, each.peer, each.ratio)]
        judged = ["" if value is None else f"{value:,.2f}" for value in (each.target, each.limit)]
        found.add_row(each.name, *measured, each.spread, *judged, each.verdict)
    return found


def report(title: str, results: Sequence[Result]) -> None:
    """Print a table and the run as one JSON line, and append that line to HISTORY."""
    Console(width=WIDTH).print(table(title, results, machine()))
    run = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "title": title,
        "results": [result._asdict() for result in results],
    }
    line = json.dumps(run)
    print(line)
    with HISTORY.open("a") as history:
        history.write(line + "\n")
