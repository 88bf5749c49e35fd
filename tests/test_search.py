"""Search: what a study may state, what Optuna is told, a search that is interrupted and goes on."""

import importlib.util
import os
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from overhear.command import app
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.results.run_trial import Progress, outcome_here
from scaling.settings import Trial, changed
from scaling.sound import prepare
from scaling.sound.packing import pack
from scaling.sound.store import Store
from sweeps.adaptive.early_stopping import Asha, Watch
from sweeps.adaptive.search import Choice, Ledger, LogUniform, Search, Uniform
from sweeps.engine import ray_adaptive
from sweeps.engine.display import Display
from sweeps.engine.preflight import Task
from sweeps.engine.ray_tune import sweep
from sweeps.launch import Compute, Resources
from sweeps.study import find, trials_of

SPACE: dict[str, Any] = {
    "training.rate": LogUniform(1e-5, 1e-1),
    "augment.mixup": Uniform(0, 0.6),
    "network.width": Choice((2, 3)),
}


@pytest.fixture
def base(trial: Trial) -> Trial:
    """With validation clips, and two epochs of a fraction of a second."""
    brief = {"sound.classes": ("meadow", "street"), "training.epochs": 2}
    return changed(trial, {"split.validation_fold": 2, **brief})


@pytest.fixture
def ray_told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every searcher of Ray's that a launch makes; their Optuna studies say what they know."""
    from ray.tune.search import optuna

    made = []

    class Spied(optuna.OptunaSearch):
        def __init__(self, *words: Any, **named: Any) -> None:
            super().__init__(*words, **named)
            made.append(self)

    monkeypatch.setattr(optuna, "OptunaSearch", Spied)
    return made


def known(told: Any) -> list[tuple[object, ...]]:
    """What Optuna knows of trials that ended."""
    return sorted(
        (str(sorted(t.params.items())), t.state.name, t.value, str(t.intermediate_values))
        for t in told._ot_study.trials
        if t.state.is_finished()
    )


class Calm(Display):
    """Hears all; may stop the sweep as Ctrl-C does, in mid-trial when another is complete."""

    def __init__(self, trials: list[Trial], stops: bool = False) -> None:
        macs = {trial.id: 1 for trial in trials}
        super().__init__(trials, macs, Console(stderr=True), True)
        self.stops, self.run = stops, []

    def heard(self, progress: Progress) -> None:
        super().heard(progress)
        self.run.append((progress.trial, progress.epoch, progress.status))
        done = any(status == "complete" for _, _, status in self.run)
        if self.stops and done and progress.status == "running" and progress.epoch == 2:
            self.stops = False
            os.kill(os.getpid(), signal.SIGINT)


def ledger_of(base: Trial, store: Store, where: Path, samples: int) -> Ledger:
    tables = {"synthetic": store.table}
    return Ledger("mine", Search(base, SPACE, samples), tables, Results(where))


def write(results: Results, trial: Trial, status: str, scores: list[float]) -> None:
    """Records of a trial that has ended."""
    rows = [
        {"trial": trial.id, "epoch": epoch, "split": split, "device": "all", "metric": "accuracy"}
        | {"value": value if split == "validation" else 0.5}
        for epoch, value in enumerate(scores, start=1)
        for split in ("validation", "test")
    ]
    results.write("metrics", trial.id, rows)
    results.end(outcome_here(trial, Status(status), None, len(scores), 1.0))


def test_another_launch_tells_optuna_the_same(
    base: Trial, store: Store, tmp_path: Path, ray_told: list[Any]
):
    """As a launch that went on would know it: complete, stopped and failed trials. What was not
    run is proposed again, first; the first of all is the base itself.
    """
    results = Results(tmp_path)
    stores = {"synthetic@16000": store}

    def launch(samples: int) -> Any:
        ledger = ledger_of(base, store, tmp_path, samples)
        proposals = ray_adaptive.Proposals(ledger, stores, None)
        return ray_adaptive.searcher(proposals, Calm([]))

    first = launch(6)
    trials = [Trial.model_validate(first.suggest(str(n))["trial"]) for n in range(6)]
    assert first.suggest("7") == "FINISHED"
    assert trials[0] == base
    assert len({trial.id for trial in trials}) == 6
    endings = [("complete", [0.1, 0.7]), ("stopped", [0.2]), ("failed", [0.3]), ("complete", [0.9])]
    for number, (status, scores) in enumerate(endings):
        write(results, trials[number], status, scores)
        first.on_trial_complete(str(number))
    second = launch(8)
    assert known(ray_told[0]) == known(ray_told[1])
    states = [state for _, state, *_ in known(ray_told[1])]
    assert sorted(states) == ["COMPLETE", "COMPLETE", "FAIL", "PRUNED"]
    again = [Trial.model_validate(second.suggest(str(n))["trial"]) for n in range(4)]
    assert again[:2] == trials[4:]
    assert not {trial.id for trial in again[2:]} & {trial.id for trial in trials}
    assert second.suggest("4") == "FINISHED"
    assert len(ray_told[1]._ot_study.trials) == 4 + 4, "it proposes what it has not proposed before"
    other = changed(base, {"training.batch": 8})
    assert ledger_of(other, store, tmp_path, 6).plan.trials == []
    planned = [row["trial"] for row in results.read("manifest").to_pylist()]
    assert sorted(planned) == sorted(trial.id for trial in [*trials, *again[2:]])


