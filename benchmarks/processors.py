"""What of a result is the fold, the seed, the processor: the same trainings by other instructions.

A processor differs from another in the vector instructions that its kernels use, which round sums
differently; training amplifies that. Each training is repeated with those of this machine, with
AVX2 alone and with none of AVX, in sweeps of their own, and paired by fold and seed.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from common import machine
from rich.console import Console
from rich.table import Table
from scipy.stats import t

from analysis.data import opened

STUDY = '''"""The same trainings, on one processor after another."""

from scaling.settings import changed
from scaling.settings.recipes import ESC10_MICROPHONES
from sweeps.study import product

QUESTION = "What of a result is the processor?"
SOURCE = "benchmarks/processors.py"


def trials():
    short = {{"training.epochs": {epochs}, "training.warmup": 4, "evaluation.every": {epochs}}}
    base = changed(ESC10_MICROPHONES, {{**short, "evaluation.last": 1}})
    folds, seeds = range(1, {folds} + 1), range({seeds})
    yield from product(base, network__width=({width},), split__fold=folds, seed=seeds)
'''
LIMITED = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "this machine's": (),
    "AVX2 alone": ("avx2", "AVX2", "AVX2"),
    "without AVX": ("default", "SSE41", "SSE4_2"),
}


def trained(study: Path, out: Path, instructions: tuple[str, ...]) -> "pd.Series[float]":
    """Accuracy on unseen devices by (fold, seed), trained with these instructions at most."""
    limits = dict(zip(LIMITED, instructions, strict=False))
    command = [sys.executable, "-m", "overhear", "sweep", str(study), "--out", str(out)]
    subprocess.run(command, env=os.environ | limits, check=True, stdout=subprocess.DEVNULL)
    scores = opened([out]).scores()
    unseen = scores[(scores["split"] == "unseen") & (scores["device"] == "all")]
    by_run = unseen.set_index(["split.fold", "seed"])["value"]
    return by_run.astype(float).sort_index()


def deviations(accuracy: Mapping[str, "pd.Series[float]"]) -> dict[str, float]:
    """Standard deviations of one training's accuracy: by its fold, its seed within a fold, and the
    processor for one fold and seed. Moments; a fold's is cut at 0. With one seed, nan but for the
    processor.
    """
    value_FS = accuracy["this machine's"].unstack()
    seed = value_FS.var(axis=1).mean()
    fold = np.maximum(0.0, value_FS.mean(axis=1).var() - seed / value_FS.shape[1])
    runs = pd.DataFrame(accuracy)
    return {
        "fold": float(np.sqrt(fold)),
        "seed": float(np.sqrt(seed)),
        "processor": float(np.sqrt(runs.var(axis=1).mean())),
    }


def interval(difference: "pd.Series[float]") -> tuple[float, float, float]:
    """Mean of differences over folds, seeds averaged, with a 95 % interval by Student's t."""
    by_fold = difference.groupby("split.fold").mean()
    error = t.ppf(0.975, len(by_fold) - 1) * by_fold.std() / np.sqrt(len(by_fold))
    return by_fold.mean(), by_fold.mean() - error, by_fold.mean() + error


def report(accuracy: Mapping[str, "pd.Series[float]"]) -> None:
    """Two tables: mean differences between instructions, and what one training varies by."""
    runs = next(iter(accuracy.values()))
    folds, seeds = (runs.index.get_level_values(level).nunique() for level in (0, 1))
    table = Table(title=f"Accuracy on unseen devices, {folds} folds x {seeds} seeds, {machine()}")
    for heading in ("instructions", "mean %", "against", "points", "95 % over folds", "largest"):
        table.add_column(heading)
    for name, values in accuracy.items():
        table.add_row(name, f"{100 * values.mean():.1f}")
    for one, other in itertools.combinations(accuracy, 2):
        difference = 100 * (accuracy[other] - accuracy[one])
        mean, low, high = interval(difference)
        cells = (f"{mean:+.1f}", f"{low:+.1f} to {high:+.1f}", f"{difference.abs().max():.1f}")
        table.add_row(other, "", one, *cells)
    console = Console()
    console.print(table)
    varies = {name: 100 * value for name, value in deviations(accuracy).items()}
    said = ", ".join(f"{name} {value:.1f}" for name, value in varies.items() if value == value)
    console.print(f"One training's accuracy varies by (standard deviation, points): {said}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--folds", type=int, default=5)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--width", type=int, default=8)
    options.add_argument("--out", type=Path, help="keep the results there; a second run resumes")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = given.out or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        study = out / "processors.py"
        sizes = {name: getattr(given, name) for name in ("folds", "seeds", "epochs", "width")}
        study.write_text(STUDY.format(**sizes))
        accuracy = {
            name: trained(study, out / str(index), limits)
            for index, (name, limits) in enumerate(INSTRUCTIONS.items())
        }
    report(accuracy)


if __name__ == "__main__":
    main()
