"""Joined: results folders read as one, where one id is one trial and its records must agree.

A trial that several folders hold is read from the one where it came furthest: complete before
stopped, failed, running and missing; of equals, from the first. Complete in two, it must have the
same metrics in both, but for what a clock measured. Contents: Joined, Held, joined.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.results.schemas import SCHEMAS

KEY = ["metric", "split", "device", "epoch"]  # tells a trial's metrics apart
CLOCKED = "_seconds"  # ends the name of a metric that no second run repeats
FURTHEST = [*Status]  # complete, stopped, failed, running, missing


class Joined:
    """One or several results folders, read as one: `names`, `each`, `read`, `holds` and `path` are
    those of Results, in the folder whose records of a trial count; `folder` is the one that has a
    file of it.
    """

    def __init__(self, parts: Sequence[Results]) -> None:
        """Raises ValueError for no folder, and for one that is named twice."""
        if not parts:
            raise ValueError("no results folder: name at least one")
        places = [_place(part) for part in parts]
        for at, part in enumerate(parts):
            if places.index(places[at]) < at:
                raise ValueError(f"{part.where} is named twice: name each results folder once")
        self.parts = tuple(parts)
        self.holders: dict[str, tuple[Results, ...]] = {}  # by trial; the first one counts

    @property
    def where(self) -> str:
        """What may be printed of the addresses."""
        return ", ".join(part.where for part in self.parts)

    def home(self, trial: str) -> Results:
        """The folder whose records of this trial count."""
        return self.holders.get(trial, self.parts)[0]

    def folder(self, kind: str, trial: str, suffix: str = ".parquet") -> Results:
        """The folder from which a file of this trial is read: its home, unless an equal copy of the
        trial has the file where its home lacks it.
        """
        holders = self.holders.get(trial, self.parts)
        if len(holders) == 1:
            return holders[0]
        return next((h for h in holders if trial in h.names(kind, suffix)), holders[0])

    def names(self, kind: str, suffix: str = ".parquet") -> list[str]:
        """Names of the files of one kind in any folder, each once, sorted."""
        return sorted({name for part in self.parts for name in part.names(kind, suffix)})

    def each(
        self, kind: str, names: Iterable[str] | None = None, coded: Sequence[str] = ()
    ) -> Iterator[tuple[str, pa.Table]]:
        """The files of one kind (those named), one by one, folder by folder: see Results.each."""
        for part, wanted in self._placed(kind, self.names(kind) if names is None else names):
            yield from part.each(kind, wanted, coded)

    def read(self, kind: str, names: Iterable[str] | None = None) -> pa.Table:
        """All rows of one kind (of the named files): see Results.read."""
        placed = self._placed(kind, self.names(kind) if names is None else names)
        tables = [part.read(kind, wanted) for part, wanted in placed]
        empty = SCHEMAS[kind].empty_table()
        return pa.concat_tables([empty, *tables], promote_options="permissive")

    def holds(self, kind: str, trial: str) -> bool:
        """Whether there is a record of this trial."""
        return self.folder(kind, trial).holds(kind, trial)

    def path(self, kind: str, trial: str) -> str:
        """Where a file of a trial is, or would be, without its ending."""
        return self.folder(kind, trial).path(kind, trial)

    def _placed(self, kind: str, names: Iterable[str]) -> list[tuple[Results, list[str]]]:
        """The folders with the files that are read from each; what none has, from the first."""
        if len(self.parts) == 1:
            return [(self.parts[0], list(names))]
        there = {part: set(part.names(kind)) for part in self.parts}
        placed: dict[Results, list[str]] = {part: [] for part in self.parts}
        for name in names:
            holders = self.holders.get(name, self.parts)
            placed[next((h for h in holders if name in there[h]), holders[0])].append(name)
        return [(part, wanted) for part, wanted in placed.items() if wanted]


class Held(NamedTuple):
    """What one folder holds."""

    folder: Results
    manifest: pd.DataFrame
    outcomes: pd.DataFrame

    def standing(self) -> dict[str, Status]:
        """Where each trial stands that the folder knows of."""
        found = dict.fromkeys(self.manifest["trial"], Status.MISSING)
        found |= dict.fromkeys(self.folder.names("metrics"), Status.RUNNING)
        ended = zip(self.outcomes["trial"], self.outcomes["status"], strict=True)
        return found | {trial: Status(status) for trial, status in ended}


def joined(held: Sequence[Held]) -> tuple[Joined, pd.DataFrame, pd.DataFrame]:
    """The folders as one, the rows of their manifests and of their outcomes that count.

    Raises ValueError where two folders hold other metrics of one complete trial. Warns where they
    say that it saw other data.
    """
    made = Joined([each.folder for each in held])
    standing = {each.folder: each.standing() for each in held}
    times = Counter(trial for known in standing.values() for trial in known)
    for trial in times:
        there = [part for part in made.parts if trial in standing[part]]
        there.sort(key=lambda part: FURTHEST.index(standing[part][trial]))
        complete = [part for part in there if standing[part][trial] == Status.COMPLETE]
        made.holders[trial] = tuple(complete or there[:1])
    _check(made, held)
    counted = [
        frame["trial"].map(made.home).map(lambda home, part=part: home is part)
        for part, frame in ((each.folder, each.outcomes) for each in held)
    ]
    outcomes = pd.concat(
        [each.outcomes[rows] for each, rows in zip(held, counted, strict=True)], ignore_index=True
    )
    # a trial may have ended in a folder that does not plan it
    planned = pd.concat([each.manifest.assign(at=k) for k, each in enumerate(held)])
    homes = planned["trial"].map(made.home).map({part: k for k, part in enumerate(made.parts)})
    planned = planned.assign(elsewhere=planned["at"] != homes).sort_values(
        "elsewhere", kind="stable"
    )
    rows = planned.drop_duplicates("trial").drop(columns=["at", "elsewhere"])
    return made, rows.reset_index(drop=True), outcomes


def _check(made: Joined, held: Sequence[Held]) -> None:
    """Compare what several folders hold of one complete trial."""
    digests = {
        each.folder: dict(zip(each.manifest["trial"], each.manifest["data_digest"], strict=True))
        for each in held
    }
    other: list[str] = []
    for trial, (first, *copies) in made.holders.items():
        for copy in copies:
            saw = [digests[part].get(trial) for part in (first, copy)]
            differ = saw[0] != saw[1] and None not in saw
            if found := _difference(trial, first, copy):
                data = f", data_digest {saw[0]} and {saw[1]}" if differ else ""
                raise ValueError(
                    f"trial {trial} has {found} in {first.where} and in {copy.where}{data}: leave "
                    "one of the two folders out, or move this trial's files out of it"
                )
            if differ:
                other.append(trial)
    if other:
        warnings.warn(
            f"{len(other)} trials stand in several folders with other data_digest, {other[0]} "
            "among them: their metrics agree, so they count as the same",
            stacklevel=3,
        )


def _difference(trial: str, first: Results, copy: Results) -> str:
    """The first metric in which two folders differ, in words; "" where they agree."""
    sides = []
    for part in (first, copy):
        rows = part.read("metrics", [trial]).to_pandas()
        sides.append(rows[~rows["metric"].str.endswith(CLOCKED)].set_index(KEY)["value"])
    both = pd.concat(sides, axis=1, keys=["first", "copy"]).sort_index()
    one, other = both["first"], both["copy"]
    apart = both[(one != other) & ~(one.isna() & other.isna())]
    if apart.empty:
        return ""
    metric, split, device, epoch = apart.index[0]
    values = ["none" if pd.isna(value) else f"{value:.17g}" for value in apart.iloc[0]]
    at = f"{metric} on {split}, device {device}, in epoch {epoch}"
    return f"{at}: {' and '.join(values)}"


def _place(part: Results) -> tuple[str, str]:
    """What two addresses of one folder have in common."""
    base = Path(part.base).resolve().as_posix() if part.local else part.base.rstrip("/")
    return part.filesystem.type_name, base
