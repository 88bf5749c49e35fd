"""Early stopping: decisions against Ray Tune's own, groups of equal budget, and a sweep that goes
on from what an earlier launch left.
"""

import math
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from test_sweep import STUDY
from typer.testing import CliRunner

from overhear.command import app
from scaling import machine
from scaling.results.manifest import Plan, plan, record
from scaling.results.outcome import Outcome, Status
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.sound import prepare
from scaling.sound.packing import pack
from sweeps.adaptive import early_stopping
from sweeps.adaptive.early_stopping import Asha, Median, Watch
from sweeps.engine import ray_adaptive, ray_tune
from sweeps.engine.display import Display
from sweeps.engine.preflight import Task
from sweeps.engine.ray_tune import sweep
from sweeps.launch import Compute, Resources
from sweeps.study import find


@pytest.fixture
def judged(trial: Trial) -> Trial:
    """With validation clips, and epochs of a fraction of a second."""
    brief = {"sound.classes": ("meadow", "street"), "training.epochs": 5}
    return changed(trial, {"split.validation_fold": 2, **brief})


@pytest.fixture
def three_folds(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Enough of them to hold one out and validate on another."""
    (table,) = tables.values()
    table = pd.concat([table, table[table["fold"] == 1].assign(fold=3)])
    names = table["label"].map({"x": "meadow", "y": "street"})
    clips = [str(row) for row in range(len(table))]
    return {"synthetic": table.assign(label=names, clip=clips)}


def drawn(seed: int, trials: int, epochs: int) -> list[list[float]]:
    """A made-up score for each trial and epoch; coarse, so that some are equal."""
    chance = np.random.default_rng(seed)
    levels = chance.integers(0, 9, (trials, 1)) + chance.integers(0, 5, (trials, epochs))
    found: list[list[float]] = levels.astype(float).tolist()
    return found


class Other:
    """As much of Tune's trial as its schedulers look at."""

    def __init__(self, name: str) -> None:
        self.trial_id = name

    def get_live_trials(self) -> list[object]:
        return []  # nor is any waiting: this stands in for Tune's controller, too


def watching(rule: early_stopping.Rule, names: list[str]) -> Watch:
    """A watch of trials that are all compared."""
    watch = Watch(rule)
    watch.groups = dict.fromkeys(names)
    return watch


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("mode", ["max", "min"])
def test_asha_decides_as_ray_tune_does(mode: str, seed: int):
    """The trials one after the other, all to their end; Ray's own decides from the first two on."""
    from ray.tune.schedulers import AsyncHyperBandScheduler

    metric = "accuracy" if mode == "max" else "loss"
    twin = AsyncHyperBandScheduler(
        metric=metric, mode=mode, grace_period=2, reduction_factor=3, max_t=20
    )
    names = [f"trial {number}" for number in range(20)]
    watch, stopped = watching(Asha(first=2, factor=3, metric=metric), names), 0
    for name, found in zip(names, drawn(seed, 20, 19), strict=True):
        other: Any = Other(name)
        twin.on_trial_add(None, other)  # type: ignore[arg-type]
        for epoch, value in enumerate(found, start=1):
            result = {"training_iteration": epoch, metric: value}
            stops = twin.on_trial_result(None, other, result) == "STOP"  # type: ignore[arg-type]
            reason = watch.heard(name, epoch, {metric: value})
            if names.index(name) >= 2:
                assert (reason is not None) == stops
                stopped += stops
            else:
                assert reason is None
    assert stopped > 10


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_median_rule_decides_as_ray_tune_does(mode: str, seed: int):
    """All trials epoch by epoch. Ray's own pauses others where too few came as far: here none is
    waiting.
    """
    from ray.tune.schedulers import MedianStoppingRule

    metric = "accuracy" if mode == "max" else "loss"
    twin = MedianStoppingRule(
        time_attr="training_iteration",
        metric=metric,
        mode=mode,
        grace_period=3,
        min_samples_required=2,
    )
    controller: Any = Other("none")
    names = [f"trial {number}" for number in range(12)]
    others: dict[str, Any] = {name: Other(name) for name in names}
    watch, going = watching(Median(grace=3, fewest=2, metric=metric), names), dict.fromkeys(names)
    values = dict(zip(names, drawn(seed, 12, 10), strict=True))
    for epoch in range(1, 11):
        for name in list(going):
            value = values[name][epoch - 1]
            result = {"training_iteration": epoch, metric: value}
            stops = twin.on_trial_result(controller, others[name], result) == "STOP"
            assert (watch.heard(name, epoch, {metric: value}) is not None) == stops
            if stops:
                del going[name]
    assert 0 < len(going) < len(names)


def test_a_reason_says_what_was_compared():
    watch = watching(Asha(first=1, factor=2), ["a", "b", "c"])
    watch.heard("a", 1, {"accuracy": 0.5})
    watch.heard("b", 1, {"accuracy": 0.7})
    said = watch.heard("c", 1, {"accuracy": 0.25})
    assert said == (
        "asha: validation accuracy 0.250 in epoch 1 is worse than 0.600, the best 1/2 of 3 trials "
        "of one budget"
    )


def test_twice_reported_is_once_counted():
    """A retried worker reports an epoch again: it is not judged again, and is no rival of its own.
    One that is not finite is nobody's measure, and worse than all.
    """
    watch = watching(Asha(first=1, factor=2, metric="loss"), ["a", "b"])
    assert watch.heard("a", 1, {"loss": 0.9}) is None
    assert watch.heard("a", 1, {"loss": 0.9}) is None
    assert watch.heard("b", 1, {"loss": 0.1}) is None
    assert watch.heard("a", 1, {"loss": 0.9}) is None
    assert watch.heard("b", 2, {}) is None
    assert watch.heard("a", 2, {"loss": math.nan}) is None  # no rival in epoch 2
    watch.heard("b", 4, {"loss": 0.1})
    assert "loss inf in epoch 4 is worse" in str(watch.heard("a", 4, {"loss": math.nan}))


def write(results: Results, trial: Trial, values: list[float]) -> None:
    """Records as a trial leaves them that was cut off."""
    rows = [
        {"trial": trial.id, "epoch": epoch, "split": split, "device": device, "metric": "accuracy"}
        | {"value": value if (split, device) == ("validation", "all") else 1.0}
        for epoch, value in enumerate(values, start=1)
        for split in ("validation", "test")
        for device in ("all", "a")
    ]
    results.write("metrics", trial.id, rows)


def planned(trials: list[Trial], tables: dict[str, pd.DataFrame]) -> Plan:
    return plan("mine", trials, tables)


def test_only_equal_budgets_are_compared(judged: Trial, three_folds, tmp_path: Path):
    """Or what a study names instead. Seeds repeat a trial; they are no rivals."""
    rates = [changed(judged, {"training.rate": rate}) for rate in (0.1, 0.01, 0.001)]
    others = [
        changed(judged, each)
        for each in (
            {"network.width": 3},
            {"training.epochs": 6},
            {"training.passes": 2},
            {"split.fraction": 0.999},
            {"split.fold": 3},
            {"seed": 9},
        )
    ]
    everybody = planned([*rates, *others], three_folds)
    results = Results(tmp_path)
    for each in others:
        write(results, each, [0.9, 0.9, 0.9])

    def alike(rule: Asha) -> list[Trial]:
        watch = Watch(rule)
        watch.add(everybody, results)
        name = rates[0].id
        return [t for t in everybody.trials if watch.groups[t.id] == watch.groups[name]]

    assert alike(Asha()) == rates
    assert alike(Asha(within=())) == everybody.trials
    assert alike(Asha(within=("training.epochs", "seed"))) == [*rates, others[0], *others[2:5]]
    watch = Watch(Asha(first=1, factor=2))
    watch.add(everybody, results)
    assert watch.heard(rates[0].id, 1, {"accuracy": 0.1}) is None  # worse than the wider ones
    watch = Watch(Asha(first=1, factor=2, within=()))
    watch.add(everybody, results)
    assert "of this study" in str(watch.heard(rates[0].id, 1, {"accuracy": 0.1}))


def test_what_others_take_over_from_goes_on(judged: Trial, three_folds, tmp_path: Path):
    good, source = changed(judged, {"training.rate": 0.1}), changed(judged, {"training.rate": 0.2})
    heir = changed(judged, {"transfer.trial": source.id})
    write(Results(tmp_path), good, [0.9])
    watch = Watch(Asha(first=1, factor=2))
    watch.add(planned([good, source, heir], three_folds), Results(tmp_path))
    assert watch.heard(source.id, 1, {"accuracy": 0.1}) is None
    assert watch.heard(heir.id, 1, {"accuracy": 0.1})


def test_a_relaunch_knows_what_was_judged(judged: Trial, three_folds, tmp_path: Path):
    """Rungs that a trial has passed are passed; the last epoch that it recorded may not have been
    judged, and is, by its value of then.
    """
    results = Results(tmp_path)
    early, late, good = (changed(judged, {"training.rate": rate}) for rate in (0.1, 0.2, 0.3))
    write(results, early, [0.1, 0.1])
    write(results, late, [0.1])
    write(results, good, [0.9, 0.9, 0.9, 0.9])
    watch = Watch(Asha(first=1, factor=3))
    watch.add(planned([early, late, good], three_folds), results)
    assert watch.heard(early.id, 2, {"accuracy": 0.1}) is None
    said = watch.heard(late.id, 2, {"accuracy": 0.1})
    assert "accuracy 0.100 in epoch 1 is worse than 0.633, the best 1/3 of 3 trials" in str(said)
    assert watch.heard(early.id, 3, {"accuracy": 0.1}) is None  # one other came as far, two must


class Calm(Display):
    """Nothing special; says what it heard."""

    def __init__(self, trials: list[Trial]) -> None:
        super().__init__(
            trials, dict.fromkeys((t.id for t in trials), 1), Console(stderr=True), True
        )


@pytest.fixture
def _handlers() -> Iterator[None]:
    """A sweep changes what signals do."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
def test_bad_trials_stop_small_ones_do_not_and_a_relaunch_goes_on(
    judged: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The small networks were trained by an earlier launch, which was cut off before it came to
    the bad one; of the larger ones both are new. A worker that was stopped goes on with the next
    trial, and has trained no further epoch.
    """
    good, bad = {"training.rate": 5e-3}, {"training.rate": 1e-9}
    widths = {"network.width": 4}, {"network.width": 2}
    changes = [wide | rate for wide in widths for rate in (good, bad)]
    trials = [changed(judged, each) for each in changes]
    text = STUDY.format(base=judged.model_dump_json(), changes=changes)
    rule = "from sweeps.adaptive.early_stopping import Asha\n"
    rule += "STOPPING = Asha(first=2, factor=2, metric='loss')\n"
    path, out = tmp_path / "mine.py", tmp_path / "results"
    path.write_text(rule + text)
    results = Results(out)
    clips = prepare.scan(trials, None)
    store = pack(clips["synthetic"], 16_000, progress=False)
    list(run_trial(trials[2], store, machine.here("cpu", "float32", 1), results))
    everything = planned(trials, {"synthetic": clips["synthetic"].table})
    record(everything, prepare.digests(trials, {"synthetic@16000": store}), results)
    processes = []

    def spied(watch: Watch, where: str) -> Any:
        made = ray_adaptive.stopper(watch, where)

        class Spied(type(made)):  # type: ignore[misc]
            def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
                processes.append(result["pid"])
                return bool(super().__call__(trial_id, result))

        return Spied()

    monkeypatch.setattr(ray_tune, "stopper", spied)
    study = find(str(path))
    assert study.stopping is not None
    watch = Watch(study.stopping)
    watch.add(everything, results)
    task = Task({"synthetic@16000": str(store.folder)}, str(out), 1, Compute("cpu", "float32"))
    left = [trials[0], trials[1], trials[3]]
    with Calm(left) as display:
        sweep(left, task, Resources(local_cpus=1), display, watch)
    outcomes = {row["trial"]: row for row in results.read("outcomes").to_pylist()}
    found = [outcomes[each.id]["status"] for each in trials]
    assert found == ["complete", "stopped", "complete", "stopped"]
    assert [display.status[each.id] for each in left] == ["complete", "stopped", "stopped"]
    assert "1/3 done, 0 running, 2 stopped early, 0 failed" in display.line()
    assert len(set(processes)) == 1
    for each in (trials[1], trials[3]):
        row = outcomes[each.id]
        assert row["epochs"] == 2
        assert row["error"].startswith("asha: validation loss ")
        assert row["error"].endswith("of 2 trials of one budget")
        assert row["wall_s"] > 0
        assert row["device"] == "cpu"
        assert row["precision"] == "float32"
        assert set(results.read("metrics", [each.id])["epoch"].to_pylist()) == {1, 2}
        assert results.get("weights", f"{each.id}.safetensors") is None
    assert not any((out / "checkpoints").iterdir())
    again = CliRunner().invoke(app, ["sweep", str(path), "--out", str(out), "--stop", "none"])
    assert again.exit_code == 0, again.output
    assert "4 of 4 trials ended earlier and are skipped" in again.stdout
    assert "2 of 4 trials complete, 2 stopped early, in" in again.stdout
    assert {row["trial"]: row for row in results.read("outcomes").to_pylist()} == outcomes


def test_stopped_by_a_folder_that_refuses(tmp_path: Path):
    """Then the trial goes on: nobody would know that it was stopped."""
    watch = watching(Asha(first=1, factor=2), ["a", "b"])
    watch.heard("b", 1, {"accuracy": 0.9})
    (tmp_path / "results").write_text("a file in the folder's place")
    report = {"trial": "a", "epoch": 1, "epochs": 3, "accuracy": None, "seconds": 1.0}
    report |= {"status": Status.RUNNING, "error": None, "validation": {"accuracy": 0.1}}
    report["outcome"] = Outcome("a", Status.STOPPED, None, 1, 1.0, "n", "cpu", "float32", 1, "{}")
    with pytest.warns(UserWarning, match="a is not stopped, though asha: validation accura"):
        assert not ray_adaptive.stopper(watch, str(tmp_path / "results"))("1", report)
    assert report["status"] == "running"


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (lambda: Asha(first=0), "Asha: first=0 must be a whole number, 1 or more"),
        (lambda: Asha(factor=1), "Asha: factor=1 must be a whole number, 2 or more"),
        (lambda: Median(grace=2.5), "Median: grace=2.5 must be a whole number"),  # type: ignore[arg-type]
        (lambda: Asha(metric="acuracy"), r"metric=acuracy \(did you mean accuracy\?\)"),
        (lambda: Asha(within="seed"), r'within="seed" must be a tuple'),  # type: ignore[arg-type]
        (lambda: Median(within=("width",)), r"within=width: no such .*network.width\?\)"),
        (
            lambda: early_stopping.named("ash", None),
            r"--stop ash: not a rule \(did you mean asha\?\)",
        ),
    ],
)
def test_a_bad_rule_is_one_line(made, line: str):
    with pytest.raises(ValueError, match=line) as caught:
        made()
    assert "\n" not in str(caught.value)


