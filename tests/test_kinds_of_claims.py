"""Claims on two differences, on sides that are alike, and on the size of receptive fields."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from drawn_studies import Design, coverage
from test_analysis_table import complete, results
from test_claims import claim, folds, gained, only
from test_effective_field import record, spot
from test_units import runs

from analysis import findings
from analysis.claims import assessed, judge
from analysis.data import Data
from analysis.evidence import Evidence
from analysis.intervals import Error
from analysis.sequential import chance
from analysis.units import estimate
from analysis.variance import confirmable, power
from scaling.results.records import Results
from scaling.results.statements import claim_of, noted, state, stated
from scaling.seeds import stream
from scaling.settings import Trial

__all__ = ["results"]  # the fixture
DRAWS = 1_200


# two differences


def test_of_two_differences_four_trials_share_seed_fold_and_what_varies(results: Results):
    draw = stream(1, "four")
    gains = {depth: 0.05 * draw.standard_normal((4, 2)) for depth in (1, 2, 3)}
    values: dict[Trial, dict[str, list[float]]] = {}
    for depth, gain_FS in gains.items():
        for seed in (0, 1):
            by_fold = {(fold, seed): gain_FS[fold - 1, seed] for fold in (1, 2, 3, 4)}
            batch = 16 + 16 * seed  # varies within a side: shared
            values |= gained(results, by_fold, network__depth=depth, training__batch=batch)
    complete(results, values)
    found = only(results, claim(where={"network.depth": 1}, than={"network.depth": (2, 3)}))
    each_FS = gains[1] - (gains[2] + gains[3]) / 2
    test = scipy.stats.ttest_1samp(each_FS.mean(axis=1), 0)
    low, high = test.confidence_interval()
    assert (found["effect"], found["low"], found["high"]) == pytest.approx(
        (each_FS.mean(), low, high)
    )
    assert found["p"] == pytest.approx(test.pvalue, rel=1e-4)
    assert (found["n"], found["unit"], found["pairs"]) == (4, "folds", 16)
    assert (found["than"], found["note"]) == ("network.depth=2|3", "")


def test_what_two_differences_lack_is_one_line(results: Results):
    values = gained(results, folds(0.1, 0.2, 0.3), network__depth=1)
    complete(results, values | gained(results, {(4, 0): 0.1}, network__depth=2))
    of_depth = {"where": {"network.depth": 1}, "than": {"network.depth": 2}}
    with pytest.raises(ValueError, match="no pair of where shares its seed, fold with one of than"):
        only(results, claim(**of_depth))
    with pytest.raises(ValueError, match=r"better of than: no trial has network.depth=3 .*nearest"):
        only(results, claim(**of_depth | {"than": {"network.depth": 3}}))


@pytest.mark.parametrize(
    ("design", "truth"),
    [
        (Design(folds=5, seeds=3, apart=0.05, than=0.0), 0.7),
        (Design(folds=3, seeds=3, apart=0.05, than=0.02, skewed=True), 0.7),
    ],
    ids=str,
)
def test_intervals_of_two_differences_hold_the_truth(design: Design, truth: float):
    found, _ = coverage(design, truth, DRAWS)
    assert 0.93 - 0.0126 <= found <= 0.975 + 0.0126


# alike


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((0.001, -0.002, 0.001), "supported"),
        ((0.05, 0.051, 0.052), "contradicted"),
        ((-0.05, -0.051, -0.052), "contradicted"),
        ((0.008, 0.012, 0.011), "undecided"),
    ],
)
def test_sides_are_alike_where_the_interval_lies_within_the_margin(
    results: Results, gains: tuple[float, ...], verdict: str
):
    complete(results, gained(results, folds(*gains)))
    row = only(results, claim(within=0.01))
    assert row["verdict"] == verdict
    ends = [scipy.stats.ttest_1samp(gains, end).pvalue for end in (-0.01, 0.01)]
    assert row["p"] == pytest.approx(max(ends), rel=1e-4)


def test_at_its_margin_a_claim_is_decided_falsely_in_one_study_of_twenty_at_most():
    """Both verdicts are false there: each is given by one of the two one-sided tests."""
    found, _ = coverage(Design(folds=5, seeds=3, apart=0.05), 0.7, DRAWS)
    assert 1 - found <= 0.05 + 0.0126
    draw, wrong = stream(2, "margin"), 0
    for _ in range(30):  # the whole way
        values = runs(0.05 + 0.03 * draw.standard_normal((5, 1)), clips=80.0)
        made = Evidence(values.assign(shares=[(0.6, 0.5)] * 5, trials=[("a", "b")] * 5), ())
        wrong += assessed(made, claim(within=0.05))["p"] < 0.05
    assert wrong <= 5


def test_power_of_a_margin_is_how_often_it_is_decided():
    draw = stream(3, "power of a margin")
    for effect, deviation, margin in ((0.0, 0.02, 0.03), (0.01, 0.02, 0.04), (0.06, 0.03, 0.02)):
        value_NU = effect + deviation * draw.standard_normal((4_000, 6))
        low, high = scipy.stats.t.interval(
            0.95, 5, value_NU.mean(1), scipy.stats.sem(value_NU, axis=1)
        )
        inside, outside = (low > -margin) & (high < margin), (low > margin) | (high < -margin)
        said = float(power(effect, Error(deviation / 6**0.5, 5), within=margin))
        assert (inside | outside).mean() == pytest.approx(said, abs=0.03)
    error = Error(0.01, 5)
    assert power(0.0, error, within=confirmable(error)) == pytest.approx(0.8)


def test_what_would_decide_a_margin_is_said(results: Results):
    complete(results, gained(results, folds(0.01, -0.03, 0.02)))
    row = only(results, claim(within=0.02))
    assert row["detectable"] > 0.02
    assert re.match(
        r"\d+ more folds would decide, if the effect is the observed 0.0 points", row["remedy"]
    )
    more = int(row["needed"])
    deviation = np.std([0.01, -0.03, 0.02], ddof=1)
    for count, enough in ((3 + more, True), (2 + more, False)):
        error = Error(deviation / count**0.5, count - 1)
        assert (power(row["effect"], error, within=0.02) >= 0.8) is np.bool_(enough)


def test_a_later_look_decides_a_margin_as_often_as_is_said():
    draw, level = stream(4, "outlook"), 0.05
    for effect, margin in ((0.0, 0.05), (0.05, 0.05), (0.09, 0.05)):
        then = effect + np.sqrt(0.02**2 - 0.01**2) * draw.standard_normal(20_000)
        needed = scipy.stats.t.isf(level / 2, 30) * 0.01
        decided = (abs(then) > margin + needed) | (abs(then) < margin - needed)
        said = chance(effect, 0.02, 0.01, 30, level, margin)
        assert decided.mean() == pytest.approx(said, abs=0.01)


# fields

SHRUNK = {"text": "width shrinks the field", "better": {"network.width": 8}}
WIDTHS = dict.fromkeys(("f50", "t50", "f95", "t95"), 1)
SHRUNK |= {"worse": {"network.width": 64}, "metric": "sigma_f"}


def mapped(results: Results, *, guessing: int = 0, without: int = 0) -> dict[int, float]:
    """Two widths on four folds, whose fields differ by 1, 2, ... bands: of the last folds, some
    guess and some have no map. Returns the differences of the others by fold.
    """
    values, differences = gained(results, folds(*[0.05] * 4)), {}
    values = {
        one: {n: [0.1] if one.split.fold > 4 - guessing else v for n, v in splits.items()}
        for one, splits in values.items()
    }
    complete(results, values)
    for one in values:
        rows = [
            {"trial": one.id, "epoch": 1, "split": "test", "clip": f"{n}", "label": "x"}
            | {"device": "a", "predicted": "x", "logits": [0.0] * 10}
            for n in range(40)
        ]
        results.write("predictions", one.id, rows)
        fold = one.split.fold
        if fold > 4 - without - guessing and fold <= 4 - guessing:
            continue
        size = 10.0 if one.network.width == 64 else 10.0 + fold
        results.write("maps", one.id, [record(one, spot(size), **WIDTHS, sigma_f=size)])
        differences[fold] = float(fold)
    return {f: d for f, d in differences.items() if f <= 4 - guessing}


def test_sizes_of_fields_are_compared_like_scores(results: Results):
    differences = list(mapped(results).values())
    row = only(results, claim(**SHRUNK))
    low, high = scipy.stats.t.interval(0.95, 3, np.mean(differences), scipy.stats.sem(differences))
    assert (row["effect"], row["low"], row["high"]) == pytest.approx((2.5, low, high))
    assert (row["n"], row["unit"], row["note"]) == (4, "folds", "")
    assert only(results, claim(**SHRUNK | {"metric": "side50"}))["effect"] > 0
    assert np.isnan(row["clips"])
    level = only(results, claim(**SHRUNK | {"worse": {}, "at_least": 11.0}))
    assert level["effect"] == pytest.approx(12.5)


def test_networks_that_collapsed_and_trials_without_map_are_left_out_and_said(results: Results):
    differences = mapped(results, guessing=1, without=1)
    row = only(results, claim(**SHRUNK))
    assert row["effect"] == pytest.approx(np.mean(list(differences.values())))
    assert row["pairs"] == len(differences) == 2
    assert row["note"] == (
        f"2 trials are without an ERF map on test clips: run `overhear erf {results.where} "
        "--split test`; 2 trials are left out: collapsed (accuracy no better than guessing)"
    )


def test_without_maps_the_command_that_makes_them_is_named(results: Results):
    complete(results, gained(results, folds(0.1, 0.1, 0.1)))
    with pytest.raises(ValueError, match="better: no ERF map on test clips: run `overhear erf "):
        only(results, claim(**SHRUNK))


def test_a_finding_keeps_fields_and_the_rule(results: Results, tmp_path: Path):
    mapped(results, guessing=1)
    claims = [claim(**SHRUNK), claim("as wide", within=2.0, **{k: SHRUNK[k] for k in KEPT})]
    file = tmp_path / "f.csv"
    findings.keep(Data(results), "s", claims, file)
    assert {"sigma_f", "chance"} <= {*pd.read_csv(file)}
    kept = findings.Kept(file)
    assert kept.claims == claims
    now, then = (judge(data, {"s": claims}).drop(columns="note") for data in (kept, Data(results)))
    pd.testing.assert_frame_equal(now, then, rtol=1e-5)


KEPT = ("better", "worse", "metric")


# stating


def test_older_claims_are_written_as_before(results: Results):
    plain, new = claim(), claim("new", within=0.1, where={"seed": (0, 1)})
    assert not {"within", "than"} & noted(plain).keys()
    for each in (plain, new):
        assert claim_of(noted(each)) == each
    state("s", [plain, new], 0, results)
    assert [each.claim for each in stated(results)] == [plain, new]


def test_fields_vary_by_folds_like_any_value():
    """Skewed sizes, as these are: t over folds holds the truth often enough."""
    draw, held = stream(5, "sizes"), 0
    for _ in range(400):
        size_FS = 10 + np.exp(
            0.2 * draw.standard_normal((5, 1)) + 0.2 * draw.standard_normal((5, 3))
        )
        found = estimate(runs(size_FS, metric="sigma_f"))
        held += found.low <= 10 + np.exp(0.04) <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_what_varies_in_the_plan_is_shared_though_few_have_a_map(results: Results):
    """Else a narrow damped network would be compared with a wide base one."""
    values = gained(results, folds(0.05)) | gained(results, folds(0.05), network__damping=0.5)
    complete(results, values)
    for one in values:
        if (one.network.width == 8) is (one.network.damping > 0):
            results.write("maps", one.id, [record(one, spot(9.0), **WIDTHS, sigma_f=9.0)])
    sides = {"better": {"network.damping": 0.0}, "worse": {"network.damping": 0.5}}
    with pytest.raises(ValueError, match=r"its seed, fold, network\.width with one of worse"):
        only(results, claim(**SHRUNK | sides))
