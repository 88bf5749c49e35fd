"""The claims of the shipped studies: each compares trials that its study lists and scores."""

from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from analysis.tables.papers import numbers
from scaling.results.claims import GAP, Claim
from scaling.settings import Trial, flat, leaves
from scaling.settings.departures import PAPERS, smaller
from scaling.settings.departures import rows as rows_of
from scaling.settings.departures.departure import Paper
from scaling.settings.recipes import DAMPED
from sweeps.arms import written
from sweeps.claimed import at_each, base_and_damped
from sweeps.study import find, names, trials_of

Rows = list[dict[str, Any]]
SHARED = ("seed", "split.fold", "split.validation_fold")  # by the trials of a pair
MOST = 10  # claims of a study: Holm's correction makes each of more too hard to support
SILENT = {  # studies that claim nothing, and why
    "consistency_curves": "about disagreement, which no claim is of",
    "consistency_curves_esc10": "likewise",
    "erf_scaled": "about maps as far as they reach, which no claim is of",
    "erf_scaled_esc10": "likewise",
    "rate_esc10": "its trials are stopped early",
    "search_esc10": "it lists no trials",
    "sam_esc10": "likewise",
}
VIB = ("split.fraction", "published_for")


def claims(study: str) -> tuple[Claim, ...]:
    """What a shipped study claims."""
    return find(study).claims


CLAIMED = [(study, claim) for study in names() for claim in claims(study)]


@cache
def rows(study: str) -> Rows:
    """A study's trials, each as its columns."""
    return [flat(trial) for trial in trials_of(find(study), {})]


def chosen(study: str, *selectors: Mapping[str, Any]) -> Rows:
    """The trials that fit all selectors: a tuple means any of its values."""
    wanted = [
        (name, value if isinstance(value, tuple) else (value,))
        for selector in selectors
        for name, value in selector.items()
    ]
    return [row for row in rows(study) if all(row[name] in values for name, values in wanted)]


def sides(study: str, claim: Claim) -> list[Rows]:
    """The trials of each side: of a level there is one."""
    stated = [claim.better] if claim.level else [claim.better, claim.worse]
    return [chosen(study, side, claim.where) for side in stated]


def scored(row: Mapping[str, Any]) -> set[str]:
    """The splits that a trial scores, and the gap, which is of two of them."""
    devices = row["split.train_devices"] or row["microphones.test"]
    splits = {"seen", "unseen", GAP} if devices else {"test"}
    if row["split.validation_fold"] is not None:
        splits.add("validation")
    if row["evaluation.training_clips"]:
        splits.add("train_clean")
    return splits


def partners(claim: Claim, one: Rows, other: Rows) -> tuple[int, int]:
    """How many trials of either side have a partner: one of the same seed and fold that shares all
    that varies within a side and that the claim does not name.
    """
    open_ = leaves().keys() - {*claim.named, *SHARED, "transfer.trial", "objective.teachers"}
    varying = [n for n in open_ if max(len({row[n] for row in side}) for side in (one, other)) > 1]
    keys = [[tuple(row[n] for n in (*SHARED, *varying)) for row in side] for side in (one, other)]
    return sum(k in {*keys[1]} for k in keys[0]), sum(k in {*keys[0]} for k in keys[1])


@pytest.mark.parametrize(("study", "claim"), CLAIMED, ids=lambda x: getattr(x, "text", x))
def test_a_claim_compares_trials_of_its_study(study: str, claim: Claim) -> None:
    """Each of the one side with one of the other, on a split that both score."""
    both = sides(study, claim)
    assert all(both)
    for row in (row for side in both for row in side):
        assert claim.on in scored(row)
        assert "validation" in scored(row) or not claim.choose
    if not claim.level:
        one, other = both
        assert not {str(row) for row in one} & {str(row) for row in other}
        assert partners(claim, one, other) == (len(one), len(other))


