"""`make bench`: every benchmark, each in a process of its own, all results in one table.

About a quarter of an hour on two quiet cores, of which `sweep` takes five minutes. What a benchmark
prints is there as it comes; one that fails costs its own figures alone.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from common import WIDTH, Result, machine, table
from rich.console import Console

HERE = Path(__file__).parent
BENCHMARKS = ("frontends", "step", "pruning", "erf", "sweep", "analysis_size", "gpu")


def results(name: str) -> tuple[list[Result], bool]:
    """What one benchmark found, each named with it, and whether it came to its end; what it prints
    besides goes to stderr.
    """
    found = []
    line = [sys.executable, "-u", str(HERE / f"{name}.py")]
    with subprocess.Popen(line, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None, "a pipe"
        for said in process.stdout:
            if said.startswith("{"):
                found += [Result(**each) for each in json.loads(said)["results"]]
            else:
                print(said, end="", file=sys.stderr, flush=True)
    return [each._replace(name=f"{name}: {each.name}") for each in found], not process.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", choices=[*BENCHMARKS, []], help="default: all")
    chosen = parser.parse_args()
    found, failed = [], []
    for name in chosen.only or BENCHMARKS:
        begun = time.perf_counter()
        own, ended = results(name)
        found += own
        failed += [] if ended else [name]
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    Console(width=WIDTH).print(table("All benchmarks", found, machine()))
    if failed:
        raise SystemExit(f"failed, see above: {', '.join(failed)}")
    if any(each.limit is not None and each.ratio < each.limit for each in found):
        raise SystemExit("below the limit: something is broken, see above")


if __name__ == "__main__":
    main()
