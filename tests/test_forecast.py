"""Times before, during and after: what a trial consists of, how fast it is here, and the error."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scaling import machine
from scaling.results.eta import Standing, left
from scaling.results.manifest import Plan, plan
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.results.run_group import run_group
from scaling.results.run_trial import Progress, outcome_here, run_trial
from scaling.settings import Trial, changed
from scaling.sound.store import Store
from scaling.training.inputs import Listener
from scaling.training.methods import run
from sweeps import cli
from sweeps.launch import Compute, Launch, Recordings, Resources
from sweeps.study import Study
from sweeps.timing import benchmark, forecast, launch_forecast, step_times
from sweeps.timing.benchmark import Way
from sweeps.timing.forecast import Amount, Expected, Forecast
from sweeps.timing.step_times import Speed

STUDY = Study("s", "?", "ours", lambda: [])
HERE = machine.here("cpu", "float32", 1)
PROTOTYPES = {"objective.kind": "prototypes", "objective.embedding": 4, "objective.support": 2}
MFCC = {"network.width": 1, "network.depth": 0, "network.pointwise": 0, "network.kind": "mfcc"}
STILL = {"augment.roll": 0, "augment.mixup": 0}
NEIGHBOURS = {"objective.kind": "neighbours", "training.epochs": 1, "training.warmup": 0, **STILL}


def planned(trials: list[Trial], table: pd.DataFrame) -> Plan:
    return plan("s", trials, {"synthetic": table})


def probe_of(trial: Trial, table: pd.DataFrame) -> step_times.Probe:
    one = planned([trial], table)
    return step_times.of_trial(
        trial, one.prices[0].cost.macs, one.classes[0], one.train_clips[0], one.scored[0]
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training.epochs": 5, "evaluation.every": 3, "evaluation.last": 2},
        {"training.partial": True, "training.passes": 2, "split.clips_per_class": 1},
        {"evaluation.training_clips": True, "split.validation_fold": 2},
    ],
)
def test_amounts_are_what_a_real_trial_does(trial: Trial, store: Store, changes: dict[str, object]):
    each = changed(trial, changes)
    amount = forecast.amount(planned([each], store.table), 0)
    epochs = list(run(each, store, HERE))
    rows = [row for epoch in epochs for row in epoch.metrics]
    seen = sum(row.value for row in rows if row.metric == "clips")
    assert amount.steps == seen / probe_of(each, store.table).trial.training.batch
    scored = [e for e in epochs if {row.split for row in e.metrics} - {"train", "validation"}]
    assert amount.scored == len(scored) * len(epochs[-1].predictions)
    assert amount.epochs == len(epochs)
    assert amount.fronted == len(Listener(each, store, HERE).parts["train"])


def test_amounts_of_trials_that_differ(trial: Trial, store: Store, monkeypatch: pytest.MonkeyPatch):
    """Kept features are computed once more, too many ones at each step; patience looks at what is
    trained on in each epoch; neighbours hear every clip once; what is taken over is standardized.
    """

    def amount(**changes: object) -> Amount:
        dotted = {name.replace("__", "."): value for name, value in changes.items()}
        return forecast.amount(planned([changed(trial, dotted)], store.table), 0)

    plain = amount()
    clips = plain.fronted
    assert amount(augment__roll=0).fronted == 2 * clips
    patient = amount(training__patience=2)
    assert patient.scored == plain.scored + 3 * clips
    neighbours = {name.replace(".", "__"): value for name, value in (NEIGHBOURS | MFCC).items()}
    assert amount(**neighbours) == Amount(1, 0, clips + plain.scored // 3, 0)
    assert amount(transfer__trial="0" * 12).fronted == 0
    monkeypatch.setattr("scaling.training.inputs.KEPT", 0)
    assert amount(augment__roll=0).fronted == clips + 16 * plain.steps


def test_trials_of_one_speed_have_one_probe(trial: Trial, store: Store):
    same = ({"seed": 9}, {"training.rate": 1e-4}, {"training.epochs": 50}, {"split.fold": 2})
    probes = {probe_of(changed(trial, each), store.table) for each in ({}, *same)}
    assert len(probes) == 1
    others = (
        {"network.width": 4},
        {"training.batch": 8},
        {"augment.mixup": 0},
        {"augment.roll": 0},
    )
    assert len(probes | {probe_of(changed(trial, each), store.table) for each in others}) == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"pruning.kind": "magnitude", "pruning.target_width": 1, "pruning.length": 1},
        PROTOTYPES | {"network.initialization": "he", "training.partial": True},
        {"objective.kind": "consistency", "augment.transform": "combination"},
        {"objective.kind": "bottleneck", "objective.latent": 4, "evaluation.disagreement": "mask"},
        {"sound.patch": 24, "evaluation.patch_hop": 4, "training.patience": 2},
    ],
    ids=lambda changes: str(next(iter(changes.values()))),
)
def test_every_kind_of_trial_can_be_measured(
    trial: Trial,
    store: Store,
    changes: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(step_times, "ENOUGH", 0.0)
    found = step_times.speed(probe_of(changed(trial, changes), store.table), HERE, tmp_path)
    assert min(found.front, found.step, found.score) > 0
    assert max(found) < 30


def test_neighbours_are_measured_too(trial: Trial, store: Store, tmp_path: Path):
    """Of MFCC, and of what a network makes of clips: no weights need be there."""
    taken = NEIGHBOURS | {"transfer.trial": "a" * 12}
    for each in (NEIGHBOURS | MFCC | {"network.depth": 0}, taken):
        folder = tmp_path / str(len(each))
        folder.mkdir()
        found = step_times.speed(probe_of(changed(trial, each), store.table), HERE, folder)
        assert found.score > 0
        assert found.step == 0


def test_a_speed_is_that_of_warm_epochs(
    trial: Trial, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The median of those behind the first; what the first took besides is the start."""
    small = probe_of(trial, store.table)
    clocks = {"train_seconds": [5.0, 1.0, 3.0, 1.0], "evaluate_seconds": [2.0, 0.5, 0.5, 0.5]}
    clocks["steps"] = [10.0] * 4
    spans = [10.0, 1.6, 3.6, 1.6]

    def acted(trial: Trial, _: Store, __: object, results: Results) -> Iterator[Progress]:
        rows = [
            {
                "trial": trial.id,
                "epoch": e,
                "split": "train",
                "device": "all",
                "metric": m,
                "value": v,
            }
            for m, values in clocks.items()
            for e, v in enumerate(values, start=1)
        ]
        results.write("metrics", trial.id, rows)
        for epoch in range(1, 5):
            yield Progress(trial.id, epoch, 5, None, sum(spans[:epoch]))

    monkeypatch.setattr(step_times, "run_trial", acted)
    monkeypatch.setattr(step_times, "ENOUGH", 100.0)
    monkeypatch.setattr(step_times, "_front", lambda *_: 0.01)
    found = step_times.speed(small, HERE, tmp_path)
    start = 10.0 - 5.0 - 2.0 - 0.1 - 0.01 * small.clips
    assert found == pytest.approx(Speed(start, 0.01, 0.1, 0.5 / small.held, 0.1))


