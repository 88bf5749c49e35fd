"""The challenge's tables by class and by device, against plain sums; the study they are for."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_failures import random_study

from analysis.tables import challenge
from scaling.results import limits
from scaling.results.records import Results
from sweeps.studies.low_complexity import PARTS
from sweeps.study import find


def test_tables_are_means_over_runs_of_plain_shares(tmp_path: Path):
    data = random_study(Results(tmp_path))[0]
    tables = challenge.challenge(data)
    by_trial: dict[str, dict[str, float]] = {}
    for trial, rows in data.predictions():
        tested = rows[rows["split"].isin(("test", "seen", "unseen"))]
        tested = tested[tested["epoch"] == tested["epoch"].max()]
        right = (tested["label"] == tested["predicted"]).to_numpy()
        shares = {
            f"{column} {place}": right[(tested[column] == place).to_numpy()].mean()
            for column in ("label", "device")
            for place in tested[column].unique()
        }
        macro = np.mean([share for name, share in shares.items() if name.startswith("label")])
        by_trial[trial] = {**shares, "macro": float(macro)}
    macros = [each["macro"] for each in by_trial.values()]
    for name, column in challenge.TABLES.items():
        rows = tables[name]
        assert rows["runs"].sum() == len(by_trial)
        weighted = np.average(rows["macro average"], weights=rows["runs"])
        assert weighted == pytest.approx(np.mean(macros))
        places = {key.partition(" ")[2] for each in by_trial.values() for key in each
                  if key.startswith(column)}  # fmt: skip
        for place in filter(None, places):
            each = [shares[f"{column} {place}"] for shares in by_trial.values()]
            assert np.average(rows[place], weights=rows["runs"]) == pytest.approx(np.mean(each))
        listed = challenge.listing(name, rows)
        assert listed.rows == len(rows)
        assert listed.result.startswith("highest macro average ")
    single = tables["challenge_classes"]["runs"] == 1
    assert tables["challenge_classes"].loc[single, "deviation"].isna().all()


def test_the_study_is_within_the_challenges_limits():
    """The published counts, each of five parts, five seeds."""
    study = find("low_complexity")
    trials = list(study.trials())
    limits.check(trials, limits.parsed(["dcase"]))
    told = pd.DataFrame([(t.sound.dataset, t.network.kind, t.seed) for t in trials])
    assert set(told[0]) == set(PARTS)
    assert told.groupby(1).size().to_dict() == {"cp_mobile": 25, "dcase_baseline": 35}
    assert len(study.claims) == 3
