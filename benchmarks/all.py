"""`make bench`: every benchmark, each in a process of its own, all results in one table."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from common import WIDTH, Result, machine, table
from rich.console import Console

HERE = Path(__file__).parent
BENCHMARKS = ("frontends", "step", "pruning", "erf", "sweep", "gpu")


def results(name: str) -> list[Result]:
    """What one benchmark found, each named with it; what it prints besides goes to stderr."""
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py")], check=True, text=True, stdout=subprocess.PIPE
    )
    found = []
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            found += [Result(**each) for each in json.loads(line)["results"]]
        elif not found:
            print(line, file=sys.stderr)
    return [each._replace(name=f"{name}: {each.name}") for each in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", choices=[*BENCHMARKS, []], help="default: all")
    chosen = parser.parse_args()
    found = []
    for name in chosen.only or BENCHMARKS:
        begun = time.perf_counter()
        found += results(name)
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    Console(width=WIDTH).print(table("All benchmarks", found, machine()))
    if any(each.limit is not None and each.ratio < each.limit for each in found):
        raise SystemExit("below the limit: something is broken, see above")


if __name__ == "__main__":
    main()
