"""How long `overhear analyze` takes on a big study, and how much memory: 13.5 million rows unless
told otherwise.

The study is invented: sizes x damping x folds x seeds whose accuracy and loss approach a level of
their own, on seen and unseen devices. It is written by the writers that every trial uses, so that
checksums and columns are those of real records; then the command runs in a process of its own, as a
user would run it.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from common import Result, report

from scaling import settings
from scaling.results.outcome import Outcome, Status
from scaling.results.records import Results
from scaling.results.schemas import SCHEMAS
from scaling.seeds import stream
from scaling.settings import Trial

METRICS = ("accuracy", "loss", "macro_f1")
SEEN = 3  # of the devices; the others are unseen. `all` of either split is among them
WIDTHS, DAMPINGS, FOLDS = (4, 8, 16, 32, 64), (0.0, 0.9, 0.95, 0.99), (1, 2, 3, 4, 5)
CLASSES = 10
SECONDS, BYTES = 20.0, 2 * 2**30  # that analyze may take


def trials(number: int, epochs: int) -> Iterator[Trial]:
    """That many trials of sizes x damping x folds, with as many seeds as it takes."""
    seeds = range(-(-number // (len(WIDTHS) * len(DAMPINGS) * len(FOLDS))))
    every = product(seeds, WIDTHS, DAMPINGS, FOLDS)
    for seed, width, damping, fold in islice(every, number):
        yield Trial.model_validate(
            {
                "seed": seed,
                "sound": {
                    "dataset": "esc10",
                    "rate": 32_000,
                    "seconds": 5,
                    "features": {"kind": "log_mel", "window": 2048, "hop": 512, "mels": 256},
                },
                "split": {"protocol": "folds", "fold": fold},
                "network": {
                    "kind": "cp_resnet",
                    "width": width,
                    "depth": 1,
                    "pointwise": 1,
                    "damping": damping,
                },
                "training": {"epochs": epochs, "batch": 16, "rate": 1e-3},
            }
        )


def splits(devices: int) -> list[tuple[str, str]]:
    """Split and device of every series: `all` and single devices."""
    seen = [("seen", name) for name in ("all", "a", "b", "c")[: min(SEEN, devices - 1)]]
    unseen = devices - len(seen)
    return seen + [("unseen", name) for name in ("all", *(f"s{k}" for k in range(1, unseen)))]


def metrics(trial: Trial, epochs: int, devices: int) -> pa.Table:
    """A trial's metrics: one row per epoch, series and metric, epoch by epoch."""
    series = [(*at, metric) for at in splits(devices) for metric in METRICS]
    random = stream(trial.seed, trial.id)
    level = 0.6 + 0.1 * np.log2(trial.network.width) / 6 + random.normal(0, 0.02)
    rise_E = 1 - np.exp(-np.arange(1, epochs + 1) / 20)
    value_ES = level * rise_E[:, None] + random.normal(0, 0.01, (epochs, len(series)))
    loss_S = np.array([metric == "loss" for _, _, metric in series])
    value_ES = np.where(loss_S, 2.3 * (1 - value_ES), np.clip(value_ES, 0, 1))
    texts = ([each[k] for each in series] * epochs for k in range(3))
    split, device, metric = (pa.array(each) for each in texts)
    epoch = pa.array(np.repeat(np.arange(1, epochs + 1, dtype=np.int32), len(series)))
    columns = [pa.array([trial.id] * len(epoch)), epoch, split, device, metric]
    values = pa.array(value_ES.ravel())
    return pa.Table.from_arrays([*columns, values], schema=SCHEMAS["metrics"])


def predictions(trial: Trial, epochs: int, devices: int, clips: int) -> list[dict[str, Any]]:
    """A trial's answers: as many clips through every single device."""
    random = stream(trial.seed, trial.id, "predictions")
    logits = random.normal(0, 1, (devices, clips, CLASSES))
    return [
        {
            "trial": trial.id,
            "epoch": epochs,
            "split": split,
            "clip": f"{trial.split.fold}-{clip}.wav",
            "device": device,
            "label": f"c{clip % CLASSES}",
            "predicted": f"c{logits[k, clip].argmax()}",
            "logits": logits[k, clip].tolist(),
        }
        for k, (split, device) in enumerate(splits(devices))
        if device != "all"
        for clip in range(clips)
    ]


def write(results: Results, number: int, epochs: int, devices: int, clips: int) -> int:
    """Write the study; how many rows of metrics it has."""
    results.prepare()
    planned = list(trials(number, epochs))
    rows = []
    for trial in planned:
        size = 500 * trial.network.width**2
        cost = {"parameters": size + 100, "weights": size, "kept_weights": size, "macs": 900 * size}
        about = {"receptive_field": 103, "data_digest": f"2-{0:016x}", "planned": datetime.now(UTC)}
        rows.append({"trial": trial.id, "study": "size", **settings.flat(trial), **cost, **about})
    results.write("manifest", "launch", rows)
    written = 0
    for trial in planned:
        table = metrics(trial, epochs, devices)
        written += table.num_rows
        results.write("metrics", trial.id, table)
        if clips:
            results.write("predictions", trial.id, predictions(trial, epochs, devices, clips))
        machine = ("node", "cpu", "float32", 1, "{}")
        results.end(Outcome(trial.id, Status.COMPLETE, None, epochs, 60.0, *machine))
    return written


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=250)
    parser.add_argument("--devices", type=int, default=9, help="`all` of both splits among them")
    parser.add_argument("--clips", type=int, default=40, help="predicted through each device")
    parser.add_argument("--keep", help="folder of the study; read if it is there, else written")
    chosen, asked = parser.parse_known_args()  # what is left goes to analyze
    with tempfile.TemporaryDirectory() as temporary:
        where = Path(chosen.keep or temporary) / "results"
        if not where.exists():
            began = time.perf_counter()
            sizes = (chosen.trials, chosen.epochs, chosen.devices, chosen.clips)
            written = write(Results(where), *sizes)
            took = time.perf_counter() - began
            print(f"{written:,} rows of {chosen.trials:,} trials written in {took:.0f} s")
        command = [sys.executable, "-m", "overhear", "analyze", str(where), *asked]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss * 1024
    print(f"overhear analyze: {used.ru_utime + used.ru_stime:.1f} s of processor")
    report(
        f"overhear analyze: {chosen.trials:,} trials x {chosen.epochs} epochs",
        [
            Result("against its limit, s", took, SECONDS, SECONDS / took, 1.0),
            Result("against its limit, GiB", peak / 2**30, BYTES / 2**30, BYTES / peak, 1.0),
        ],
    )


if __name__ == "__main__":
    main()
