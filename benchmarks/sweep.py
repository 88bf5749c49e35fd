"""A sweep of many tiny trials: ours beside a bare loop of processes and beside plain Ray Tune.

Each contestant is a process of its own that starts from nothing, runs the same trials (one epoch
of a tiny network on two classes of the embedded sounds), two at once, and leaves the same records.
The bare loop is Python's process pool over `scaling.results.run_trial`; plain Ray Tune is a
trainable that calls the same, with reused actors and Tune's own loggers off. Then: the launch that
finds all complete, what the driver's memory grows by, and how planning grows with the number of
trials.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from common import Result, report

from scaling import machine
from scaling.networks.cp_resnet import CPResNet
from scaling.results.manifest import plan, record
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Features, Sound, Split, Training, Trial, changed
from scaling.sound import datasets, prepare
from scaling.sound.packing import pack
from scaling.sound.store import Store
from sweeps import schedule

PROCESSES = 2
LOOP, TUNE = 1 / 1.15, 1 / 1.05  # what the platform may add to each
RELAUNCH, GROWTH, DRIVER = 10.0, 1.0, 70.0  # s; times linear; kB a trial
STUDY = """
import sys
sys.path.insert(0, {here!r})
from sweep import trials as numbered
QUESTION = "What does a sweep add to its trials?"
SOURCE = "benchmarks/sweep.py"
def trials():
    return numbered({count})
"""


def trials(count: int) -> Iterator[Trial]:
    base = Trial(
        seed=0,
        sound=Sound(
            dataset="synthetic",
            rate=8_000,
            seconds=0.5,
            classes=("meadow", "street"),
            features=Features(kind="log_mel", window=256, hop=125, mels=32, range_db=80),
        ),
        split=Split(protocol="folds", fold=1, train_devices=("a",)),
        network=CPResNet(width=2, depth=1, pointwise=1),
        training=Training(epochs=1, batch=16, rate=5e-3),
    )
    return (changed(base, {"seed": seed}) for seed in range(count))


def one(trial: Trial, folder: str, where: str) -> None:
    here = machine.here("cpu", "float32", 1)
    for _ in run_trial(trial, Store.open(Path(folder)), here, Results(where)):
        pass


def bare(count: int, folder: str, where: str) -> None:
    """What one would write without Ray."""
    import multiprocessing
    from functools import partial

    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for _ in pool.imap_unordered(partial(one, folder=folder, where=where), trials(count)):
            pass


def plain(count: int, folder: str, where: str) -> None:
    """What one would write with Ray Tune."""
    from sweeps.engine import cluster

    os.environ.update(cluster.ENVIRONMENT, RAY_AUTH_MODE="disabled")
    import ray
    from ray import tune

    def trainable(config: dict[str, str]) -> None:
        trial = Trial.model_validate_json(config["trial"])
        here = machine.here("cpu", "float32", 1)
        for progress in run_trial(trial, Store.open(Path(folder)), here, Results(where)):
            tune.report(progress._asdict())

    ray.init(num_cpus=PROCESSES, object_store_memory=100 * 2**20, include_dashboard=False)
    with tempfile.TemporaryDirectory() as scratch:
        tune.Tuner(
            trainable,
            param_space={"trial": tune.grid_search([t.model_dump_json() for t in trials(count)])},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(name="plain", storage_path=scratch, verbose=0),
        ).fit()
    ray.shutdown()


def ours(count: int, study: Path, where: str) -> list[str]:
    study.write_text(STUDY.format(here=str(Path(__file__).parent), count=count))
    words = ["sweep", str(study), "--out", where, "--precision", "float32", "--plain"]
    return ["-m", "overhear", *words, "--max-concurrent", str(PROCESSES)]


def wall(words: list[str], where: str, count: int) -> tuple[float, int]:
    """Seconds that a process takes, and its peak memory in bytes; all trials must be complete.

    Memory of its own: how many pages of libraries a process has read in differs by 100 MB from one
    run to the next, and by most as it exits.
    """
    begun, peak = time.perf_counter(), 0
    nothing = subprocess.DEVNULL
    with subprocess.Popen([sys.executable, *words], stdout=nothing, stderr=nothing) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            found = [x for x in status.read_text().splitlines() if x.startswith("RssAnon")]
            peak = max([peak, *(int(line.split()[1]) * 1024 for line in found)])
            time.sleep(0.05)
    seconds = time.perf_counter() - begun
    complete = Results(where).read("outcomes")["status"].to_pylist().count(Status.COMPLETE)
    assert process.returncode == 0, words
    assert complete == count, f"{complete} of {count} trials are complete"
    return seconds, peak


def planning(count: int, where: str) -> float:
    """Seconds from a study to the list of what is left to do, the manifest written."""
    clips = prepare.scan(list(trials(1)), None)
    tables = {name: each.table for name, each in clips.items()}
    begun = time.perf_counter()
    planned = plan("mine", list(trials(count)), tables)
    record(planned, {trial.id: "0" for trial in planned.trials}, Results(where))
    assert len(schedule.pending(planned, Results(where))) == count
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--only", nargs=4, metavar=("WHO", "TRIALS", "STORE", "OUT"))
    chosen = parser.parse_args()
    if chosen.only:
        who, count, folder, where = chosen.only
        {"bare": bare, "plain": plain}[who](int(count), folder, where)
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    folder = str(pack(datasets.scan("synthetic"), 8_000, progress=False).folder)
    count, few = chosen.trials, max(1, chosen.trials // 10)
    with tempfile.TemporaryDirectory() as scratch:
        out = {who: f"{scratch}/{who}" for who in ("bare", "plain", "ours", "few", "planned")}
        here = [__file__, "--only"]
        loop, _ = wall([*here, "bare", str(count), folder, out["bare"]], out["bare"], count)
        print(f"a bare loop: {loop:.0f} s", flush=True)
        tune, _ = wall([*here, "plain", str(count), folder, out["plain"]], out["plain"], count)
        print(f"plain Ray Tune: {tune:.0f} s", flush=True)
        many = ours(count, Path(scratch, "many.py"), out["ours"])
        sweep, peak = wall(many, out["ours"], count)
        print(f"ours: {sweep:.0f} s", flush=True)
        again, _ = wall(many, out["ours"], count)
        _, base = wall(ours(few, Path(scratch, "few.py"), out["few"]), out["few"], few)
        planned = [planning(n, f"{out['planned']}{n}") for n in (count // 10, count, 4 * count)]
    kilobytes = (peak - base) / (count - few) / 1000
    report(
        f"{count:,} trials of one tiny epoch, {PROCESSES} at once",
        [
            Result("against a bare loop of processes, s", sweep, loop, loop / sweep, LOOP),
            Result("against plain Ray Tune, actors reused, s", sweep, tune, tune / sweep, TUNE),
            Result("the launch that finds all complete, s", again, RELAUNCH, RELAUNCH / again, 1.0),
            Result("driver's memory, kB a trial", kilobytes, DRIVER, DRIVER / kilobytes, 1.0),
            Result(
                f"planning {count:,} trials against 10 times {few:,}, s",
                planned[1],
                10 * planned[0],
                10 * planned[0] / planned[1],
                GROWTH,
            ),
            Result(
                f"planning {4 * count:,} trials against 4 times {count:,}, s",
                planned[2],
                4 * planned[1],
                4 * planned[1] / planned[2],
                GROWTH,
            ),
        ],
    )


if __name__ == "__main__":
    main()
