"""Status of a study: what its trials became, why some failed, how long the others still take.

Source: the records alone, from any machine that sees them. Conventions: trials that run share the
slots that their sweep states in sweep.json; without it, as many as run.
Contents: StudyStatus, look, Driver, failures.
"""

import math
import re
from datetime import UTC, datetime
from typing import NamedTuple

import pandas as pd

from analysis import reading
from analysis.reading import Snapshot
from scaling.results import lock_file
from scaling.results.eta import Left, Standing, left, planned_epochs
from scaling.results.lock_file import Holder
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.storage import brief

NO_REASON = "no reason recorded"
RESUME = "run the same command again to resume"


class Driver(NamedTuple):
    """The process that runs a study's trials: whether there is one."""

    state: str  # running, none, or unknown: it is of another machine
    words: str

    @property
    def gone(self) -> bool:
        """Whether no trial can be running."""
        return self.state == "none"


class StudyStatus(NamedTuple):
    """A study at one moment."""

    snapshot: Snapshot
    progress: pd.DataFrame  # see analysis.reading
    left: Left | None  # None: nothing to go by, or nothing left
    slots: int  # trials at once
    driver: Driver

    @property
    def open(self) -> bool:
        """Whether any trial has not ended."""
        return bool(self.progress["status"].isin([Status.RUNNING, Status.MISSING]).any())


def look(results: Results, before: StudyStatus | None = None) -> StudyStatus:
    """Where a study stands; `before` is an earlier look, of which what is final is not read again.

    Raises ValueError when this is no results folder, or one that cannot be read.
    """
    snapshot = reading.reloaded(before.snapshot) if before else reading.load(results)
    progress = reading.progress(snapshot)
    running = int((progress["status"] == Status.RUNNING).sum())
    holder = lock_file.read(results)
    slots = holder.slots if holder and holder.slots else max(1, running)
    found = StudyStatus(snapshot, progress, None, slots, _driver(results, holder, progress))
    return found._replace(left=left(_each(found), slots)) if found.open else found


def failures(progress: pd.DataFrame) -> pd.DataFrame:
    """Failed trials by class of error, most first: class, trials, example.

    The class is the word before the first colon, as in `Diverged: the loss became nan`.
    """
    errors = progress.loc[progress["status"] == Status.FAILED, "error"]
    told = errors.map(lambda error: brief(error) if isinstance(error, str) and error else NO_REASON)
    named = pd.DataFrame({"class": told.map(_class), "example": told})
    grouped = named.groupby("class", sort=False)["example"].agg(["size", "first"]).reset_index()
    columns = {"size": "trials", "first": "example"}
    return grouped.rename(columns=columns).sort_values("trials", ascending=False, kind="stable")


def _class(error: str) -> str:
    found = re.search(r"([\w.]+):", error)
    return found[1] if found else error


def _each(found: StudyStatus) -> list[Standing]:
    """Every planned trial as scaling.results.eta asks for it."""
    manifest, progress = found.snapshot.manifest, found.progress
    # manifests of older versions lack the multiply-adds of an epoch
    whole = manifest["epoch_macs"].notna().all()
    costs = manifest["epoch_macs" if whole else "macs"].tolist()
    predicted = _predicted(found.snapshot.results.parts[0])
    stopped = bool((progress["status"] == Status.STOPPED).any())
    settings = ["objective.kind", "training.epochs", "training.patience"]
    rows = zip(costs, *(manifest[name].tolist() for name in settings), strict=True)
    made = []
    for (cost, kind, stated, patience), row in zip(rows, progress.to_dict("records"), strict=True):
        epochs = planned_epochs(kind, stated)
        state = Standing(
            cost=float(cost),
            epochs=epochs,
            done=row["epochs"],
            ended=Status(row["status"]).ended,
            early=row["status"] != Status.FAILED and (stopped or patience > 0),
            seconds=row["seconds"],
            timed=row["epochs"] if row["status"] != Status.FAILED and row["seconds"] else 0,
            predicted=predicted.get(row["trial"], math.nan) / epochs,
        )
        made.append(state)
    return made


def _predicted(results: Results) -> dict[str, float]:
    """Seconds of each trial of the newest forecast, where there is one."""
    newest = results.names("forecasts")[-1:]
    rows = results.read("forecasts", newest).to_pylist()
    return {row["trial"]: row["seconds"] for row in rows}


def _driver(results: Results, holder: Holder | None, progress: pd.DataFrame) -> Driver:
    """Whether the process that runs these trials lives, as far as can be told from here."""
    if holder is None:
        running = progress.loc[progress["status"] == Status.RUNNING, "study"]
        if len(running) and (running == "train").all():
            return Driver("unknown", "overhear train does not say whether it runs")
        return Driver("none", f"none: {RESUME}")
    who, alive = holder.process, lock_file.alive(holder)
    if alive is None:
        modified = lock_file.modified(results)
        ago = (datetime.now(UTC) - modified).total_seconds() if modified else math.inf
        last = f"{who} last reported {max(0, round(ago))} s ago" if modified else who
        beats = f"(it reports every {lock_file.BEAT:g} s)"
        return Driver("unknown", f"{last} {beats}" if modified else last)
    if alive:
        return Driver("running", who)
    return Driver("none", f"none, {who} has died: {RESUME}")
