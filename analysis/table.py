"""From a results folder to tables of scores: what each trial scored, on which clips and devices.

Source: columns are those of scaling.results.schemas.SCHEMAS, settings those of
scaling.settings.Trial.
Conventions: every function takes what analysis.reading reads: a Results, several of them, or the
Snapshot that `load` makes of these. Only complete trials are scored.
Contents: evaluations, recorded, scores, in_use, predictions, maps, stated_last, chance,
told_by_one, by_device.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from analysis import metrics
from analysis.metrics import Recorded, WantedMetrics
from analysis.reading import Snapshot, Source, as_frame, load, read
from analysis.reading import progress as progress
from scaling.results.outcome import Status
from scaling.results.schemas import SCHEMAS
from scaling.settings import sizes

# what decides which clips are scored: trials that agree in these score the same
DESIGN = ("data_digest", "sound.classes", "split.", "microphones.", "evaluation.")
SERIES = ["trial", "split", "device"]  # what one series of values over epochs belongs to


def evaluations(
    results: Source, metric: str = "accuracy", last: int | None = None, device: str | None = None
) -> pd.DataFrame:
    """One row per (trial, epoch, split, device) of the complete trials: value of the metric.

    `last` keeps that many last evaluated epochs of each trial, split and device, `device` one
    device; None: all. Of a big study, ask for few rows: all of them need not fit into memory.
    Raises Unrecorded for a metric that no complete trial recorded, or a value that is not finite.
    """
    wanted = WantedMetrics(frozenset([metric]), device, last)
    (found,) = recorded(load(results), [wanted])
    return found.values(metric)


def recorded(snapshot: Snapshot, wanted: Sequence[WantedMetrics]) -> tuple[Recorded, ...]:
    """What the complete trials recorded, read once for all that is wanted: metrics.recorded."""
    for each in wanted:
        if each.last is not None and each.last < 1:
            raise ValueError(f"last={each.last}: average at least the last epoch (last >= 1)")
    complete = snapshot.outcomes.loc[snapshot.outcomes["status"] == Status.COMPLETE, "trial"]
    planned = snapshot.manifest["trial"]
    return metrics.recorded(snapshot.results, planned[planned.isin(complete)], wanted)


def scores(
    results: Source,
    metric: str = "accuracy",
    last: int = 1,
    unit: str = "",
    found: Recorded | None = None,
) -> pd.DataFrame:
    """One row per (trial, split, device) of the complete trials, with all columns of the manifest.

    `value` is the mean of the metric over the trial's last `last` evaluated epochs, `epochs` their
    number (fewer than `last` where fewer were evaluated), `spread_over_epochs` their standard
    deviation (n - 1; nan for one epoch). Device `all` is the mean over a split's clips.
    Sizes are those of `in_use`; `chance` is the
    accuracy of guessing, 1 / classes (nan where no predictions tell the classes); `clips` is how
    many different clips of the split were scored (nan likewise), `by_device` the value of each
    named device of the split (a mapping, in rows of device `all`); `metric` and `unit` are as asked
    for. `found` holds these last epochs where they were read before.
    Empty when no trial is complete. Errors: those of `evaluations`.
    """
    snapshot = load(results)
    ended = found.values(metric) if found else evaluations(snapshot, metric, last)
    values = ended.groupby(SERIES)["value"]
    frame = values.agg(value="mean", epochs="count", spread_over_epochs="std").reset_index()
    frame = frame.assign(metric=metric, unit=unit, by_device=by_device(frame))
    told = in_use(snapshot.manifest).assign(chance=chance(snapshot))
    frame = frame.merge(told, on="trial", how="left", validate="many_to_one")
    return frame.assign(clips=_clips(snapshot, frame))


def in_use(planned: pd.DataFrame) -> pd.DataFrame:
    """A manifest with sizes of networks as they are used: where whole channels were cut,
    `parameters`, `weights` and `macs` are without them; single weights that are cut leave all three
    as they are.

    `kept_parameters` are what pruning leaves; `bytes`, of float32 parameters, are what a network
    takes in use, `dense_bytes` with all zeros, cut channels included, and `sparse_bytes` as
    scaling.settings.sizes counts them.
    """
    cut = planned["kept_parameters"].notna()
    left = planned["parameters"] - planned["weights"] + planned["kept_weights"]
    kept = left.where(~cut, planned["kept_parameters"]).astype("int64")
    counts = zip(planned["parameters"], planned["weights"], planned["kept_weights"], strict=True)
    sized = [
        sizes.in_bytes(*each, of if channels else None)
        for each, channels, of in zip(counts, cut, kept, strict=True)
    ]
    less = {"parameters": kept, "weights": planned["kept_weights"], "macs": planned["kept_macs"]}
    return planned.assign(
        **{n: planned[n].where(~cut, of).astype("int64") for n, of in less.items()},
        kept_parameters=kept,
        bytes=[each.compacted for each in sized],
        dense_bytes=[each.dense for each in sized],
        sparse_bytes=[each.sparse for each in sized],
    )


def predictions(
    results: Source, trials: Sequence[str] | None = None, columns: Sequence[str] | None = None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The predictions of these trials, one trial at a time: its id, and these columns of its rows.

    `trials` None: all planned ones; `columns` None: all but `trial`. What has none is left out.
    """
    snapshot = load(results)
    known = set(snapshot.results.names("predictions"))
    wanted = snapshot.manifest["trial"] if trials is None else trials
    chosen = SCHEMAS["predictions"].names[1:] if columns is None else list(columns)
    there = [trial for trial in wanted if trial in known]
    for trial, rows in snapshot.results.each("predictions", there):
        yield trial, rows.select(chosen).to_pandas()


