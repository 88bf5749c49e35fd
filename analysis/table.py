"""From a results folder to tables: what was planned, what became of it, what it scored.

Source: columns are those of scaling.records.SCHEMAS, settings those of scaling.config.Trial.
Conventions: every function takes a Results, or the Study that `load` makes of it, which is read
only once. A trial is complete when its outcome says so, whatever metrics lie there; only complete
trials are scored, and `progress` says what became of the others.
Contents: load, manifest, outcomes, progress, counts, evaluations, scores, families.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.intervals import last_epochs
from scaling import config
from scaling.records import SCHEMAS, Results

SIZE = ("network.width", "network.depth", "network.pointwise")
REPEAT = ("seed", "split.fold", "split.validation_fold")  # tell apart runs of one size and family
STATUSES = ("complete", "stopped", "failed", "running", "missing")
SERIES = ["trial", "split", "device"]  # what one series of values over epochs belongs to


class Study(NamedTuple):
    """A results folder as it was when `load` read it; metrics stay on disk until asked for."""

    results: Results
    manifest: pd.DataFrame
    outcomes: pd.DataFrame


def load(results: Results | Study) -> Study:
    """What was planned and what became of it; a Study is returned as it is.

    Raises ValueError when this is no results folder, or one that cannot be read.
    """
    if isinstance(results, Study):
        return results
    return Study(results, manifest(results), outcomes(results))


def manifest(results: Results) -> pd.DataFrame:
    """One row per planned trial, as its latest launch planned it; columns as in SCHEMAS.

    A setting that is younger than its manifest has its default, which means "off".
    Raises ValueError where no trial was planned.
    """
    try:
        table, reason = results.read("manifest"), "no trial in manifest/*.parquet"
    except OSError as error:  # of listing the folder: a file, a bucket without access
        table, reason = SCHEMAS["manifest"].empty_table(), str(error).splitlines()[0]
    if not table.num_rows:
        raise ValueError(
            f"{results.where} is not a results folder ({reason}): "
            "give the folder that `overhear sweep` wrote, results/STUDY unless --out named another"
        )
    for name, default in _defaults(config.Trial).items():
        filled = pc.fill_null(table[name], pa.scalar(default, table[name].type))
        table = table.set_column(table.schema.get_field_index(name), name, filled)
    return (
        _frame(table)
        .sort_values("planned", kind="stable")
        .drop_duplicates("trial", keep="last")
        .reset_index(drop=True)
    )


def outcomes(results: Results) -> pd.DataFrame:
    """One row per trial that ended: complete, stopped or failed; columns as in SCHEMAS."""
    return _frame(results.read("outcomes"))


def progress(results: Results | Study) -> pd.DataFrame:
    """One row per planned trial: trial, study, training.epochs, status, error, epochs.

    `status` is one of STATUSES: running has metrics but no outcome (it trains, or was cut off),
    missing has neither. `epochs` counts those trained so far, `error` is null unless it failed.
    """
    study = load(results)
    ended = study.outcomes[["trial", "status", "error", "epochs"]]
    planned = study.manifest[["trial", "study", "training.epochs"]]
    frame = planned.merge(ended, on="trial", how="left", validate="one_to_one")
    measured = frame["trial"].isin(study.results.names("metrics"))
    running = frame["status"].isna() & measured
    frame["status"] = frame["status"].mask(running, "running").fillna("missing")
    assert frame["status"].isin(STATUSES).all(), "outcomes hold a status that no one writes"
    metrics = study.results.read("metrics", frame["trial"][running])
    reached = _frame(metrics.select(["trial", "epoch"])).groupby("trial")["epoch"].max()
    frame["epochs"] = frame["epochs"].fillna(frame["trial"].map(reached)).fillna(0).astype(int)
    return frame


def counts(progress: pd.DataFrame) -> dict[str, int]:
    """Number of planned trials of each of STATUSES, zeros included."""
    return {status: int((progress["status"] == status).sum()) for status in STATUSES}


def evaluations(
    results: Results | Study, metric: str = "accuracy", last: int | None = None
) -> pd.DataFrame:
    """One row per (trial, epoch, split, device) of the complete trials: value of the metric.

    `last` keeps that many last evaluated epochs of each trial, split and device (None: all).
    Raises ValueError for a metric that no complete trial recorded, or a value that is not finite.
    """
    if last is not None and last < 1:
        raise ValueError(f"last={last}: average at least the last epoch (last >= 1)")
    study = load(results)
    complete = set(study.outcomes.loc[study.outcomes["status"] == "complete", "trial"])
    trials = [t for t in study.manifest["trial"] if t in complete]
    recorded: set[str] = set()
    frames = []
    for trial in trials:  # one by one: a study's metrics need not fit into memory
        frame, names = _evaluations_of(study.results, trial, metric)
        recorded |= names
        frames.append(frame if last is None else last_epochs(frame, last, SERIES))
    if trials and metric not in recorded:
        hint = config.nearest(metric, sorted(recorded))
        raise ValueError(f"metric={metric}: no complete trial recorded it{hint}")
    if not frames:
        return pd.DataFrame(columns=["trial", "epoch", "split", "device", "value"])
    return pd.concat(frames, ignore_index=True)


def scores(results: Results | Study, metric: str = "accuracy", last: int = 1) -> pd.DataFrame:
    """One row per (trial, split, device) of the complete trials, with all columns of the manifest.

    `value` is the mean of the metric over the trial's last `last` evaluated epochs, `epochs` their
    number (fewer than `last` where fewer were evaluated), `spread_over_epochs` their standard
    deviation (n - 1; nan for one epoch), `family` what `families` says. Device `all` is the mean
    over a split's clips. Empty when no trial is complete. Errors: those of `evaluations`.
    """
    study = load(results)
    values = evaluations(study, metric, last).groupby(SERIES)["value"]
    frame = values.agg(value="mean", epochs="count", spread_over_epochs="std").reset_index()
    planned = study.manifest.assign(family=families(study.manifest))
    return frame.merge(planned, on="trial", how="left", validate="many_to_one")


def families(manifest: pd.DataFrame) -> "pd.Series[Any]":
    """What tells each trial from the others besides its size, seed and fold, as text.

    Every other setting with more than one value among these trials, by its shortest unambiguous
    name: `damping=0.99, mixup=0.3`. Damping alone reads `base` or `damped 0.99`. When nothing
    differs, the kind of network.
    """
    alike = {*SIZE, *REPEAT}
    settings = [name for name in config.leaves() if name not in alike]
    varied = [name for name in settings if manifest[name].nunique(dropna=False) > 1]
    if not varied:
        return manifest["network.kind"]
    if varied == ["network.damping"]:
        return manifest["network.damping"].map(lambda d: f"damped {_text(d)}" if d else "base")
    parts = [f"{_short(name)}=" + manifest[name].map(_text) for name in varied]
    return pd.concat(parts, axis=1).agg(", ".join, axis=1)


def _evaluations_of(results: Results, trial: str, metric: str) -> tuple[pd.DataFrame, set[str]]:
    """One trial's values of the metric by epoch, and the names of all metrics it recorded."""
    if results.filesystem.get_file_info(results.path("metrics", f"{trial}.parquet")).is_file:
        table = results.read("metrics", [trial])
    else:
        raise ValueError(
            f"trial {trial} is complete but its metrics/{trial}.parquet is gone: restore it, "
            f"or remove outcomes/{trial}.parquet and sweep again"
        )
    chosen = table.filter(pc.equal(table["metric"], metric)).drop_columns(["metric"])
    frame = _frame(chosen)
    assert not frame.duplicated([*SERIES, "epoch"]).any(), f"{trial} scored an epoch twice"
    odd = frame[~np.isfinite(frame["value"])]
    if len(odd):
        at = odd.iloc[0]
        raise ValueError(
            f"{metric}={at['value']} in epoch {at['epoch']} of trial {trial} ({at['split']}): "
            "no mean can hold it, choose another metric or mend the trial"
        )
    return frame, set(pc.unique(table["metric"]).to_pylist())


