"""analysis.choose: the best within a budget by validation clips, and what it owns up to."""

import json
import math
import re
import shlex
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from test_analysis_table import (
    BASE,
    STATIC,
    complete,
    end,
    measure,
    plain,
    plan,
    predict,
    results,
    trial,
)

from analysis import again, reading
from analysis.candidates import LIMITED, candidates
from analysis.choose import choose
from analysis.commands.choose import choose as choose_command
from analysis.data import Data
from analysis.report.configurations import configurations
from scaling.commands.options import pairs
from scaling.results.presets import PRESETS
from scaling.results.records import Results
from scaling.seeds import stream
from scaling.settings import Trial, changed, flat, sizes
from scaling.settings.recipes import RECIPES

__all__ = ["results"]  # the fixture

FOLDS = (1, 2, 3, 4, 5)


def run(width: int, fold: int, seed: int = 0, **more: object) -> Trial:
    """A trial that keeps another fold for validation."""
    kept = {"split__fold": fold, "split__validation_fold": fold % 5 + 1}
    return trial(network__width=width, seed=seed, **kept, **more)


def scored(results: Results, values: Mapping[Trial, Mapping[str, float]]) -> Data:
    complete(results, {t: {s: [v] for s, v in of.items()} for t, of in values.items()})
    return Data(results)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Three widths, base and damped, five folds, two seeds: random; width helps but on unseen."""
    results = Results(tmp_path_factory.mktemp("study"))
    results.prepare()
    random = stream(5, "accuracies")
    values = {
        run(w, f, s, network__damping=d): {
            "validation": 0.5 + w / 100 + random.normal() / 30,
            "seen": 0.5 + w / 200 + random.normal() / 30,
            "unseen": 0.4 - w / 200 + random.normal() / 30,
        }
        for w in (4, 8, 16)
        for f in FOLDS
        for s in (0, 1)
        for d in (0.0, 0.5)
    }
    scored(results, values)
    return results


def steady(results: Results, validation: Mapping[int, list[float]], test: float = 0.5) -> Data:
    """Widths with these validation accuracies of folds 1, 2, ..."""
    values = {
        run(w, fold): {"validation": v, "test": test}
        for w, each in validation.items()
        for fold, v in enumerate(each, start=1)
    }
    return scored(results, values)


@pytest.mark.parametrize(
    ("most", "least"),
    [
        ({}, {}),
        ({"macs": 112_000}, {}),  # 7 x 1000 x width x 2
        ({"parameters": 10_000.0, "macs": 30e6}, {}),
        ({}, {"unseen": 0.36}),
        ({"bytes": 70_000}, {"validation": 0.5, "seen": 0.5}),
    ],
)
def test_a_pick_is_that_of_brute_force(
    study: Results, most: dict[str, float], least: dict[str, float]
) -> None:
    found = choose(Data(study), most, least)

    manifest = pd.read_parquet(study.path("manifest"))
    metrics = pd.read_parquet(study.path("metrics"))
    metrics = metrics[(metrics["metric"] == "accuracy") & (metrics["device"] == "all")]
    wide = metrics.pivot_table(index="trial", columns="split", values="value")
    runs = manifest.set_index("trial").join(wide)
    runs["bytes"] = 4 * runs["parameters"]
    means = runs.groupby(["network.width", "network.damping"])[
        ["validation", "seen", "unseen", "parameters", "macs", "bytes"]
    ].mean()
    for name, limit in most.items():
        means = means[means[name] <= limit]
    for split, share in least.items():
        means = means[means[split] >= share]
    width, damping = means["validation"].idxmax()
    best = found.best
    assert (best["network.width"], best["network.damping"]) == (width, damping)
    assert best["value"] == pytest.approx(means["validation"].max())
    assert len(found.candidates) == len(means)
    mine = (runs["network.width"] == width) & (runs["network.damping"] == damping)
    assert set(best["trials"].split()) == set(runs.index[mine])
    # its interval: seeds averaged within a fold, t over five folds
    by_fold = runs[mine].groupby("split.fold")["validation"].mean()
    alone = plain([*by_fold], "folds", 0, 1)
    assert (best["low"], best["high"]) == pytest.approx((alone.low, alone.high))
    assert (best["n"], best["unit"]) == (5, "folds")


def test_no_test_score_has_a_say(study: Results) -> None:
    data = Data(study)
    chosen = choose(data, {}, {}).best["label"]
    assert "width 16" in chosen
    assert "width 4" in choose(data, {}, {}, "unseen").best["label"]
    turned = data.scores()
    test = turned["split"].isin(["seen", "unseen"])
    turned.loc[test, "value"] = 1 - turned.loc[test, "value"]
    assert choose(data, {}, {}).best["label"] == chosen


def test_candidates_are_configurations_with_costs_and_held_out_scores(study: Results) -> None:
    frame = candidates(Data(study))
    assert list(frame["label"]) == [
        *("base, width 4", "damped 0.5, width 4", "base, width 8", "damped 0.5, width 8"),
        *("base, width 16", "damped 0.5, width 16"),
    ]
    assert set(LIMITED) <= {*frame}
    assert {"network.width", "network.damping"} == {n for n in frame if "." in n}
    assert (frame["bytes"] == 4 * frame["kept_parameters"]).all()
    assert frame["latency_ms"].isna().all()
    assert (frame["trials"].str.split().str.len() == 10).all()
    assert list(frame.loc[0, ["seen_n", "seen_unit", "on"]]) == [5, "folds", "validation"]
    for split in ("seen", "unseen"):
        assert (frame[f"{split}_low"] < frame[split]).all()


def test_single_weights_that_are_cut_save_only_compressed_bytes(results: Results) -> None:
    pruned = {run(16, f, **STATIC): {"validation": 0.8} for f in FOLDS}
    dense = {run(4, f): {"validation": 0.7} for f in FOLDS}
    data = scored(results, pruned | dense)
    sparse = 4 * 8_000 + 31_992 // 8  # 1000 x 4 x 2 are kept; a bit for each weight
    found = choose(data, {"sparse_bytes": sparse}, {})
    assert found.best["network.width"] == 16
    assert list(found.best[["parameters", "dense_bytes", "bytes"]]) == [32_000, 128_000, 128_000]
    with pytest.raises(ValueError, match=f"sparse_bytes {8_000 * 4:,} is 1"):
        choose(data, {"sparse_bytes": 31_999}, {})
    assert choose(data, {"bytes": 127_999}, {}).best["network.width"] == 4
    with pytest.raises(ValueError, match=r"the nearest is .*16.*: kept_parameters 8,000 is"):
        choose(data, {"kept_parameters": 7_999}, {"validation": 0.75})


def test_the_cheapest_that_cannot_be_told_apart(results: Results) -> None:
    folds = [0.70, 0.80, 0.75, 0.72, 0.78]
    less = [v + e for v, e in zip(folds, (0.02, -0.03, -0.02, 0.02, -0.01), strict=True)]
    data = steady(results, {4: [v - 0.1 for v in folds], 8: less, 16: folds, 32: folds})
    found = choose(data, {"macs": 1e9}, {})
    assert found.best["network.width"] == 16  # of equal scores the cheaper one
    assert found.cheapest["network.width"] == 8
    assert found.apart is not None
    apart = np.subtract(less, folds)
    low, high = scipy.stats.t.interval(0.95, 4, apart.mean(), scipy.stats.sem(apart))
    assert found.apart[:4] == pytest.approx((apart.mean(), low, high, 5))
    assert "width 8: -0.4 points (-3.3 to +2.5) over 5 folds, with 50 % of its macs" in found.reason
    # width 4 is further below in each fold than any fold differs
    alone = choose(data, {"parameters": 8_000}, {})
    assert alone.best["label"] == alone.cheapest["label"] == "width 4"
    assert alone.apart is None


def test_cheap_is_in_the_first_limited_cost(results: Results) -> None:
    values = {w: [0.7, 0.8, 0.75] for w in (8, 16)}
    data = steady(results, values)
    assert choose(data, {}, {}).cost == "kept_parameters"
    assert choose(data, {"macs": 1e9, "parameters": 1e9}, {}).cost == "macs"
    assert choose(data, {}, {}).best["network.width"] == 8


def test_without_an_interval_nothing_is_called_as_good(results: Results) -> None:
    found = choose(steady(results, {4: [0.5, 0.6], 8: [0.7, 0.6]}), {}, {})
    assert found.best["label"] == found.cheapest["label"] == "width 8"
    assert "too few runs with it for an interval" in found.reason
    assert math.isnan(found.best["low"])


def test_only_validation_chooses_unless_it_is_owned_up_to(results: Results) -> None:
    values = {trial(network__width=w): {"test": w / 100} for w in (8, 16)}
    data = scored(results, values)
    with pytest.raises(ValueError, match=r"^no validation clips .*split.validation_fold=2.*--on t"):
        choose(data, {}, {})
    found = choose(data, {}, {}, "test")
    assert found.best["network.width"] == 16
    assert found.reason.startswith("Chosen by test clips (test) among 2: its accuracy there is op")


def test_a_minimum_on_test_clips_is_owned_up_to(study: Results) -> None:
    data = Data(study)
    silent = choose(data, {}, {"validation": 0.5}).reason
    assert "test clips" not in silent
    assert silent.startswith("Chosen by validation clips among")
    assert "it scores too well there: see held-out clips" in silent
    said = choose(data, {}, {"unseen": 0.2, "seen": 0.2}).reason
    assert "The minimum on unseen and seen looked at test clips" in said


def test_a_budget_that_nobody_meets_names_the_nearest(results: Results) -> None:
    data = steady(results, {4: [0.5] * 3, 8: [0.6] * 3}, test=0.4)
    with pytest.raises(
        ValueError,
        match="^none of 2 configurations is within these limits; the nearest is width 4: macs "
        r"56,000 is 6,000 \(12 %\) above 50,000$",
    ):
        choose(data, {"macs": 50_000}, {})
    with pytest.raises(ValueError, match=r"width 8: accuracy on validation clips, 60\.0 %, is b"):
        choose(data, {}, {"validation": 0.9})


def test_bad_limits_are_one_line(results: Results) -> None:
    data = steady(results, {8: [0.5]})
    for most, least, said in [
        ({"mac": 1.0}, {}, r"^--max mac: no such cost \(did you mean macs\?\)$"),
        ({"macs": 0.0}, {}, "^--max macs=0: a limit is a number above 0$"),
        ({"macs": math.nan}, {}, "^--max macs=nan: a limit is a number above 0$"),
        ({"latency_ms": 5.0}, {}, "^--max latency_ms: 1 of 1 candidates have none measured: run "),
        ({}, {"tset": 0.5}, r"^--min tset: no such split was scored \(did you mean test\?\)$"),
        ({}, {"test": 70.0}, r"^--min test=70: an accuracy is a fraction, 0 to 1 \(70 % is 0\.7\)"),
    ]:
        with pytest.raises(ValueError, match=said):
            choose(data, most, least)
    with pytest.raises(ValueError, match=r"^--on tset: no such held-out split \(did you mean test"):
        choose(data, {}, {}, "tset")


def test_what_was_scored_on_other_folds_is_left_out(results: Results) -> None:
    """An easy fold makes nobody the winner."""
    values = {run(w, f): {"validation": w / 100 + f / 10} for w in (4, 8) for f in (1, 2, 3)}
    values[run(16, 5)] = {"validation": 0.99}
    data = scored(results, values)
    with pytest.warns(UserWarning, match="^1 of 3 configurations lack one of the folds 1, 2, 3"):
        assert choose(data, {}, {}).best["network.width"] == 8


def test_a_run_without_validation_is_another_configuration(results: Results) -> None:
    values = {run(8, f): {"validation": 0.5, "test": 0.5} for f in (1, 2, 3)}
    values |= {trial(network__width=8, split__fold=f): {"test": 0.9} for f in (1, 2, 3)}
    data = scored(results, values)
    with pytest.warns(UserWarning, match="^1 configurations were not scored on validation"):
        (row,) = candidates(data).to_dict("records")
    assert row["test"] == 0.5
    assert len(row["trials"].split()) == 3


def test_datasets_are_not_mixed(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    esc = {"sound__dataset": "esc10", "split__train_devices": ""}
    data = scored(results, {run(8, 1): {"validation": 1}, run(8, 1, **esc): {"validation": 0}})
    mixed = "these trials have sound.dataset=esc10 and synthetic: accuracies compare on the same "
    with pytest.raises(ValueError, match=f"^{mixed}.* with --where sound.dataset=synthetic or"):
        choose(data, {}, {})
    assert choose(Data(reading.load(results, where={"sound.dataset": "esc10"})), {}, {}).on
    scores = data.scores()
    folds = scores["sound.dataset"].map({"esc10": "folds=3"}).fillna("")
    own = scores.assign(**{"sound.dataset": "birds:make", "sound.options": folds})
    monkeypatch.setattr(Data, "scores", lambda _: own)
    with pytest.raises(ValueError, match=r"have sound.options=\(none\) and folds=3: accuracies"):
        choose(data, {}, {})


def test_the_preset_is_the_challenge_s() -> None:
    """One home of the limits, for what is trained and what is chosen."""
    assert PRESETS["dcase"] == {"parameters": 128_000, "dcase_macs": 30_000_000}


def test_older_trials_are_counted_as_the_challenge_does(results: Results) -> None:
    """Their manifest has no such column; networks of attention have no such count."""
    old, seen = run(8, 1), {"validation": [0.5], "seen": [0.5]}
    plan(results, "old", [old], dcase_macs=None)
    measure(results, old, seen)
    end(results, old)
    predict(results, old, 10)
    new = run(4, 1)
    complete(results, {new: seen})
    found = candidates(Data(results)).set_index("network.width")["dcase_macs"]
    assert found[8] == sizes.cost(old, 10).dcase_macs > sizes.cost(old, 10).macs
    assert found[4] == 4 * 2000 * 7 + 8
    (Path(results.where) / "predictions" / f"{old.id}.parquet").unlink()
    with pytest.raises(ValueError, match=r"^--max dcase_macs: not known of 1 of 2 candidates "):
        choose(Data(results), PRESETS["dcase"], {})


def test_the_command_prints_choice_costs_and_how_to_train_it(
    study: Results, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    choose_command([study.where], most=["macs=120e3"], preset="dcase", out=out)
    said = capsys.readouterr().out
    best = choose(Data(study), {"parameters": 128_000, "macs": 120e3}, {}).best
    assert said.startswith(f"best: {best['label']}, {100 * best['value']:.1f} % of the validation")
    within = "4 of 6 configurations within parameters <= 128,000 and dcase_macs <= 30,000,000 and "
    assert f"{within}macs <= 120,000" in " ".join(said.split())
    (line,) = re.findall(
        f"best: {best['label']} .*\n  held out: .*\n  trials: (.*) and 5 more", said
    )
    assert line.split() == best["trials"].split()[:5]
    assert "  again: overhear train --recipe quickstart " in said
    written = pd.read_csv(tmp_path / "out" / "choose.csv", keep_default_na=False)
    assert written["choice"].iloc[0] == "best"
    assert len(written) == 4
    choose_command([study.where], json=True)
    caught = capsys.readouterr()
    lines = [json.loads(line) for line in caught.out.splitlines()]
    assert lines[0]["choice"] == "best"
    assert len(lines) == 6
    assert {"label", "bytes", "value", "low", "high", "n", "unit", "unseen"} <= lines[0].keys()
    assert lines[0]["latency_ms"] is None
    assert "Chosen by validation clips among 6." in caught.err


def test_a_choice_among_trials_of_one_share_of_the_clips(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if no others had been planned: all clips make every configuration better."""
    alone = Results(tmp_path / "alone")
    alone.prepare()
    random = stream(7, "accuracies")
    values = {
        run(w, f, split__fraction=part): {"validation": part * w / 16 - random.random() / 50}
        for w in (4, 8)
        for f in FOLDS
        for part in (0.3, 1.0)
    }
    scored(results, values)
    scored(alone, {t: v for t, v in values.items() if t.split.fraction == 0.3})
    said = []
    for where, asked in ((results, ["split.fraction=0.3"]), (alone, None)):
        choose_command([where.where], most=["parameters=20000"], where=asked)
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "among 2 of 2 configurations" in said[0]
    choose_command([results.where])
    assert "among 4." in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"^--where: no trial has split.fraction=0.5 "):
        choose_command([results.where], where=["split.fraction=0.5"])