def maps(results: Source) -> pd.DataFrame:
    """ERF maps of the planned trials, as in SCHEMAS; the last of each trial, kind and split."""
    snapshot = load(results)
    recorded = set(snapshot.results.names("maps"))
    trials = [trial for trial in snapshot.manifest["trial"] if trial in recorded]
    frame = as_frame(read(snapshot.results, "maps", trials)).sort_values("epoch", kind="stable")
    return frame.drop_duplicates(["trial", "kind", "split"], keep="last")


def stated_last(results: Source) -> int:
    """How many last epochs the study itself averages: evaluation.last where all trials agree."""
    stated = set(load(results).manifest["evaluation.last"])
    return int(stated.pop()) if len(stated) == 1 else 1


def chance(snapshot: Snapshot) -> "pd.Series[float]":
    """1 / classes of each planned trial, told by the predictions of one trial on the same clips."""
    chances: dict[str, float] = {}
    for trials, answers in told_by_one(snapshot, ["data_digest"]):
        logits = answers["logits"]
        share = 1 / len(logits[0]) if len(logits) else float("nan")
        chances |= dict.fromkeys(trials, share)
    return snapshot.manifest["trial"].map(chances)


def told_by_one(
    snapshot: Snapshot, alike: Sequence[str] | None = None
) -> Iterator[tuple["pd.Series[str]", pa.Table]]:
    """The trials that agree in these columns of the manifest (None: that score the same clips), and
    the predictions of one of them, which tells what is the same in all; empty where none has any.
    """
    planned = snapshot.manifest
    columns = alike or [name for name in map(str, planned) if name.startswith(DESIGN)]
    predicted = set(snapshot.results.names("predictions"))
    for _, trials in planned.groupby([*columns], dropna=False)["trial"]:
        known = [trial for trial in trials if trial in predicted][:1]
        yield trials, snapshot.results.read("predictions", known)


def by_device(frame: pd.DataFrame) -> "pd.Series[Any]":
    """In rows of device `all`, the value of each named device of the same trial and split."""
    rows = list(zip(*(frame[name].tolist() for name in (*SERIES, "value")), strict=True))
    known: dict[tuple[str, str], dict[str, float]] = {}
    for trial, split, device, value in rows:
        if device not in ("all", ""):
            known.setdefault((trial, split), {})[device] = value
    found = [known.get(row[:2]) if row[2] == "all" else None for row in rows]
    return pd.Series(found, index=frame.index, dtype="object")


def _clips(snapshot: Snapshot, frame: pd.DataFrame) -> "pd.Series[float]":
    """How many different clips are scored on each row's split, told by the predictions of one of
    the trials that are split alike.
    """
    counts: dict[tuple[str, str], int] = {}
    for trials, answers in told_by_one(snapshot):
        clips = answers.select(["split", "clip"]).to_pandas().groupby("split")["clip"].nunique()
        counts |= {(trial, split): n for trial in trials for split, n in clips.items()}
    keys = zip(frame["trial"], frame["split"], strict=True)
    found = [counts.get(key, float("nan")) for key in keys]
    return pd.Series(found, index=frame.index, dtype="float64")
