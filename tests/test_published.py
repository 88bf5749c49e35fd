"""analysis.tables: the papers' numbers as printed, beside the right trials of ours; their gains."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from rich.console import Console
from test_analysis_table import (
    STATIC,
    THROUGH_TWO,
    complete,
    end,
    plain,
    plan,
    results,
    same,
    trial,
)

from analysis import table
from analysis.commands.analyze import analyze
from analysis.console import listed
from analysis.figures.registry import FIGURES
from analysis.tables.gains import BEST, GAINS, gains
from analysis.tables.listings import of_gains, of_published
from analysis.tables.papers import PUBLISHED, numbers
from analysis.tables.published import beside, nothing_fits, obstacle
from scaling import settings
from scaling.results.records import Results
from scaling.settings import Trial
from sweeps.study import find

__all__ = ["results"]  # the fixture

BARE = {"network__depth": 0, "network__pointwise": 0}
DROPOUT = {"network__dropout": 0.2}
DECAY = {"training__weight_decay": 1e-4}
VIEWS = {"objective__kind": "consistency"}
AGREED = VIEWS | {"objective__weight": 5, "objective__ramp": 10}


def cnn(**more: Any) -> Trial:
    """A trial of the VIB paper's network."""
    return trial(**({"network__kind": "vib_cnn", "sound__dataset": "esc50"} | BARE | more))


def vib(latent: int = 20, beta: float = 0.005, **more: Any) -> Trial:
    """The same with a bottleneck."""
    kind = {"objective__kind": "bottleneck", "objective__latent": latent, "objective__beta": beta}
    return cnn(**(kind | {"split__validation_fold": 9} | more))


def vgg(transform: str = "none", share: float = 0.0, **more: Any) -> Trial:
    """A trial of the consistency paper's network."""
    kind = {"network__kind": "vgg9", "sound__dataset": "esc50", "augment__transform": transform}
    return trial(**(kind | {"augment__transform_share": share} | BARE | more))