def test_every_study_claims_a_few_things_or_says_why_not() -> None:
    counts = Counter(study for study, _ in CLAIMED)
    assert {study for study in names() if not counts[study]} == set(SILENT)
    assert max(counts.values()) <= MOST
    for study in counts:
        texts = [claim.text for claim in claims(study)]
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("study", [study for study in names() if find(study).arms])
def test_an_arm_is_run_beside_ours_and_says_where_it_stands(study: str) -> None:
    for arm in find(study).arms:
        assert arm.source, arm.name
        assert chosen(study, arm.changes), f"{arm.name}: no trial has {written(arm)}"
        assert len(chosen(study, arm.changes)) < len(rows(study)), f"{arm.name}: none is ours"


@pytest.mark.parametrize(
    "of_paper", ["vib_table", "vib_table_esc10", "vib_splits", "vib_as_published"]
)
def test_published_effects_of_the_bottleneck_are_those_of_its_table(of_paper: str) -> None:
    table = numbers("vib_table3")
    table = table[table["metric"] == "accuracy"]
    if of_paper != "vib_table":
        table = table[table["published_for"] == "esc50"]
    cells = table.pivot(index=VIB, columns="model", values="published")
    best = cells[["CNN", "CNN+Dropout", "CNN+WeightDecay"]].max(axis="columns")
    found = [claim for claim in claims(of_paper) if claim.published is not None]
    assert len(found) in (6, 8)
    for claim in found:
        reference = cells["CNN"] if "plain" in claim.text else best
        effects = (cells["CNN+VIB"] - reference).groupby("split.fraction").mean()
        published = effects[claim.where["split.fraction"]]
        assert claim.published == pytest.approx(published, abs=6e-5)


@pytest.mark.parametrize("of_paper", ["consistency_table", "consistency_as_published"])
def test_published_effects_of_consistency_are_those_of_its_table(of_paper: str) -> None:
    names = {"pitch": "Pitch-Shift", "reverb": "Reverb", "mask": "TF-Masking",
             "combination": "Combination"}  # fmt: skip
    table = numbers("consistency_table1").set_index("model")["published"]
    for claim in (claim for claim in claims(of_paper) if claim.published is not None):
        transforms = claim.where["augment.transform"]
        each = transforms if isinstance(transforms, tuple) else (transforms,)
        endings = ("-CL", "-BDA") if claim.text.startswith("consistency") else ("-BDA", "")
        if "in one pass" in claim.text:
            endings = (endings[0], "")
        gains = [table[names[t] + endings[0]] - table[names[t] + endings[1]] for t in each]
        assert claim.published == pytest.approx(sum(gains) / len(gains), abs=6e-5)


def test_claims_in_series() -> None:
    claim = Claim("width helps", {"network.width": 8}, {"network.width": 4}, where={"seed": 0})
    base, damped = base_and_damped(claim)
    assert (base.text, damped.text) == ("width helps, base", "width helps, damped")
    assert damped.where == {"seed": 0, "network.damping": DAMPED}
    assert base.where == {"seed": 0, "network.damping": 0.0}
    deep = [*at_each([claim], "network.depth", (1, 2), "depth {}")]
    assert [each.text for each in deep] == ["width helps, depth 1", "width helps, depth 2"]
    assert [each.where["network.depth"] for each in deep] == [1, 2]


def test_joint_lists_what_it_compares_with() -> None:
    """Width alone: the very trials of the studies of width."""

    def alone(study: str) -> set[Trial]:
        return {t for t in find(study).trials() if flat(t)["network.depth"] == 1}

    assert alone("joint") < alone("width")
    assert alone("joint_esc10") < alone("width_esc10")


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.recipe)
def test_every_setting_that_a_small_recipe_changes_has_a_reason(paper: Paper) -> None:
    changed = {name: why for name, *_, why in smaller(paper)}
    assert all(changed.values()), changed
    assert set(paper.smaller) == set(changed), "a reason for what is not changed"


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.recipe)
def test_departures_are_of_settings_or_say_what_is_done(paper: Paper) -> None:
    found = [*rows_of(paper)]
    assert len({what for what, *_ in found}) == len(found)
    assert all(all(cells[:-1]) for cells in found), "only the study of an arm may be left out"
    assert {arm for *_, arm in found if arm} <= {*names()}
    for what, *_ in found:
        assert what in leaves() or "." not in what, f"{what}: no such setting"