@pytest.mark.parametrize(
    ("name", "values", "said", "one"),
    [
        (
            "split.fraction",
            (1.0, 1 / 3),
            "shares of the training clips, {}=0.3333333333333333 ",
            "1",
        ),
        ("split.clips_per_class", (5, 0, 20), "clips per class, {}=0 (all), 5 and 20: ", "0"),
        ("split.clips_per_class", (5, 20), "clips per class, {}=5 and 20: ", "20"),
    ],
)
def test_candidates_that_learnt_from_other_amounts_are_owned_up_to(
    results: Results,
    capsys: pytest.CaptureFixture[str],
    name: str,
    values: tuple[float, ...],
    said: str,
    one: str,
) -> None:
    """In one line, which names the selector that ends it; whoever named the setting knows."""
    scored(
        results,
        {
            run(w, f, **{name.replace(".", "__"): value}): {"validation": w / 32 + value / 100}
            for w in (4, 8)
            for f in (1, 2, 3)
            for value in values
        },
    )
    choose_command([results.where])
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "were trained on" in x]
    assert said.format(name) in line
    assert line.endswith(f"with --where {name}={one}.")
    choose_command([results.where], json=True)
    caught = capsys.readouterr()
    assert line in caught.err.splitlines()
    assert line not in caught.out
    known = [f"{name}={value!r}" for value in values]
    for where in ([f"{name}={one}"], known):
        choose_command([results.where], where=where)
        assert "were trained on" not in capsys.readouterr().out