def test_which_rule_a_launch_goes_by():
    own = Asha(first=4)
    assert early_stopping.named(None, None) is None
    assert early_stopping.named(None, own) == early_stopping.named("asha", own) == own
    assert early_stopping.named("median", own) == Median()
    assert early_stopping.named("asha", None) == Asha()
    assert early_stopping.named("none", own) is None


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["split.validation_fold=null"], "has no validation clips, and only they may"),
        (["evaluation.every=2"], r"Asha\(first=1.*\): epoch 1 is not scored with evaluation.ev"),
        (["training.epochs=1", "training.warmup=0"], r"no trial is long enough .*\(the longest"),
    ],
)
def test_what_cannot_be_judged_is_said_before_it_starts(
    judged: Trial, tmp_path: Path, words: list[str], line: str
):
    (tmp_path / "mine.py").write_text(STUDY.format(base=judged.model_dump_json(), changes=[{}]))
    settings = [part for word in words for part in ("--set", word)]
    options = "--stop", "asha", "--out", str(tmp_path / "r"), *settings
    ended = CliRunner().invoke(app, ["sweep", str(tmp_path / "mine.py"), *options])
    assert isinstance(ended.exception, ValueError)
    with pytest.raises(ValueError, match=line):
        raise ended.exception
    assert not (tmp_path / "r").exists()


def test_a_dry_run_says_who_is_compared(judged: Trial, three_folds):
    rates = [changed(judged, {"training.rate": rate}) for rate in (0.1, 0.2, 0.3)]
    few = planned([*rates, changed(judged, {"network.width": 4})], three_folds)
    assert early_stopping.described(Asha(), few) == (
        "asha stops trials early, by validation accuracy after epochs 1, 3, each compared with "
        "the trials of one budget (at most 3)"
    )
    early_stopping.warn_alone(Asha(), few)
    apart = planned(few.trials[2:], three_folds)
    with pytest.warns(UserWarning, match="no two trials are of one budget, so none can be"):
        early_stopping.warn_alone(Median(grace=2), apart)
    assert early_stopping.described(Median(grace=2, within=("seed",)), apart).endswith(
        "from epoch 2 on, each compared with the trials of one seed (at most 2)"
    )