def test_what_was_run_before_is_answered_from_the_records(
    base: Trial, store: Store, tmp_path: Path, ray_told: list[Any]
):
    """By another study here: it is not run again, and counts. What is no trial is a failure that
    Optuna is told of; when nothing new comes, the search ends.
    """
    results = Results(tmp_path)
    write(results, base, "complete", [0.4])
    tables = {"synthetic": store.table}
    few = {"training.epochs": Choice((1, 2)), "network.width": Choice((2, 3))}
    ledger = Ledger("mine", Search(base, few, 4), tables, results)
    made = ray_adaptive.searcher(
        ray_adaptive.Proposals(ledger, {"synthetic@16000": store}, None), Calm([])
    )
    only = Trial.model_validate(made.suggest("1")["trial"])
    assert (only.network.width, only.training.epochs) == (3, 2)
    with pytest.warns(UserWarning, match="the last 100 suggestions were known or invalid"):
        assert made.suggest("2") == "FINISHED"
    assert [trial.id for trial in ledger.plan.trials] == [base.id, only.id]
    (told,) = ray_told
    ended = [t for t in told._ot_study.trials if t.state.is_finished()]
    assert ended[0].value == 0.4
    none = [t.state.name for t in ended if t.params["training.epochs"] == 1]  # warmup is as long
    assert set(none) == {"FAIL"}
    assert len(none) > 10