def test_candidates_of_one_amount_need_no_word(
    study: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    choose_command([study.where])
    assert "were trained on" not in capsys.readouterr().out


def test_words_that_are_no_limits(results: Results) -> None:
    for words, said in {
        ("macs",): "^--max 'macs': write NAME=NUMBER, as --max macs=30e6$",
        ("macs=many",): "^--max 'macs=many': write NAME=NUMBER",
        ("macs=inf",): "^--max 'macs=inf': write NAME=NUMBER",
        ("macs=1", "macs=2"): "^--max macs is given twice: name it once$",
    }.items():
        with pytest.raises(ValueError, match=said):
            choose_command([results.where], most=list(words))
    with pytest.raises(ValueError, match=r"^--preset dcas: no such preset \(did you mean dcase"):
        choose_command([results.where], preset="dcas")


@pytest.mark.parametrize("name", RECIPES)
def test_a_trial_is_made_again_from_the_command(name: str) -> None:
    made = changed(RECIPES[name], {"seed": 7, "training.rate": 0.0123})
    for one in (made, changed(BASE, {"network.width": 3, "split.train_devices": "a,b c"})):
        command = again.command(flat(one) | {"trial": one.id})
        if one.sources:  # which are to be trained before
            assert command == ""
            continue
        words = re.sub("^overhear train --recipe ", "", command)
        recipe, *rest = shlex.split(words)
        assert changed(RECIPES[recipe], pairs(rest)).id == one.id
    assert again.command(flat(made) | {"trial": "0" * 12}) == ""


def test_a_manifest_row_with_holes_is_made_again(results: Results) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = scored(results, {trial(): {"test": 0.5}})
    assert again.command(data.manifest.iloc[0].to_dict()).startswith("overhear train --recipe qui")


def test_the_report_names_models_as_the_choice_does(results: Results) -> None:
    """Among all that is planned: a model that waits for its trials is told from others, too."""
    scored(results, {run(w, f): {"validation": 0.8} for w in (4, 16) for f in FOLDS})
    plan(results, "later", [run(4, f, network__damping=0.5) for f in FOLDS], hours=1)
    rows = configurations(data := Data(results)).rows
    said = {each["label"] for each in rows}
    assert said == {"base, width 4", "base, width 16", "damped 0.5, width 4"}
    assert {*candidates(data)["label"]} < said
