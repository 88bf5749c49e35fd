"""Facts: what the page says in words and plain tables: what ended how, by which code, on what data.

Contents: failed, missing, errors, machines, origins.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.data import Data
from analysis.status import failures
from scaling.results.outcome import Status
from scaling.storage import brief

NAMED = 20  # trials that are listed by name, at most


def failed(progress: pd.DataFrame) -> list[dict[str, Any]]:
    """Failed trials by class of error: class, trials (how many), example, ids."""
    errors = progress.loc[progress["status"] == Status.FAILED]
    rows: list[dict[str, Any]] = failures(progress).to_dict("records")  # type: ignore[assignment]
    for row in rows:
        alike = errors["error"].fillna("").str.contains(f"{row['class']}:", regex=False)
        row["ids"] = errors.loc[alike, "trial"].tolist()[:NAMED]
    return rows


def missing(progress: pd.DataFrame) -> list[dict[str, Any]]:
    """Trials without an end, by study and status: study, status, trials (how many), ids."""
    is_open = progress["status"].isin([Status.RUNNING, Status.MISSING])
    return [
        {
            "study": study,
            "status": str(status),
            "trials": len(rows),
            "ids": rows["trial"].tolist()[:NAMED],
        }
        for (study, status), rows in progress[is_open].groupby(["study", "status"])
    ]


def machines(outcomes: pd.DataFrame) -> list[dict[str, Any]]:
    """What the trials ran on, most first: device, precision, versions (words), trials."""
    counted: Counter[tuple[str, str, str]] = Counter()
    columns = outcomes[["device", "precision", "versions"]]
    for device, precision, versions in columns.itertuples(index=False):
        counted[device, precision, _versions(versions)] += 1
    return [
        {"device": device, "precision": precision, "versions": versions, "trials": count}
        for (device, precision, versions), count in counted.most_common()
    ]


def origins(data: Data) -> list[dict[str, Any]]:
    """What planned the trials, on which data: study, dataset, data_digest, commit (empty
    where it is not known), trials."""
    keys = ["study", "sound.dataset", "data_digest", "commit"]
    rows = []
    for (study, dataset, digest, commit), trials in data.manifest.groupby(
        keys, dropna=False, sort=False
    ):
        about = {"study": study, "dataset": dataset, "data_digest": digest, "trials": len(trials)}
        rows.append(about | {"commit": commit if isinstance(commit, str) else ""})
    return rows


def errors(progress: pd.DataFrame) -> dict[str, str]:
    """Why each trial failed or was stopped, by id, in one line."""
    told: Sequence[tuple[str, Any]] = list(zip(progress["trial"], progress["error"], strict=True))
    return {trial: brief(error) for trial, error in told if isinstance(error, str) and error}


def _versions(recorded: str) -> str:
    """`python 3.11.7, torch 2.14.1`; what is no JSON object stays as it is."""
    try:
        known = json.loads(recorded)
    except ValueError:
        return recorded
    if not isinstance(known, dict):
        return recorded
    return ", ".join(f"{name} {version}" for name, version in known.items())