def test_a_measured_time_is_about_what_the_trial_takes(trial: Trial, store: Store, tmp_path: Path):
    """Within a factor of 5, on a machine that others use: a step taken for a clip is 16."""
    one = planned([changed(trial, {"training.epochs": 8})], store.table)
    found = step_times.speed(probe_of(one.trials[0], store.table), HERE, tmp_path)
    predicted = forecast.seconds(forecast.amount(one, 0), found)
    *_, last = run_trial(one.trials[0], store, HERE, Results(tmp_path / "r"))
    assert last.error is None
    assert predicted / 5 < last.seconds < 5 * predicted


def test_trials_side_by_side_are_measured_so(
    trial: Trial, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Shares of a group sum to about what a real one takes: within a factor of 5 here."""
    one = changed(trial, {"training.epochs": 6})
    trials = [one, *(changed(one, {"seed": n, "network.damping": 0.9}) for n in (4, 5))]
    all_, sizes = planned(trials, store.table), []

    def in_this_process(wanted: dict[step_times.Probe, int], *_: object) -> object:
        assert [*wanted.values()] == [3], "one probe, for three trials"
        (tmp_path / "probe").mkdir()
        return {each: step_times.speed(each, HERE, tmp_path / "probe") for each in wanted}, {}

    def group(trials: list[Trial], *given: Any) -> Iterator[Progress]:
        sizes.append(len({each.id for each in trials}))
        return run_group(trials, *given)

    monkeypatch.setattr(forecast, "measure", in_this_process)
    monkeypatch.setattr(step_times, "run_group", group)
    monkeypatch.setattr(step_times, "ENOUGH", 0.3)
    launch = Launch(STUDY, tuple(trials), "r", Compute("cpu"), Recordings(), Resources(stack=3))
    found = launch_forecast.predict(all_, [2, 0, 1], launch, None)
    assert found is not None
    assert sizes == [3], "the path that will run"
    (together,) = {each.seconds for each in found.trials}
    assert found.wall_s == pytest.approx(
        3 * together + launch_forecast.APART + launch_forecast.BEGIN + launch_forecast.STAGE
    )
    results = Results(tmp_path / "r")
    heard = [*run_group(trials, store, HERE, results)]
    assert all(each.error is None for each in heard)
    took = sum(each.seconds for each in heard if each.status.ended)
    assert took / 5 < found.seconds < 5 * took


def test_real_processes_measure_and_say_what_fails(trial: Trial, store: Store):
    """Two at once; what one trial lacks stops no other, and is told."""
    deaf = {"microphones.test": ("nowhere",), "microphones.responses": "gone"}
    deaf["split.train_devices"] = ()
    lacking = trial.model_copy(update={"microphones": changed(trial, deaf).microphones})
    both = planned([trial, lacking, changed(trial, {"seed": 4})], store.table)
    way = Way("cpu", "float32", 1, 0, 2)
    expected, reasons = forecast.measured(both, [[0, 2], [1]], way, 120)
    assert [each.how for each in expected] == ["measured", "measured", "scaled"]
    assert [each.trial for each in expected] == [both.trials[index].id for index in (0, 2, 1)]
    assert expected[0].seconds == expected[1].seconds > 0
    assert len(reasons) == 1
    assert reasons[0].startswith("cp_resnet: ")
    assert "gone" in reasons[0]


def test_without_time_nothing_is_predicted(
    trial: Trial, store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(launch_forecast, "BUDGET", 0.01)
    one = planned([trial], store.table)
    with pytest.raises(ValueError, match=r"^no time is predicted \(not one step ended within 0.01"):
        forecast.measured(one, [[0]], Way("cpu"), 0.01)
    launch = Launch(STUDY, (trial,), "r", Compute("cpu"), Recordings(), Resources())
    with pytest.warns(UserWarning, match="give the speed of another"):
        assert launch_forecast.predict(one, [0], launch, None) is None


def test_what_is_not_measured_is_scaled(trial: Trial, store: Store, monkeypatch):
    """By multiply-adds, from the nearest in them; most trials' probes come first."""
    trials = [changed(trial, {"network.width": w}) for w in (2, 4, 64)]
    all_ = planned(trials, store.table)
    speeds = {0: Speed(0, 0, 1.0, 0.5, 0), 1: Speed(0, 0, 2.0, 1.0, 0)}
    probes = [probe_of(each, store.table) for each in trials]
    found = {probes[i]: speed for i, speed in speeds.items()}
    monkeypatch.setattr(forecast, "measure", lambda *_: (found, {}))
    expected, _ = forecast.measured(all_, [[0], [1], [2]], Way(), 1.0)
    assert [each.how for each in expected] == ["measured", "measured", "scaled"]
    amount, ratio = forecast.amount(all_, 2), all_.prices[2].cost.macs / all_.prices[1].cost.macs
    twin = amount.steps * 2.0 * ratio + amount.scored * 1.0 * ratio
    assert expected[2].seconds == pytest.approx(twin)


def test_a_given_speed_says_what_a_measured_one_does(trial: Trial, store: Store):
    """The speed that is printed, given again, is the same time; it counts multiply-adds only."""
    trials = [trial, changed(trial, NEIGHBOURS | MFCC)]
    both = planned(trials, store.table)
    first, none = forecast.given(both, [0, 1], 2.0)
    work = both.work(0) + both.prices[0].cost.macs * forecast.amount(both, 0).scored
    assert first == Expected(trial.id, work / 2e9, False, "given", 2.0)
    assert none == Expected(trials[1].id, 0.0, False, "unknown", 0.0)
    patient = changed(trial, {"training.patience": 1})
    (most,) = forecast.given(planned([patient], store.table), [0], 2.0)
    assert most.at_most


def test_makespan_is_that_of_free_slots():
    assert forecast.makespan([[5, 4, 3, 3]], 2, 0, 0) == 8  # 5 + 3 beside 4 + 3
    assert forecast.makespan([[5, 4, 3, 3]], 1, 1, 10) == 29
    assert forecast.makespan([[5], [4, 4]], 2, 0, 10) == 29
    assert forecast.makespan([[5]], 8, 0, 0) == 5


def test_ray_starts_once_for_all_stages(trial: Trial, store: Store):
    """Each stage begins with new workers; what Ray itself takes is paid once."""
    taught = changed(trial, {"seed": 4, "transfer.trial": trial.id})
    last = changed(trial, {"seed": 5, "transfer.trial": taught.id})
    every = planned([trial, taught, last], store.table)
    launch = Launch(STUDY, every.trials, "r", Compute("cpu"), Recordings(), Resources(concurrent=1))
    found = launch_forecast.predict(every, [0, 1, 2], launch, speed=1.0)
    assert found is not None
    assert found.wall_s is not None
    around = found.wall_s - found.seconds - 3 * launch_forecast.APART
    assert around == pytest.approx(launch_forecast.BEGIN + 3 * launch_forecast.STAGE)
    assert around < 3 * (launch_forecast.BEGIN + launch_forecast.STAGE)


def ended(results: Results, trial: Trial, seconds: float, status: str = "complete") -> None:
    results.end(outcome_here(trial, Status(status), None, 3, seconds, HERE))


def expect(trial: Trial, seconds: float, at_most: bool = False) -> Expected:
    return Expected(trial.id, seconds, at_most, "given", 1.0)


def test_errors_are_recorded_beside_the_forecast(
    trial: Trial, store: Store, tmp_path: Path, capsys
):
    """Of complete trials; of the wall clock only where one launch ran all of them."""
    trials = [changed(trial, {"seed": seed}) for seed in range(3)]
    all_, results = planned(trials, store.table), Results(tmp_path)
    launch_forecast.say_error(results, all_, [0, 1, 2], 1.0)
    for each in trials:
        ended(results, each, 100.0 + 20 * each.seed, "failed" if each.seed == 2 else "complete")
    launch_forecast.say_error(results, all_, [0, 1, 2], 1.0)
    assert capsys.readouterr().out == "", "no forecast, nothing said"
    forecast.record(Forecast([expect(each, 100.0) for each in trials], 2, 200.0), results)
    launch_forecast.say_error(results, all_, [0, 1, 2], 250.0)
    line = "predicted 3 min, took 4 min of computing (+10 %; per trial +0 to +20 %)\n"
    assert capsys.readouterr().out == line
    ended(results, trials[2], 50.0)
    launch_forecast.say_error(results, all_, [0, 1, 2], 250.0)
    assert (
        capsys.readouterr().out == "predicted 3 min, took 4 min (+25 %; per trial -50 to +20 %)\n"
    )
    rows = {row["trial"]: row for row in results.read("forecast_errors").to_pylist()}
    assert [rows[each.id]["took_s"] for each in trials] == [100.0, 120.0, 50.0]
    assert [round(rows[each.id]["error"], 9) for each in trials] == [0.0, 0.2, -0.5]
    assert {(row["predicted_wall_s"], row["wall_s"]) for row in rows.values()} == {(200.0, 250.0)}
    assert results.names("forecast_errors") == results.names("forecasts")
    launch_forecast.say_error(results, all_, [0, 1], 250.0)
    assert "of computing" in capsys.readouterr().out
    forecast.record(Forecast([expect(each, 100.0, True) for each in trials], 2, 200.0), results)
    launch_forecast.say_error(results, all_, [0, 1, 2], 250.0)
    assert capsys.readouterr().out == "", "what may end sooner has no error"


def dry_run(*options: object, **named: object) -> None:
    given = {"cpus_per_trial": 1, "gpus_per_trial": 0.0, "settings": ["training.epochs=4"]}
    cli.sweep("quickstart", *options, dry_run=True, **given | named)  # type: ignore[arg-type]


def test_a_dry_run_predicts_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    named = {"out": str(tmp_path / "r"), "speed": 1.0, "max_concurrent": 1}
    dry_run(**named, as_json=True)
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    total = sum(fact["seconds"] for fact in facts)
    assert {(fact["how"], fact["speed"], fact["slots"]) for fact in facts} == {("given", 1.0, 1)}
    assert len({fact["all_seconds"] for fact in facts}) == 1
    assert facts[0]["all_seconds"] == pytest.approx(total)
    assert facts[0]["wall_s"] == pytest.approx(
        total + 12 * launch_forecast.APART + launch_forecast.BEGIN + launch_forecast.STAGE
    )
    rows = Results(tmp_path / "r").read("forecasts").to_pylist()
    assert [row["seconds"] for row in rows] == [
        fact["seconds"] for fact in sorted(facts, key=lambda fact: -fact["train_macs"])
    ]
    dry_run(**named)
    said = capsys.readouterr().out
    assert f"predicted: {launch_forecast.duration(total)} of computing, " in said
    assert "from start to end, one after the other" in said
    assert "speed per trial: 1 x 10^9 MACs a second (12 given)" in said
    dry_run(**named | {"address": "there:6379", "max_concurrent": None})
    assert "of computing; --max-concurrent N predicts" in capsys.readouterr().out
    (tmp_path / "taken").write_text("")
    with pytest.raises(ValueError, match=r"cannot be read \(Not a directory\): move the file"):
        dry_run(**named | {"out": str(tmp_path / "taken" / "r")})


def test_speeds_that_are_none(tmp_path: Path):
    for none in (0.0, -1.0, math.nan, math.inf, 1e-300, 1e300):
        with pytest.raises(
            ValueError, match=r"^--speed .* must be from .* \(10\^9 multiply-adds a second\)"
        ):
            dry_run(out=str(tmp_path), speed=none)
    with pytest.raises(ValueError, match=r"^--speed 2 needs --dry-run"):
        cli.sweep("quickstart", out=str(tmp_path), speed=2.0)


def by_hand(standings: list[Standing], slots: int) -> float:
    """What remains, where all costs were timed: one after the other, shared, or the longest."""
    rates = {}
    for each in standings:
        timed = [s for s in standings if s.cost == each.cost]
        rates[each.cost] = sum(s.seconds for s in timed) / sum(s.timed for s in timed)
    lasts = [rates[s.cost] * (s.epochs - s.done) for s in standings if not s.ended]
    return max(sum(lasts) / slots, max(lasts))


def test_time_left_against_a_plain_sum():
    states = [
        Standing(1, 10, 10, ended=True, seconds=20.0, timed=10),
        Standing(1, 10, 4, seconds=10.0, timed=4),
        Standing(3, 10, 1, seconds=9.0, timed=1),
        Standing(3, 10, 0),
    ]
    for slots in (1, 2, 4):
        assert left(states, slots) == (pytest.approx(by_hand(states, slots)), False)
    assert left([Standing(1, 10, 0)], 1) is None
    assert left([], 1) == (0.0, False)
    free = [Standing(0, 1, 1, ended=True, seconds=2.0, timed=1), Standing(0, 1, 0), states[0]]
    assert left(free, 1) == (2.0, False), "what has no multiply-adds is timed by its like"
    assert not math.isnan(left([states[0], Standing(0, 1, 0)], 1).seconds)  # type: ignore[union-attr]


def test_a_forecast_gives_costs_not_yet_measured_their_share():
    """A tenth of the multiply-adds seldom is a tenth of the time."""
    large = Standing(10, 10, 10, ended=True, seconds=60.0, timed=10, predicted=5.0)
    small = Standing(1, 10, 0, predicted=4.0)
    assert left([large, small], 1) == (pytest.approx(10 * 4 * 6 / 5), False)
    assert left([large, small._replace(predicted=math.nan)], 1) == (pytest.approx(6), False)
    begun = small._replace(done=2, seconds=14.0, timed=2)
    assert left([large, begun, small], 1) == (pytest.approx(18 * 7), False), "what is measured"
    strange = large._replace(predicted=math.nan)
    assert left([strange, small], 1) == (pytest.approx(40), False), "a forecast not yet proven"


def test_a_process_of_measuring_answers_in_json(trial: Trial, store: Store, monkeypatch, capsys):
    """The program of step_times, line by line, in this process, with what cannot be built."""
    asked = {"trials": [], "numbers": [2, 4, 4, 1], "machine": ["cpu", "float32", 1]}
    small = probe_of(trial, store.table)
    asked["trials"] = [small.trial.model_dump(mode="json", exclude_defaults=True)]
    broken = {**asked, "machine": ["tpu", "float32", 1]}
    monkeypatch.setattr(sys, "stdin", [json.dumps(broken)])
    step_times.main()
    assert json.loads(capsys.readouterr().out) == {
        "error": "device=tpu: must be auto, cpu, cuda or cuda:N"
    }


def test_gpus_are_dealt_out_as_ray_does():
    half, whole, two = (Way(gpus=gpus, slots=4) for gpus in (0.5, 1.0, 2.0))
    seen = [
        [benchmark._environment(way, number)["CUDA_VISIBLE_DEVICES"] for number in range(3)]
        for way in (half, whole, two, Way())
    ]
    assert seen == [["0", "0", "1"], ["0", "1", "2"], ["0,1", "2,3", "4,5"], ["", "", ""]]
