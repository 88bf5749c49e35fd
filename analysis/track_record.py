"""Track record: what the records say of one trial in use, as plain values for its model card.

Conventions: of the trial itself, intervals are over the clips of its test; of its configuration
(all settings but seed and fold), over what its design allows (analysis.units). Accuracies are
fractions, an interval that there is not is None. Contents: track_record.
"""

import math
from typing import Any

import pandas as pd

from analysis import again, candidates
from analysis.data import Data
from analysis.failures import answers
from analysis.failures.answers import AS_TRAINED, TEMPERED
from analysis.failures.devices import by_device
from scaling.settings import plain

ESTIMATE = ["split", "device", "value", "low", "high", "n", "unit"]


def track_record(data: Data, trial: str) -> dict[str, Any]:
    """Of a complete trial: study; `devices` and `alike` (its accuracy and that of the `trainings`
    of its configuration, by held-out split and device; device "" is all clips of a split without
    named ones); calibration by split, None where it has no predictions; `again`, the command that
    trains it once more, "" where there is none.
    """
    mine = _only(data, [trial])
    row = {str(name): value for name, value in mine.manifest.iloc[0].items()}
    scored = data.manifest[data.manifest["trial"].isin(data.scores()["trial"])]
    numbers = candidates.configurations(scored)
    of_mine = numbers[scored["trial"] == trial]
    alike = scored.loc[numbers.isin(of_mine), "trial"].tolist()
    return {
        "study": str(row["study"]),
        "devices": _estimates(mine),
        "alike": _estimates(_only(data, alike)) if len(alike) > 1 else [],
        "trainings": len(alike),
        "calibration": _calibration(mine, trial),
        "again": again.command(row),
    }


def _only(data: Data, trials: list[str]) -> Data:
    """The same records, of these trials alone."""
    known = data.snapshot
    planned, ended = (
        frame[frame["trial"].isin(trials)].reset_index(drop=True)
        for frame in (known.manifest, known.outcomes)
    )
    return Data(known._replace(manifest=planned, outcomes=ended), data.last)


def _estimates(data: Data) -> list[dict[str, Any]]:
    """Accuracies by held-out split and device, the best device of a split first."""
    found: pd.DataFrame = by_device(data)[ESTIMATE].rename(columns={"value": "accuracy"})
    splits = [part for _, part in found.groupby("split", sort=False)]
    ordered = pd.concat(
        [part.sort_values(["accuracy", "device"], ascending=[False, True]) for part in splits]
    )
    return [_plain(row) for row in ordered.to_dict("records")]


def _calibration(data: Data, trial: str) -> list[dict[str, Any]]:
    """Expected calibration errors by held-out split, as trained and with the temperature."""
    if answers.obstacle(data):
        return []
    errors = answers.tally(data, [trial]).errors
    rows = []
    for split, stages in errors.groupby("split", sort=False):
        by_stage = stages.set_index("stage")
        told = {"split": split, "answers": by_stage.loc[AS_TRAINED, "answers"]}
        for name, stage in (("as_trained", AS_TRAINED), ("calibrated", TEMPERED)):
            known = stage in by_stage.index
            told[name] = by_stage.loc[stage, "error"] if known else math.nan
        told["by_chance"] = by_stage["by_chance"].iloc[-1]
        rows.append(_plain(told))
    return rows


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Python's own numbers and texts; None for what is nan."""
    return {str(name): plain(value) for name, value in row.items()}