def _frame(table: pa.Table) -> pd.DataFrame:
    """Arrow to pandas; integers with nulls stay integers, where pandas would make them floats."""
    holed = [f.name for f in table.schema if pa.types.is_integer(f.type)]
    kinds = {name: "Int64" for name in holed if table[name].null_count}
    frame: pd.DataFrame = table.to_pandas().astype(kinds)
    return frame


def _defaults(part: type[config.Part], prefix: str = "") -> dict[str, Any]:
    """The "off" of every setting that has one, other than null, as the manifest holds it."""
    found: dict[str, Any] = {}
    for name, field in part.model_fields.items():
        kind, default = field.annotation, field.default
        if isinstance(kind, type) and issubclass(kind, config.Part):
            found |= _defaults(kind, f"{prefix}{name}.")
        elif not field.is_required() and default is not None:
            found[prefix + name] = ",".join(default) if isinstance(default, tuple) else default
    return found


def _short(name: str) -> str:
    """The fewest last words of a dotted name that no other setting ends in."""
    words = name.split(".")
    endings = [".".join(words[-k:]) for k in range(1, len(words) + 1)]
    known = [f".{other}" for other in config.leaves()]
    return next(e for e in endings if sum(other.endswith(f".{e}") for other in known) == 1)


def _text(value: Any) -> str:
    """A setting's value as a person would type it."""
    if value == "":
        return "(empty)"
    if pd.isna(value):
        return "null"
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)