def scored(
    results: Results, values: Mapping[Trial, Mapping[str, float]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores in accuracy of complete trials by split, and in macro F1: a tenth less."""
    plan(results, "launch", list(values))
    for one, splits in values.items():
        rows = [
            {
                "trial": one.id,
                "epoch": 1,
                "split": s,
                "device": "all",
                "metric": m,
                "value": max(v - x, 0.0),
            }
            for s, v in splits.items()
            for m, x in (("accuracy", 0), ("macro_f1", 0.1))
        ]
        results.write("metrics", one.id, rows)
        end(results, one)
    return table.scores(results), table.scores(results, metric="macro_f1")


def halves(results: Results, *trials: Trial) -> pd.DataFrame:
    """Scores of trials that score a half on the test."""
    return scored(results, {one: {"test": 0.5} for one in trials})[0]


@pytest.mark.parametrize(
    ("dataset", "model", "fraction", "metric", "expected"),
    [
        ("esc50", "CNN+VIB", 0.3, "macro_f1", 0.336),
        ("esc50", "CNN+WeightDecay", 0.3, "macro_f1", 0.357),
        ("esc50", "CNN", 1.0, "accuracy", 0.552),
        ("fsdd", "CNN+VIB", 1.0, "accuracy", 1.0),
        ("fsdd", "CNN", 0.05, "macro_f1", 0.541),
        ("tess", "CNN+Dropout", 0.5, "accuracy", 0.993),
        ("tut2017_development", "CNN", 0.1, "accuracy", 0.652),
        ("tut2017_development", "CNN+VIB", 1.0, "macro_f1", 0.943),
    ],
)
def test_numbers_of_vib(
    dataset: str, model: str, fraction: float, metric: str, expected: float
) -> None:
    frame = numbers("vib_table3").set_index(
        ["published_for", "model", "split.fraction", "metric"]
    )  # fmt: skip
    assert len(frame) == 4 * 4 * 5 * 2
    assert frame.index.is_unique
    assert frame["published"].between(0.15, 1).all()
    assert frame["standard_error"].isna().all()
    assert frame.loc[(dataset, model, fraction, metric), "published"] == expected


def test_vib_is_best_but_in_the_cells_that_the_facts_name() -> None:
    frame = numbers("vib_table3")
    cells = frame.pivot(
        index=["published_for", "split.fraction", "metric"], columns="model", values="published"
    )
    rivals = cells.drop(columns="CNN+VIB").max(axis=1)
    assert sorted(cells.index[cells["CNN+VIB"] <= rivals]) == [
        ("esc50", 0.3, "macro_f1"),
        *[("tess", f, m) for f in (0.5, 1.0) for m in ("accuracy", "macro_f1")],
    ]


def test_numbers_of_consistency() -> None:
    frame = numbers("consistency_table1").set_index("model")
    assert set(frame["metric"]) == {"accuracy"}
    assert set(frame["published_for"]) == {"esc50"}
    assert len(frame) == 13
    expected = {"No Augmentation": (83.59, 0.15), "Combination-CL": (86.22, 0.12),
                "Reverb-BDA": (85.12, 0.07), "TF-Masking": (83.69, 0.20)}  # fmt: skip
    for model, (accuracy, error) in expected.items():
        assert 100 * frame.loc[model, "published"] == pytest.approx(accuracy)
        assert 100 * frame.loc[model, "standard_error"] == pytest.approx(error)
    gains = 100 * (frame["published"] - frame.loc["No Augmentation", "published"])
    for ending, gain in (("-BDA", 1.38), ("-CL", 1.99)):  # the paper's own means
        assert gains[frame.index.str.endswith(ending)].mean() == pytest.approx(gain, abs=0.006)


def test_every_model_of_vib_is_matched(results: Results) -> None:
    models = {
        "CNN": cnn(),
        "CNN+Dropout": cnn(**DROPOUT),
        "CNN+WeightDecay": cnn(**DECAY),
        "CNN+VIB": vib(),
    }
    assert set(models) == set(numbers("vib_table3")["model"])
    frame = beside("vib_table3", halves(results, *models.values()))
    assert list(frame["model"]) == list(models)
    assert list(frame["published"]) == [0.552, 0.551, 0.568, 0.581]
    assert list(frame["chosen"]) == ["", "", "", "K=20 beta=0.005"]
    assert set(frame["at"]) == {""}


def test_every_model_of_consistency_is_matched(results: Results) -> None:
    models = {"No Augmentation": vgg()}
    names = {"pitch": "Pitch-Shift", "reverb": "Reverb", "mask": "TF-Masking",
             "combination": "Combination"}  # fmt: skip
    for transform, name in names.items():
        models |= {name: vgg(transform, 0.5), f"{name}-BDA": vgg(transform, **VIEWS)}
        models |= {f"{name}-CL": vgg(transform, **AGREED)}
    assert list(models) == list(numbers("consistency_table1")["model"])
    scores = scored(results, {t: {"test": 0.2 + k / 100} for k, t in enumerate(models.values())})[0]
    frame = beside("consistency_table1", scores)
    assert list(frame["model"]) == list(models)
    assert list(frame["mean"]) == [0.2 + k / 100 for k in range(13)]
    pd.testing.assert_series_equal(frame["published"], numbers("consistency_table1")["published"])


NO_MODELS_OF_VIB = {
    "another network": trial(sound__dataset="esc50"),
    "the other table's network": vgg(),
    "recordings of no kin": cnn(sound__dataset="synthetic"),
    "two things against overfitting": cnn(**DROPOUT, **DECAY),
    "dropout and a bottleneck": vib(**DROPOUT),
    "a fraction without a number": cnn(split__fraction=0.2),
    "a part of its classes": cnn(sound__classes="dog,rain"),
    "trained before": cnn(transfer__trial="0123456789ab"),
    "transformed": cnn(augment__transform="pitch", augment__transform_share=0.5),
    "mixed": cnn(augment__mixup=0.3),
    "rolled": cnn(augment__roll=0.5),
    "damped": cnn(network__damping=0.5),
    "permuted labels": cnn(split__labels="permuted"),
    "heard through microphones": cnn(**THROUGH_TWO),
    "pruned": cnn(**STATIC),
}


@pytest.mark.parametrize("other", NO_MODELS_OF_VIB.values(), ids=NO_MODELS_OF_VIB)
def test_what_is_no_model_of_vib_is_left_out(results: Results, other: Trial) -> None:
    scores = halves(results, cnn(seed=1), other)
    assert list(beside("vib_table3", scores)["n"]) == [1]
    alone = scores[scores["trial"] == other.id]
    assert beside("vib_table3", alone).empty
    reason = str(obstacle("vib_table3", alone))
    assert reason.startswith("vib_table3 takes no trial of these: ")


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (trial(network__kind="vib_cnn", sound__dataset="urbansound8k", **BARE),
         "vib_table3 takes no trial of these: it is of the datasets fsdd, esc50, tess, "
         "tut2017_development, audiomnist, esc10, tut2017"),
        (cnn(augment__mixup=0.3, augment__roll=0.5),
         "vib_table3 takes no trial of these: all 1 have augment.roll=0.5 and augment.mixup=0.3"),
        (cnn(augment__transform="pitch", augment__transform_share=0.5),
         "vib_table3 takes no trial of these: none is one of its models"),
        (cnn(split__fraction=0.2),
         "vib_table3 takes no trial of these: none of its models has one of its split.fraction "
         "(0.05, 0.1, 0.3, 0.5, 1)"),
    ],
    ids=["dataset", "settings", "model", "fraction"],
)  # fmt: skip
def test_nothing_published_is_said_in_one_line_with_a_study(
    results: Results, one: Trial, reason: str
) -> None:
    scores = halves(results, one)
    assert nothing_fits(scores) == f"{reason}; a study that fits: vib_table_esc10"
    with pytest.raises(ValueError, match=f"^--published: {re.escape(reason)}"):
        analyze([results.where], published=True)


def test_networks_of_no_paper_name_every_table(results: Results) -> None:
    said = nothing_fits(halves(results, trial(network__kind="cp_mobile", **BARE)))
    assert said == (
        "these trials are of cp_mobile, the tables of vib_cnn (vib_table3), vgg9 "
        "(consistency_table1), cp_resnet (random_labels_section4); a study that fits: "
        "vib_table_esc10 or consistency_table_esc10 or random_labels_esc10"
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_named_study_fits_its_table(name: str) -> None:
    paper = PUBLISHED[name]
    rows = pd.DataFrame([settings.flat(one) for one in find(paper.study).trials()])
    wanted = {"network.kind": paper.network, **paper.off}
    kept = rows[np.all([rows[setting] == value for setting, value in wanted.items()], axis=0)]
    named = kept[paper.models(kept) != ""]
    assert named["split.fraction"].isin(numbers(name)["split.fraction"]).any()
    assert {*named["sound.dataset"]} <= {*paper.datasets.values(), *paper.kin}


def test_no_table_overwrites_the_points_of_a_figure() -> None:
    assert not {*FIGURES} & {each for name in PUBLISHED for each in (name, f"{name}_gains")}


def test_dropout_is_no_model_of_consistency(results: Results) -> None:
    scores = halves(results, vgg(**DROPOUT))
    assert beside("consistency_table1", scores).empty
    assert obstacle("consistency_table1", scores)


def test_differences_equal_a_plain_reading(results: Results) -> None:
    values = [0.30, 0.34, 0.41]
    runs = {cnn(seed=s, split__fraction=0.3): {"test": v} for s, v in enumerate(values)}
    frame = beside("vib_table3", *scored(results, runs)).set_index("metric")
    ours = plain(values, least=0, most=1)
    row = frame.loc["accuracy"]
    assert same(row[["mean", "low", "high", "n", "unit"]], ours)
    found = tuple(row[["difference", "difference_low", "difference_high"]])
    assert found == pytest.approx(tuple(x - 0.303 for x in ours[:3]))
    assert frame.loc["macro_f1", "mean"] == pytest.approx(ours.mean - 0.1)
    assert frame.loc["macro_f1", "published"] == 0.303


def test_a_published_standard_error_widens_the_difference(results: Results) -> None:
    values = [0.83, 0.84, 0.85]
    scores = scored(results, {vgg(seed=s): {"test": v} for s, v in enumerate(values)})[0]
    row = beside("consistency_table1", scores).iloc[0]
    ours = plain(values, least=0, most=1)
    assert row["difference"] == pytest.approx(0.84 - 0.8359)
    above, below = (math.hypot(end - 0.84, 1.96 * 0.0015) for end in (ours.high, ours.low))
    assert row["difference_high"] - row["difference"] == pytest.approx(above)
    assert row["difference"] - row["difference_low"] == pytest.approx(below)


def test_one_run_has_a_difference_and_no_interval(results: Results) -> None:
    row = beside("vib_table3", halves(results, cnn())).iloc[0]
    assert row["difference"] == pytest.approx(0.5 - 0.552)
    assert row[["low", "high", "difference_low", "difference_high"]].isna().all()


@pytest.mark.parametrize(
    ("dataset", "whose"),
    [("esc10", "esc50"), ("audiomnist", "fsdd"), ("tut2017", "tut2017_development")],
)
def test_no_difference_is_made_of_other_recordings(
    results: Results, dataset: str, whose: str
) -> None:
    frame = beside("vib_table3", halves(results, cnn(sound__dataset=dataset)))
    row = frame.iloc[0]
    assert (row["dataset"], row["published_for"]) == (dataset, whose)
    assert row["published"] > 0.5
    assert row[["difference", "difference_low", "difference_high"]].isna().all()


@pytest.mark.parametrize("dataset", ["esc50", "fsdd", "tess", "tut2017_development"])
def test_of_its_own_recordings_a_difference_is_made(results: Results, dataset: str) -> None:
    row = beside("vib_table3", halves(results, cnn(sound__dataset=dataset))).iloc[0]
    assert row["difference"] == pytest.approx(0.5 - row["published"])


def test_k_and_beta_are_chosen_on_validation_not_on_test(results: Results) -> None:
    values = {vib(20, seed=s): {"validation": 0.6, "test": 0.3 + s / 100} for s in range(2)} | {
        vib(50, seed=s): {"validation": 0.5, "test": 0.9} for s in range(2)
    }
    accuracy, f1 = scored(results, values)
    frame = beside("vib_table3", accuracy, f1)
    assert list(frame["chosen"]) == ["K=20 beta=0.005"] * 2
    assert list(frame["mean"]) == pytest.approx([0.305, 0.205])
    assert list(frame["n"]) == [2, 2]
    unseen = accuracy.assign(value=accuracy["value"].mask(accuracy["split"] == "test", 0.0))
    assert list(beside("vib_table3", unseen)["chosen"]) == ["K=20 beta=0.005"]


def test_each_fraction_has_its_own_k_and_beta(results: Results) -> None:
    values = {
        vib(k, split__fraction=f): {"validation": v, "test": 0.5}
        for k, f, v in ((20, 0.05, 0.1), (50, 0.05, 0.2), (20, 1.0, 0.7), (50, 1.0, 0.6))
    }
    frame = beside("vib_table3", scored(results, values)[0])
    assert list(frame["fraction"]) == [0.05, 1.0]
    assert list(frame["chosen"]) == ["K=50 beta=0.005", "K=20 beta=0.005"]


def test_what_tells_ours_apart_is_never_averaged(results: Results) -> None:
    scores = halves(
        results,
        *(cnn(seed=s) for s in range(2)),
        cnn(network__width=32),
        cnn(split__protocol="leaking_folds", split__folds=5),
        cnn(training__epochs=40),
        cnn(sound__dataset="esc10"),
    )
    frame = beside("vib_table3", scores)
    told = frame[["dataset", "protocol", "width", "n"]].itertuples(index=False, name=None)
    assert sorted(told) == [
        ("esc10", "folds", 8, 1),
        ("esc50", "folds", 8, 1),
        ("esc50", "folds", 8, 2),
        ("esc50", "folds", 32, 1),
        ("esc50", "leaking_folds", 8, 1),
    ]
    assert frame["at"].str.contains("epochs=40").sum() == 1
    assert frame.loc[frame["dataset"] == "esc10", "at"].item() == ""
    weights = halves(results, *(vgg("pitch", **AGREED, seed=s) for s in range(2)),
                     vgg("pitch", **(AGREED | {"objective__weight": 7.5})))  # fmt: skip
    assert sorted(beside("consistency_table1", weights)["at"]) == [
        "consistency, weight=5", "consistency, weight=7.5",
    ]  # fmt: skip


def test_obstacles_are_half_a_sentence(results: Results) -> None:
    without = scored(results, {vib(20): {"test": 0.5}, vib(50): {"test": 0.5}})[0]
    reason = str(obstacle("vib_table3", without))
    assert "not scored on the split validation" in reason
    with pytest.raises(ValueError, match="not scored on the split validation"):
        beside("vib_table3", without)
    rolled = scored(results, {vgg(augment__roll=0.5): {"test": 0.5}})[0]
    said = str(obstacle("consistency_table1", rolled))
    assert said.endswith(": all 1 have augment.roll=0.5")
    unseen = scored(results, {cnn(): {"validation": 0.5}})[0]
    assert obstacle("vib_table3", unseen) == "no model of vib_table3 was scored on the split test"
    assert beside("vib_table3", unseen).empty
    assert obstacle("vib_table3", halves(results, cnn())) is None
    for name in PUBLISHED:
        assert obstacle(name, halves(results, trial()))
        assert obstacle(name, without[:0])
        empty = beside(name, without[:0], without[:0])
        assert empty.empty
        full = beside("vib_table3", halves(results, cnn()))
        assert list(empty.columns) == list(full.columns)


def shown(frame: pd.DataFrame, listing: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table as a terminal of 80 columns shows it."""
    monkeypatch.setenv("COLUMNS", "80")
    screen = Console(width=80)
    with screen.capture() as said:
        screen.print(listed(listing("table", frame)))
    return said.get()


def folds(
    of: Callable[..., Trial], values: Mapping[int, Sequence[float]], **more: Any
) -> dict[Trial, dict[str, float]]:
    """Test scores by fold, one for each seed; validation clips score half of it."""
    return {
        of(seed=seed, split__fold=fold, split__validation_fold=9, **more): {
            "test": value,
            "validation": value / 2,
        }
        for fold, scores in values.items()
        for seed, value in enumerate(scores)
    }


def test_a_gain_is_paired_by_split_beside_the_papers(results: Results) -> None:
    plain_CNN = {1: [0.30], 2: [0.50], 3: [0.40], 4: [0.20]}
    better = {1: [0.33], 2: [0.52], 3: [0.46], 4: [0.25]}
    runs = folds(cnn, plain_CNN) | folds(vib, better) | {vib(seed=7): {"test": 0.9}}
    frame = gains("vib_table3", *scored(results, runs)).set_index(["reference", "metric"])
    row = frame.loc[("CNN", "accuracy")]
    assert row["published"] == pytest.approx(0.581 - 0.552)
    assert same(row[["mean", "low", "high", "n", "unit"]], plain([0.03, 0.02, 0.06, 0.05], "folds"))
    assert frame.loc[("CNN", "macro_f1"), "published"] == pytest.approx(0.589 - 0.507)


def test_seeds_are_averaged_within_a_split(results: Results) -> None:
    runs = folds(cnn, {f: [0.3, 0.5] for f in (1, 2, 3)})
    runs |= folds(vib, {1: [0.4, 0.6], 2: [0.3, 0.5], 3: [0.5, 0.5]})
    row = gains("vib_table3", scored(results, runs)[0]).iloc[0]
    assert same(row[["mean", "low", "high", "n", "unit"]], plain([0.1, 0.0, 0.1], "folds"))


def test_the_best_baseline_wins_on_validation_clips(results: Results) -> None:
    """Not on test clips, which would make it better than it is."""
    runs = {
        cnn(split__validation_fold=9): {"validation": 0.6, "test": 0.40},
        cnn(split__validation_fold=9, **DROPOUT): {"validation": 0.5, "test": 0.48},
        cnn(split__validation_fold=9, **DECAY): {"validation": 0.4, "test": 0.49},
        vib(20): {"validation": 0.7, "test": 0.50},
        vib(50): {"validation": 0.6, "test": 0.90},
    }
    frame = gains("vib_table3", scored(results, runs)[0]).set_index("reference")
    assert list(frame.index) == ["CNN", "CNN+Dropout", "CNN+WeightDecay", BEST]
    assert list(frame["mean"]) == pytest.approx([0.10, 0.02, 0.01, 0.10])
    assert frame.loc[BEST, "published"] == pytest.approx(0.581 - 0.568)


def test_gains_of_consistency_are_the_papers_improvements(results: Results) -> None:
    models = {vgg(): {"test": 0.80}}
    for k, name in enumerate(("pitch", "reverb", "mask", "combination")):
        models[vgg(name, 0.5)] = {"test": 0.81}
        models[vgg(name, **VIEWS)] = {"test": 0.82 + k / 100}
        models[vgg(name, **AGREED)] = {"test": 0.84 + k / 100}
    frame = gains("consistency_table1", scored(results, models)[0])
    pairs = [*zip(frame["model"], frame["reference"], strict=True)]
    assert pairs == list(GAINS["consistency_table1"])
    each = frame.set_index(["model", "reference"])
    row = each.loc[("Combination-CL", "No Augmentation")]
    assert (row["mean"], row["published"]) == pytest.approx((0.07, 0.0263))
    row = each.loc[("Pitch-Shift-CL", "Pitch-Shift-BDA")]
    assert (row["mean"], row["published"]) == pytest.approx((0.02, 0.0088))


def test_a_standard_error_is_over_repeats_of_all_folds(results: Results) -> None:
    """As the paper's; a seed that lacks a fold is no repeat. The interval is over folds."""
    runs = folds(vgg, {1: [0.80, 0.82, 0.9], 2: [0.84, 0.84], 3: [0.82, 0.86]})
    row = beside("consistency_table1", scored(results, runs)[0]).iloc[0]
    assert (row["repeats"], row["unit"], row["n"]) == (2, "folds", 3)
    assert row["error"] == pytest.approx(scipy.stats.sem([0.82, 0.84]))
    alone = beside("consistency_table1", halves(results, vgg(seed=5))).iloc[-1]
    assert alone["repeats"] == 1
    assert math.isnan(alone["error"])


def test_random_labels_stand_beside_the_paper(results: Results) -> None:
    taught = {"sound__dataset": "tau2020_mobile", "split__labels": "uniform"}
    kin = {"sound__dataset": "esc10", "split__labels": "uniform"}
    runs = {
        trial(network__width=32, **taught): {"train_clean": 0.80, "test": 0.1},
        trial(network__width=32, **taught, seed=1): {"train_clean": 0.84, "test": 0.1},
        trial(network__width=16, **taught): {"train_clean": 0.5},
        trial(network__width=32, **taught, network__damping=0.9): {"train_clean": 0.2},
        trial(network__width=4, **kin): {"train_clean": 0.4},
        trial(network__width=32, **kin, network__depth=2): {"train_clean": 0.4},
    }
    scores = scored(results, runs)[0]
    frame = beside("random_labels_section4", scores).set_index(["dataset", "width"])
    assert len(frame) == 3
    row = frame.loc[("tau2020_mobile", 32)]
    assert row["model"] == "W=32, random labels"
    assert tuple(row[["published", "mean", "difference"]]) == pytest.approx((0.8551, 0.82, -0.0351))
    assert frame.loc[("tau2020_mobile", 16), ["published", "difference"]].isna().all()
    assert frame.loc[("esc10", 4), "mean"] == 0.4
    assert gains("random_labels_section4", scores).empty


def test_the_papers_statistic_is_over_all_epochs_of_all_runs(results: Results) -> None:
    runs = [vgg(seed=s) for s in range(3)]
    complete(results, {one: {"test": [0.8, 0.82 + s / 100]} for s, one in enumerate(runs)})
    row = beside("consistency_table1", table.scores(results, last=2)).iloc[0]
    assert row["pooled"] == pytest.approx(np.std([0.8, 0.82, 0.8, 0.83, 0.8, 0.84], ddof=1))


def test_tables_are_read_in_80_columns(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """No word of a heading, and no model, is cut into two lines."""
    values = {f: [0.3 + f / 50, 0.32] for f in (1, 2, 3)}
    both = {**DROPOUT, "network__flatten": True}
    runs = folds(cnn, values) | folds(cnn, values, **both) | folds(vib, values)
    runs |= folds(vgg, values) | folds(vgg, values, **VIEWS, augment__transform="combination")
    accuracy, f1 = scored(results, runs)
    for name in ("vib_table3", "consistency_table1"):
        for text in (
            shown(beside(name, accuracy, f1), of_published, monkeypatch),
            shown(gains(name, accuracy, f1), of_gains, monkeypatch),
        ):
            assert max(map(len, text.splitlines())) <= 80
            words = text.split()
            assert {"published", "ours", "%"} <= {*words}
            assert {"accuracy", "CNN"} <= {*words} or "accuracy;" in words


def test_unknown_tables_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^table vib_table2: no such table.*did you mean vib_tab"):
        numbers("vib_table2")