@pytest.fixture
def _handlers() -> Iterator[None]:
    """A sweep changes what signals do."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
def test_a_search_is_interrupted_and_goes_on(base: Trial, tmp_path: Path, ray_told: list[Any]):
    """Each trial is run once, to its end; Optuna knows of those of before. With early stopping,
    which stops nothing that was merely cut off.
    """
    clips = prepare.scan([base], None)
    store = pack(clips["synthetic"], 16_000, progress=False)
    results, stores = Results(tmp_path), {"synthetic@16000": store}
    task = Task({"synthetic@16000": str(store.folder)}, str(tmp_path), 1, Compute("cpu", "float32"))

    longer = changed(base, {"training.epochs": 4})

    def launch(stops: bool) -> Calm:
        ledger = ledger_of(longer, store, tmp_path, 5)
        watch = Watch(Asha(first=1, factor=10, within=()))
        watch.add(ledger.plan, results)
        proposals = ray_adaptive.Proposals(ledger, stores, watch)
        with Calm(ledger.left(), stops) as display:
            display.expected = 5 - len(results.names("outcomes"))
            resources = Resources(local_cpus=2 if stops else 1)  # a worker takes seconds to start
            sweep(ledger.left(), task, resources, display, watch, proposals)
        return display

    interrupted = launch(True)
    ended = results.names("outcomes")
    assert 1 <= len(ended) <= 3
    assert set(results.read("outcomes")["status"].to_pylist()) == {"complete"}
    planned = [row["trial"] for row in results.read("manifest").to_pylist()]
    assert set(ended) < set(planned)
    cut_off = set(results.names("metrics")) - set(ended)
    goes_on = launch(False)
    assert set(results.read("outcomes")["status"].to_pylist()) == {"complete"}
    now = [row["trial"] for row in results.read("manifest").to_pylist()]
    assert sorted(now) == results.names("outcomes")
    assert set(planned) < set(now)
    assert len(now) == 5
    assert cut_off
    assert all((trial, 1, "running") not in goes_on.run for trial in cut_off)
    assert not {trial for trial, *_ in goes_on.run} & set(ended)
    heard = [(trial, epoch) for trial, epoch, _ in interrupted.run + goes_on.run]
    assert len(set(heard)) == len(heard)
    metrics = results.read("metrics").to_pandas()
    assert not metrics.duplicated(["trial", "epoch", "split", "device", "metric"]).any()
    assert set(known(ray_told[0])) < set(known(ray_told[1]))
    final = metrics[(metrics.split == "validation") & (metrics.device == "all")]
    assert len(final[final.metric == "accuracy"]) == 5 * 4
    final = final[(final.metric == "accuracy") & (final.epoch == 4)]
    assert sorted(value for *_, value, _ in known(ray_told[1])) == sorted(final["value"])
    assert goes_on.line().startswith(f"{5 - len(ended)}/{5 - len(ended)} done")


MINE = """
from scaling.settings import Trial, changed
from sweeps.adaptive.search import Choice, Integer, LogUniform, Uniform
QUESTION = "Which rate is best?"
SOURCE = "its own test"
BASE = Trial.model_validate_json({base!r})
SPACE = {{"training.rate": LogUniform(1e-4, 1e-1)}}
SAMPLES = 5
"""


def test_a_dry_run_says_what_the_space_is(base: Trial, tmp_path: Path):
    path, out = tmp_path / "mine.py", tmp_path / "results"
    path.write_text(MINE.format(base=base.model_dump_json()))
    options = "--dry-run", "--speed", "1", "--out", str(out)
    said = CliRunner().invoke(app, ["sweep", str(path), *options])
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith(
        "searches training.rate in 0.0001 to 0.1, logarithmic: 5 trials in all, each chosen by "
        "the accuracy of earlier ones on validation clips\n"
    )
    assert base.id in said.stdout
    assert Results(out).names("manifest") == []
    assert find(str(path)).size == 5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SPACE = {}", r"SPACE=\{\} must be a dict of settings and their ranges"),
        ("BASE = 3", "BASE=3 must be the Trial whose settings SPACE varies"),
        ("SAMPLES = 0", "SAMPLES=0 must be the number of trials to run, from 1 to 100,000"),
        ("del SAMPLES", "SAMPLES=None must be the number"),
        ("METRIC = 'acuracy'", r"METRIC='acuracy': no such metric \(did you mean accuracy\?\)"),
        ("SPACE = {'width': Choice((2, 3))}", r"width: no such setting \(did you mean network.wi"),
        (
            "SPACE = {'split.fold': Integer(1, 3)}",
            "split.fold cannot vary: trials are comp",
        ),
        ("SPACE = {'sound.rate': Choice((8, 9))}", "sound.rate cannot vary"),
        (
            "SPACE = {'network.width': Uniform(2, 9)}",
            "network.width takes no fractions: use Integer",
        ),
        ("SPACE = {'network.width': Integer(2, 5000)}", "network.width=5000 in BASE: network.wid"),
        (
            "SPACE = {'network.width': Integer(8, 50)}",
            "network.width of BASE is 2, which is outside",
        ),
        (
            "SPACE = {'training.rate': 0.1}",
            "training.rate=0.1 must be a Uniform, LogUniform, Integer",
        ),
        ("SPACE = {'network.width': Choice((2, 3))}", "SAMPLES=5: SPACE has only 2 points"),
        ("LogUniform(0, 1)", r"LogUniform\(low=0, high=1\) must satisfy 0 < low < high"),
        ("Uniform(1, 1)", r"Uniform\(low=1, high=1\) must satisfy low < high"),
        ("Choice((1, 1))", "must be a tuple of at least two different values"),
        ("Integer(1, 2.5)", r"Integer\(low=1, high=2.5\) must have whole numbers"),
        ("BASE = changed(BASE, {'split.validation_fold': None})", "BASE has no validation clips"),
        ("def trials():\n    yield BASE", r"trials\(\), or a SPACE in its place"),
        ("STOPPING = 'asha'", "STOPPING='asha': must be an Asha or a Median"),
    ],
)
def test_a_bad_search_is_one_line(base: Trial, tmp_path: Path, text: str, line: str):
    path = tmp_path / "mine.py"
    path.write_text(MINE.format(base=base.model_dump_json()) + textwrap.dedent(text) + "\n")
    with pytest.raises(ValueError, match=line) as caught:
        find(str(path))
    assert "\n" not in str(caught.value)


def test_what_does_not_go_with_a_search(
    base: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "mine.py"
    path.write_text(MINE.format(base=base.model_dump_json()))
    study = find(str(path))
    assert trials_of(study, {"network.width": 9}) == [changed(base, {"network.width": 9})]
    with pytest.raises(ValueError, match="--repeats needs listed trials"):
        trials_of(study, {}, 2)
    with pytest.raises(ValueError, match=r"searches training.rate: change its SPACE instead"):
        trials_of(study, {"training.rate": "0.1"})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"the search of study .* needs optuna: pip install 'over"):
        CliRunner().invoke(
            app, ["sweep", str(path), "--dry-run", "--out", str(tmp_path)], catch_exceptions=False
        )
