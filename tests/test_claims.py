"""Claims: stated with a study, kept with its results, judged with a family's error bounded."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from test_analysis_table import complete, plan, results, trial
from test_units import heard, runs

from analysis import ledger
from analysis.claims import COLUMNS, Verdict, assessed, holm, judge
from analysis.data import Data
from analysis.evidence import Evidence
from analysis.scales import DIFFERENCE
from analysis.units import estimate, p_value
from scaling.results import statements
from scaling.results.claims import Claim
from scaling.results.records import Damaged, Results
from scaling.seeds import stream
from scaling.settings import Trial
from sweeps.study import find

__all__ = ["results"]  # the fixture
WIDE, NARROW = {"network.width": 64}, {"network.width": 8}


def claim(text: str = "width helps", **fields: Any) -> Claim:
    """Width 64 over width 8 on test clips, unless told otherwise."""
    return Claim(**({"text": text, "better": WIDE, "worse": NARROW, "on": "test"} | fields))


def gained(
    results: Results, gains: Mapping[tuple[int, int], float], **more: Any
) -> dict[Trial, dict[str, list[float]]]:
    """Trials of two widths; on fold f from seed s the wider one is better by gains[f, s]."""
    values: dict[Trial, dict[str, list[float]]] = {}
    for (fold, seed), gain in gains.items():
        base = 0.4 + fold / 50 + seed / 100
        for width, value in ((8, base), (64, base + gain)):
            made = trial(seed=seed, split__fold=fold, network__width=width, **more)
            values[made] = {"test": [value], "seen": [value], "unseen": [(base + value) / 2]}
    return values


def folds(*gains: float) -> dict[tuple[int, int], float]:
    """One seed of each fold."""
    return {(fold, 0): gain for fold, gain in enumerate(gains, start=1)}


def only(results: Results, one: Claim, **options: Any) -> dict[str, Any]:
    """The row of the one claim."""
    (row,) = judge(Data(results), {"s": [one]}, **options).to_dict("records")
    return row


# stating


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"text": " "}, "say in words what is claimed"),
        ({"better": {"network.wdth": 8}}, r"better network.wdth: no such setting \(did you mean"),
        ({"better": {"network.width": "8"}}, "better network.width='8': a whole number"),
        ({"where": {"network.kind": "vgg"}}, r"no such choice \(did you mean vgg9\?"),
        ({"on": "unsen"}, r"on='unsen': no such on \(did you mean unseen\?\)"),
        ({"metric": "f1"}, "no such metric"),
        ({"unit": "clips"}, "no such unit"),
        ({"at_least": 2}, "at_least=2: a fraction, -1 to 1; 2 points are 0.02"),
        ({"published": 5.1}, "published=5.1: a fraction, -1 to 1; 5.1 points are 0.051"),
        ({"at_least": float("nan")}, "at_least=nan must be a finite number"),
        ({"worse": WIDE}, "better and worse are the same trials"),
        ({"worse": {"network.width": (64,)}}, "better and worse are the same trials"),
        ({"better": {}}, "better is empty"),
        ({"better": {"network.width": ()}}, "has no value and matches no trial"),
        ({"where": WIDE}, "network.width is in better and in where"),
        ({"better": {"seed": 1}}, "seeds and folds are averaged, not compared"),
        ({"choose": ("seed",)}, "seeds and folds are averaged"),
        ({"worse": {}, "metric": "loss"}, "a level is of accuracy or macro_f1"),
        ({"within": 0.0}, "within=0: a margin must be above 0"),
        ({"within": 5}, "within=5: a fraction, -1 to 1; 5 points are 0.05"),
        (
            {"within": 0.1, "at_least": 0.1},
            "within=0.1 and at_least=0.1 exclude each other: give one",
        ),
        ({"within": 0.1, "worse": {}}, "within compares two sides: name worse"),
        ({"than": {"network.depth": 2}}, "than network.depth: name it in where, too"),
        (
            {"where": {"network.depth": (1, 2)}, "than": {"network.depth": 2}},
            "network.depth=2 stands in where and in than",
        ),
        ({"metric": "sigma_f", "on": "unseen - seen"}, "a field is of one split's clips"),
        ({"metric": "sigma"}, r"no such metric \(did you mean sigma_"),
    ],
)
def test_a_claim_that_cannot_be_meant_is_one_line(fields: dict[str, Any], line: str):
    with pytest.raises(ValueError, match=line) as raised:
        claim(**fields)
    assert "\n" not in str(raised.value)


STUDY = """
from scaling.results.claims import Claim
from sweeps.studies.quickstart import QUESTION, SOURCE, trials
ONE = Claim("one", better={"network.width": 16}, worse={"network.width": 4})
CLAIMS = """


def test_a_study_states_its_claims(tmp_path: Path):
    path = tmp_path / "mine.py"
    path.write_text(f"{STUDY}(ONE,)")
    assert [each.text for each in find(str(path)).claims] == ["one"]
    for stated, line in [
        ("ONE", "CLAIMS=Claim"),
        ("(ONE, 3)", "CLAIMS hold 3, not a Claim"),
        ("(ONE, ONE)", "two CLAIMS say 'one': each needs a text of its own"),
    ]:
        path.write_text(STUDY + stated)
        with pytest.raises(ValueError, match=re.escape(line)):
            find(str(path))
    path.write_text(f"{STUDY}(Claim('x', better={{'seed': 1}}, worse={{}}),)")
    with pytest.raises(ValueError, match="does not import: ValueError: claim 'x': better seed"):
        find(str(path))


def test_claims_are_kept_once_with_when_they_were_stated(results: Results):
    one = claim(where={"split.validation_fold": None, "network.damping": (0.0, 0.99)})
    statements.state("s", [one], 0, results)
    statements.state("s", [one], 5, results)  # known already
    (kept,) = statements.stated(results)
    assert (kept.study, kept.claim, kept.ended, kept.earlier) == ("s", one, 0, 0)
    assert len(results.names(statements.KIND, ".json")) == 1
    other = claim(at_least=0.01)
    statements.state("s", [other], 7, results)
    (changed,) = statements.stated(results)
    assert (changed.claim, changed.ended, changed.earlier) == (other, 7, 1)


def test_what_was_stated_late_or_otherwise_is_told(results: Results):
    complete(results, gained(results, folds(0.05, 0.06, 0.07)))
    statements.state("s", [claim(at_least=0.5)], 0, results)
    statements.state("s", [claim()], 6, results)
    (row,) = judge(Data(results)).to_dict("records")
    assert "stated after 6 trials had ended; stated otherwise before (1 x)" in row["note"]


@pytest.mark.parametrize(
    "spoil", [lambda c: c[:-9], lambda c: c.replace(b"64", b"32"), lambda c: b""]
)
def test_damaged_claims_are_one_line(results: Results, spoil: Any):
    statements.state("s", [claim()], 0, results)
    (name,) = results.names(statements.KIND, ".json")
    file = Path(results.path(statements.KIND, f"{name}.json"))
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(Damaged, match=r"cannot be read .*restore it from a copy, or delete it"):
        statements.stated(results)


def test_a_launch_keeps_claims_before_any_trial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    import typer

    from sweeps.cli import sweep
    from sweeps.engine import ray_tune

    path, out = tmp_path / "mine.py", tmp_path / "out"
    path.write_text(f"{STUDY}(ONE, Claim('two', better={{'network.width': 5}}, worse={{}}))")
    kept: list[str] = []

    def instead(*_: object) -> None:
        kept.extend(each.claim.text for each in statements.stated(Results(out)))

    monkeypatch.setattr(ray_tune, "sweep", instead)
    with pytest.warns(UserWarning, match=r"claim 'two': better: no trial has network.width=5"):
        sweep(str(path), out=str(out), dry_run=True, speed=1.0)
    said = capsys.readouterr().out
    assert (
        "claims stated: 2\n- one\n  accuracy on unseen: at least 0, network.width=16 over" in said
    )
    assert not (out / statements.KIND).exists()
    with pytest.warns(UserWarning, match="no trial has"), pytest.raises(typer.Exit):
        sweep(str(path), out=str(out), plain=True)  # no trial has run
    assert kept == ["one", "two"]
    assert [each.ended for each in statements.stated(Results(out))] == [0, 0]


# judging


def test_equals_students_t_over_folds_with_seeds_averaged(results: Results):
    draw = stream(1, "gains")
    gains = {(f, s): 0.05 + 0.03 * draw.standard_normal() for f in (1, 2, 3, 4) for s in (0, 1)}
    complete(results, gained(results, gains))
    row = only(results, claim(at_least=0.01))
    means = [np.mean([gains[f, s] for s in (0, 1)]) for f in (1, 2, 3, 4)]
    low, high = scipy.stats.t.interval(0.95, 3, np.mean(means), scipy.stats.sem(means))
    assert (row["effect"], row["low"], row["high"]) == pytest.approx((np.mean(means), low, high))
    assert (row["n"], row["unit"], row["pairs"]) == (4, "folds", 8)
    assert row["p"] == pytest.approx(scipy.stats.ttest_1samp(means, 0.01).pvalue, rel=1e-4)
    assert row["p_holm"] == row["p"]
    assert list(judge(Data(results), {"s": [claim()]})) == COLUMNS


@pytest.mark.parametrize(
    ("gains", "at_least", "verdict"),
    [
        ((0.05, 0.06, 0.07), 0.0, "supported"),
        ((0.05, 0.06, 0.07), 0.2, "contradicted"),
        ((-0.05, -0.06, -0.07), 0.0, "contradicted"),
        ((-0.01, -0.011, -0.012), -0.02, "supported"),  # at most two points worse
        ((0.05, -0.06, 0.07), 0.0, "undecided"),
        ((0.05, 0.06), 0.0, "undecided"),
    ],
)
def test_verdicts(results: Results, gains: tuple[float, ...], at_least: float, verdict: str):
    complete(results, gained(results, folds(*gains)))
    assert only(results, claim(at_least=at_least))["verdict"] == verdict


def test_the_gap_is_that_of_differences(results: Results):
    complete(results, gained(results, folds(0.04, 0.06, 0.08)))
    row = only(results, claim(on="unseen - seen"))
    # unseen gains half of what seen does
    assert row["effect"] == pytest.approx(-0.03)
    assert row["unit"] == "folds"


def test_of_a_loss_less_is_better(results: Results):
    complete(results, gained(results, folds(0.05, 0.06, 0.07)))
    row = only(results, claim(metric="loss"))  # losses are accuracies + 1
    assert row["effect"] == pytest.approx(-0.06)
    assert row["verdict"] == Verdict.CONTRADICTED


def test_a_level_is_the_mean_itself(results: Results):
    complete(results, gained(results, folds(0.40, 0.41, 0.40, 0.41)))
    row = only(results, claim(worse={}, at_least=0.5))
    assert row["effect"] == pytest.approx(0.4 + 0.05 + 0.405)
    assert row["verdict"] == Verdict.SUPPORTED
    assert row["worse"] == ""


def test_each_side_chooses_on_validation_clips(results: Results):
    values = {}
    for fold in (1, 2, 3):
        for width in (8, 64):
            for batch, validation, test in ((16, 0.9, 0.5), (32, 0.1, 0.9)):
                made = trial(split__fold=fold, network__width=width, training__batch=batch)
                gain = 0.1 + fold / 100 if width == 64 else 0.0
                values[made] = {"validation": [validation], "test": [test + gain]}
    complete(results, values)
    row = only(results, claim(choose=("training.batch",)))
    assert row["effect"] == pytest.approx(0.12)
    assert row["pairs"] == 3


def test_without_validation_clips_nothing_is_chosen(results: Results):
    values = gained(results, folds(0.1, 0.2, 0.3), training__batch=32)
    complete(results, values | gained(results, folds(0.1, 0.2, 0.3)))
    with pytest.raises(ValueError, match="were not scored on the split validation"):
        only(results, claim(choose=("training.batch",)))


def test_pairs_share_what_varies_and_tell_what_does_not(results: Results):
    gains = folds(0.05, 0.06, 0.07)
    values = gained(results, gains) | gained(results, gains, network__damping=0.99)
    values = {t: v for t, v in values.items() if t.network.width == 8 or t.split.fold != 3}
    complete(results, values)
    row = only(results, claim())
    assert row["pairs"] == 4  # damped with damped, on two folds
    assert "2 trials are without a partner" in row["note"]


def test_constants_that_differ_are_told(results: Results):
    values = {}
    for fold in (1, 2, 3):
        for width, batch in ((8, 16), (64, 32)):
            made = trial(split__fold=fold, network__width=width, training__batch=batch)
            values[made] = {"test": [0.5 + width / 1000 + fold / 100]}
    complete(results, values)
    assert "they also differ in training.batch 32/16" in only(results, claim())["note"]


def test_a_claim_that_waits_counts_in_its_family(results: Results):
    complete(results, gained(results, folds(0.05, 0.06, 0.09)))
    late = claim("later", better={"network.width": 32})
    plan(results, "second", [trial(network__width=32)], hours=1)
    first, second = judge(Data(results), {"s": [claim(), late]}).to_dict("records")
    assert first["p_holm"] == pytest.approx(2 * first["p"])
    assert second["verdict"] == Verdict.UNDECIDED
    assert second["note"] == "better: none of its 1 trials is complete"


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"better": {"network.width": 60}},
            r"better: no trial has network.width=60 \(the nearest is 64",
        ),
        ({"where": {"network.damping": 0.5}}, "no trial has network.damping=0.5"),
        ({"better": {"network.depth": 1}}, "on both sides"),
        (
            {"on": "validation"},
            r"no trial was scored on validation \(they were on seen, test, unseen",
        ),
        ({"metric": "macro_f1"}, "metric=macro_f1: no complete trial recorded it"),
        ({"unit": "repeats"}, "3 folds were trained from one seed"),
        ({"unit": "devices"}, "the scores of three devices or more"),
    ],
)
def test_what_results_cannot_judge_is_one_line(results: Results, fields: dict[str, Any], line: str):
    complete(results, gained(results, folds(0.05, 0.06, 0.07)))
    with pytest.raises(ValueError, match=f"no claim can be judged: claim 'width helps': .*{line}"):
        only(results, claim(**fields))
    # beside one that can be judged, it is a note
    both = judge(Data(results), {"s": [claim(), claim("odd", **fields)]}).set_index("claim")
    assert re.search(line, both.loc["odd", "note"])
    assert both.loc["odd", "verdict"] == Verdict.UNDECIDED


def test_trials_that_two_studies_share_count_in_both(results: Results):
    values = gained(results, folds(0.05, 0.06, 0.09))
    complete(results, values)
    plan(results, "second", [*values][:4], hours=1, study="t")
    plan(results, "third", [trial(network__width=64, split__fold=4)], hours=2, study="t")
    first, second = judge(Data(results), {"s": [claim()], "t": [claim()]}).to_dict("records")
    assert (first["pairs"], second["pairs"]) == (3, 2)
    assert "1 trial is not complete" in second["note"]


def test_folds_of_two_datasets_are_not_mixed(results: Results):
    values = gained(results, folds(0.05, 0.06, 0.09))
    complete(results, values | gained(results, folds(0.1, 0.1, 0.1), sound__dataset="other"))
    with pytest.raises(ValueError, match="trials of 2 datasets, whose folds are not the same"):
        only(results, claim())
    row = only(results, claim(where={"sound.dataset": "other"}))
    assert row["effect"] == pytest.approx(0.1)


def test_one_seed_is_no_evidence_and_says_what_is_missing(results: Results):
    complete(results, gained(results, folds(0.3)))
    row = only(results, claim())
    assert row["verdict"] == Verdict.UNDECIDED
    assert (row["needed"], row["needed_unit"]) == (2.0, "seeds")
    assert row["remedy"] == "1 seed cannot decide, 3 can: 2 more seeds at least"


def test_no_claims_and_no_results_are_one_line(results: Results):
    with pytest.raises(ValueError, match="is not a results folder"):
        judge(Data(results))
    complete(results, gained(results, folds(0.3)))
    with pytest.raises(ValueError, match="holds no claims: name the study"):
        judge(Data(results))
    with pytest.raises(ValueError, match=r"--alpha 1: above 0, at most 0\.5"):
        judge(Data(results), {"s": [claim()]}, alpha=1)


# the statistics


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, np.nan]) == pytest.approx([0.04, 0.09, 0.09, 1.0])


def test_p_is_where_the_interval_meets_the_effect_that_matters():
    values = runs(stream(3, "p").normal(0.05, 0.04, (5, 3)), clips=40)
    p = p_value(values, 0.01, DIFFERENCE)
    found = estimate(values, DIFFERENCE, 1 - p)
    assert found.low == pytest.approx(0.01, abs=1e-6)


def apart(draw: np.random.Generator, shape: tuple[int, int, int], **of: float) -> pd.DataFrame:
    """Differences without any true effect, over folds x seeds x devices."""
    values = np.zeros(shape)
    for name, axes in {"fold": (0,), "device": (2,), "seed": (0, 1), "rest": (0, 1, 2)}.items():
        size = [n if axis in axes else 1 for axis, n in enumerate(shape)]
        values = values + of.get(name, 0.0) * draw.standard_normal(size)
    frame = heard(values) if shape[2] > 1 else runs(values[..., 0])
    return frame.assign(clips=80.0)


FAMILIES = 100


@pytest.mark.parametrize(
    ("shape", "deviations"),
    [
        ((5, 3, 1), {"fold": 0.03, "seed": 0.02}),
        ((5, 3, 4), {"fold": 0.03, "seed": 0.02, "device": 0.04, "rest": 0.01}),
        ((1, 4, 5), {"seed": 0.03, "device": 0.03, "rest": 0.01}),
        ((3, 1, 12), {"fold": 0.04, "device": 0.005, "rest": 0.01}),  # crossed alone: 11 %
    ],
)
def test_without_an_effect_one_family_in_twenty_at_most_has_a_verdict(
    shape: tuple[int, int, int], deviations: dict[str, float]
):
    """Of five claims, any is decided where one has p <= .05 / 5: where its interval of 99 %, which
    is quicker than p, excludes 0. 5 % of the families and three standard errors are 11.5 %.
    """
    draw, wrong = stream(5, "families", *shape), 0
    for _ in range(FAMILIES):
        five = [apart(draw, shape, **deviations) for _ in range(5)]
        found = [estimate(frame, DIFFERENCE, 0.99) for frame in five]
        wrong += any(not each.low <= 0 <= each.high for each in found)
    assert wrong / FAMILIES <= 0.115


def test_seeds_of_one_split_are_not_hidden_behind_its_devices():
    """Devices alone, which share each training, would be sure far too often."""
    draw, wrong, hidden = stream(6, "one split"), 0, 0
    for _ in range(200):
        frame = apart(draw, (1, 4, 5), seed=0.03, device=0.01, rest=0.005)
        found = estimate(frame, DIFFERENCE)
        of_device = pd.DataFrame([*frame["by_device"]]).mean()
        alone = scipy.stats.ttest_1samp(of_device, 0).pvalue
        wrong += not found.low <= 0 <= found.high
        hidden += alone < 0.05
    assert wrong / 200 <= 0.1
    assert hidden / 200 >= 0.2
    assert found.unit == "devices x 4 seeds on one split"


def test_devices_of_one_training_decide_nothing():
    frame = apart(stream(7, "one training"), (1, 2, 5), device=0.001)
    frame = frame.assign(
        value=frame["value"] + 0.1,
        by_device=[{d: v + 0.1 for d, v in each.items()} for each in frame["by_device"]],
    )
    found = Evidence(frame.assign(trial=["a", "b"], shares=[(0.6, 0.5)] * 2), ())
    row = assessed(found, claim(on="unseen"))
    assert (row["n"], row["unit"]) == (2, "seeds on one split")
    assert row["remedy"] == "2 seeds cannot decide, 3 can: 1 more seed at least"
    assert "p" not in row


# the command


def shown(results: Results, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    """What the command prints."""
    given = {"study": None, "alpha": 0.05, "unit": "", "every": False, "json": False, "out": None}
    states = options.pop("states", lambda name: (name, (claim(), claim("more", at_least=0.06))))
    ledger.show([results.where], **given | options, states=states, shipped=["s"])
    return capsys.readouterr().out


def test_the_ledger_fits_80_columns(
    results: Results, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    complete(results, gained(results, folds(0.05, 0.06, 0.07)))
    said = shown(results, capsys, study="s")
    table, _, file = said.rpartition("claims: ")
    assert all(len(line) <= 80 for line in table.splitlines()[1:])
    assert said.startswith("claims of s as stated now: these results do not record")
    assert "1 supported, 0 contradicted, 1 undecided of 2" in said
    assert re.search(
        "more: .* would decide, if the effect is the observed 6.0 points", " ".join(said.split())
    )
    assert list(pd.read_csv(file.strip())) == COLUMNS


def test_recorded_claims_come_first_and_shipped_ones_stand_in(
    results: Results, capsys: pytest.CaptureFixture[str]
):
    complete(results, gained(results, folds(0.05, 0.06, 0.07)))
    assert "as stated now" in shown(results, capsys)
    statements.state("s", [claim()], 0, results)
    said = shown(results, capsys)
    assert "as stated now" not in said
    assert "1 supported, 0 contradicted, 0 undecided of 1" in said


def test_json_lines(results: Results, capsys: pytest.CaptureFixture[str]):
    complete(results, gained(results, folds(0.05, 0.06, 0.07)))
    lines = [json.loads(line) for line in shown(results, capsys, json=True).splitlines()]
    assert [line["claim"] for line in lines] == ["width helps", "more"]
    assert lines[0]["table"] == "claims"
    assert lines[0]["published"] is None


def test_a_study_without_claims_is_one_line(results: Results):
    complete(results, gained(results, folds(0.05, 0.06, 0.07)))
    for study, line in ((None, "none of its studies .s. is a shipped one"), ("s", "no CLAIMS")):
        with pytest.raises(ValueError, match=line):
            shown(results, None, study=study, states=lambda name: (name, ()))  # type: ignore[arg-type]
