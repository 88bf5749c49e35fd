"""Findings: what the claims of a study rest on, as one small CSV file with a JSON file beside it.

Results folders are large and pass away; a finding is kept with the code, so that anyone can judge
its claims again. A row is one trial on one split as one device: its id, seed, fold, the settings
that vary, how many clips, and its metrics, means over the last evaluated epochs. The JSON file says
what is the same in all rows: the other settings, the claims and when they were stated, commits,
digests of the data, versions, device (`cpu`, or a GPU's name) and precision. Source: facts,
statistics.
Conventions: in the CSV file a text is itself, anything else its JSON (null: no value).
Contents: `keep`, Kept, `is_one`.
"""

import csv
import io
import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import table
from analysis.data import Data
from analysis.metrics import Unrecorded
from analysis.selectors import having
from scaling import settings
from scaling.results.claims import FIELDS, GAP, METRICS, Claim
from scaling.results.schemas import SCHEMAS
from scaling.results.statements import Stated, claim_of, moment, noted
from scaling.spelling import shortened

LAYOUT = 1  # of a finding; raised when an older reader would misread a newer one
MOST = 2**22  # bytes of either file
FIRST = ("trial", "seed", "split.fold")
COUNTS = ("parameters", "kept_weights", "macs")
LAST = ("split", "device", "clips", *METRICS)
OF_FIELDS = (*FIELDS, "chance")  # columns that findings on fields alone have
NONE = "null"  # JSON of no value
TYPES: Mapping[str, Any] = {
    "string": str,
    "bool": bool,
    "int64": int,
    "double": (int, float),
}  # of the manifest
PLACES = 6  # decimals of a metric: a millionth is no clip of any set


def keep(data: Data, study: str, claims: Sequence[Claim | Stated], file: Path) -> None:
    """Write what these claims of a study rest on to `file` (.csv) and beside it (.json): the trials
    of their sides that have the claim's metric.

    Raises ValueError where no such trial is complete.
    """
    plain = [_plain(each) for each in claims]
    scores = _scores(data, {each for claim in plain for each in _splits(claim)})
    scores, fields = _with_fields(data, scores, {each.metric for each in plain if each.of_field})
    rows = _read_by(scores, plain).sort_values([*FIRST, "split", "device"], kind="stable")
    names = [*settings.leaves(), *COUNTS]
    varying = [n for n in names if n not in FIRST and rows[n].nunique(dropna=False) > 1]
    told = data.snapshot.outcomes.set_index("trial").loc[rows["trial"].unique()]
    planned = data.manifest.set_index("trial").loc[rows["trial"].unique()]
    note = {
        "overhear": LAYOUT,
        "study": study,
        "trials": len(planned),
        "last": data.last,
        "claims": [_stated(each) for each in claims],
        "commit": _distinct(planned["commit"]),
        "data_digest": _distinct(planned["data_digest"]),
        "device": _distinct(told["device"]),
        "precision": _distinct(told["precision"]),
        "versions": [json.loads(each) for each in _distinct(told["versions"])],
        "settings": {n: _bare(rows[n].iloc[0]) for n in names if n not in (*FIRST, *varying)},
    }
    text = io.StringIO()
    columns = [*FIRST, *varying, *LAST, *fields]
    cells = ([_cell(value) for value in row] for row in rows[columns].itertuples(index=False))
    csv.writer(text, lineterminator="\n").writerows([columns, *cells])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".json").write_text(json.dumps(note, indent=1) + "\n")
    file.write_text(text.getvalue())


class Kept(Data):
    """A finding that was kept: the manifest and the scores of its trials, and the claims."""

    def __init__(self, file: Path, unit: str = "") -> None:
        """Raises ValueError of one line for what is no finding."""
        self.file, self.unit = file, unit
        try:
            note = json.loads(_text(file.with_suffix(".json")))
            if note["overhear"] != LAYOUT:
                raise ValueError(f"layout {note['overhear']}, this Overhear reads {LAYOUT}")
            self.study: str = _fits("study", note["study"], "string")
            self.claims = [_read(each, self.study) for each in note["claims"]]
            if not self.study or not self.claims:
                raise ValueError("it names no study, or none of its claims")
            self.note: Mapping[str, Any] = note
            self.last: int = _least("last", note["last"], 1)
            self._rows = _typed(_text(file), note["settings"]).assign(study=self.study)
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,  # JSON nested without end
            csv.Error,
        ) as error:
            reason = shortened(f"{type(error).__name__}: {error}".splitlines()[0], 200)
            raise ValueError(
                f"{file} is no finding ({reason}): give a CSV file that `overhear claims --keep` "
                "wrote, with its JSON file beside it"
            ) from None

    @property
    def manifest(self) -> pd.DataFrame:
        """One row per trial: study and settings."""
        columns = ["trial", "study", *settings.leaves(), *COUNTS]
        return self._rows[columns].drop_duplicates("trial").reset_index(drop=True)

    def scores(self, metric: str = "accuracy") -> pd.DataFrame:
        """As Data's, of what was kept. Raises Unrecorded for a metric that was not."""
        frame = self._rows.dropna(subset=[metric])
        if frame.empty:
            raise Unrecorded(f"{self.file} holds no {metric}")
        frame = frame.assign(value=frame[metric], metric=metric, unit=self.unit)
        return frame.assign(by_device=table.by_device(frame)).reset_index(drop=True)

    @property
    def where(self) -> str:
        """The finding."""
        return str(self.file)

    def fields(self, metric: str) -> pd.DataFrame:
        """As Data's, of what was kept. Raises Unrecorded for a size that was not."""
        if metric not in self._rows:
            raise Unrecorded(f"{self.file} holds no {metric}")
        rows = self._rows[self._rows["device"] == "all"]
        found = rows.assign(value=rows[metric], metric=metric, unit=self.unit, by_device=None)
        return found.reset_index(drop=True)


def _scores(data: Data, splits: set[str]) -> pd.DataFrame:
    """One row per trial, split and device, with a column for each metric that was recorded."""
    on = ["trial", "split", "device"]
    found: pd.DataFrame | None = None
    for metric in METRICS:
        try:
            scores = data.scores(metric)
        except Unrecorded:
            continue
        values = scores.rename(columns={"value": metric})
        values[metric] = values[metric].round(PLACES)
        found = values if found is None else found.merge(values[[*on, metric]], on=on, how="left")
    if found is not None:
        found = found[found["split"].isin(splits)]
    if found is None or found.empty:
        raise ValueError(f"{data.snapshot.results.where} holds nothing that these claims rest on")
    return found.reindex(columns=[*found.columns, *(m for m in METRICS if m not in found)])


def _with_fields(
    data: Data, scores: pd.DataFrame, metrics: Collection[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The scores with the sizes of fields, and the columns that these take. Raises ValueError where
    none was computed: what is kept is what is judged.
    """
    on = ["trial", "split", "device"]
    for metric in metrics:
        sizes = data.fields(metric).rename(columns={"value": metric})
        if sizes[metric].isna().all():
            raise ValueError(f"no ERF map to keep {metric} of: run `overhear erf {data.where}`")
        sizes[metric] = sizes[metric].round(PLACES)
        scores = scores.merge(sizes[[*on, metric]], on=on, how="left")
    return scores, [*sorted(metrics), "chance"] if metrics else []


def _read_by(scores: pd.DataFrame, claims: Sequence[Claim]) -> pd.DataFrame:
    """The rows of those trials that a claim reads: a folder may hold trials of other questions."""
    read = set[str]()
    for claim in claims:
        measured = scores[scores[claim.metric].notna()]
        for side in claim.sides.values():
            read |= {*having(measured, side)["trial"]}
    if not read:
        raise ValueError("no complete trial has the settings and the metric that these claims name")
    return scores[scores["trial"].isin(read)]


def _splits(claim: Claim) -> tuple[str, ...]:
    """Those that a claim is judged on, or chosen by."""
    on = ("seen", "unseen") if claim.on == GAP else (claim.on,)
    return (*on, "validation") if claim.choose else on


def _plain(claim: Claim | Stated) -> Claim:
    return claim.claim if isinstance(claim, Stated) else claim


def _stated(claim: Claim | Stated) -> dict[str, Any]:
    """A claim, and when it was stated, of how many ended trials."""
    said: dict[str, Any] = {"claim": noted(_plain(claim))}
    if isinstance(claim, Stated):
        said |= {"stated": claim.when.isoformat(), "ended": claim.ended}
    return said


def _read(said: Mapping[str, Any], study: str) -> Claim | Stated:
    """The inverse of `_stated`."""
    claim = claim_of(said["claim"])
    if "stated" not in said:
        return claim
    return Stated(study, claim, moment(said["stated"]), _least("ended", said["ended"], 0), 0)


def is_one(results: Sequence[str]) -> bool:
    """Whether a finding is named, rather than results folders. Raises ValueError for a mix."""
    named = [each for each in results if each.endswith(".csv")]
    if named and len(results) > 1:
        raise ValueError(f"{named[0]} is a finding: judge it alone")
    return bool(named)


def _distinct(values: "pd.Series[Any]") -> list[str]:
    return sorted({str(value) for value in values.dropna()})


def _bare(value: Any) -> Any:
    """A value of a frame as JSON has it."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _cell(value: Any) -> str:
    value = _bare(value)
    return value if isinstance(value, str) else json.dumps(value)


def _text(file: Path) -> str:
    """The text of a file of bounded size."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST + 1)
    except OSError as error:
        raise ValueError(error.strerror or "it cannot be read") from None
    if len(content) > MOST:
        raise ValueError(f"{file.name} holds more than {MOST >> 20} MiB")
    return content.decode()


def _typed(text: str, constant: Mapping[str, Any]) -> pd.DataFrame:
    """The rows, each column of the type that the manifest gives it; raises ValueError for columns
    that a finding has not.
    """
    header, *lines = csv.reader(io.StringIO(text))
    known = {*settings.leaves(), *COUNTS, "trial", *LAST, *OF_FIELDS}
    if unknown := sorted({*header, *constant} - known):
        raise ValueError(f"no such column: {unknown[0]}")
    if missing := sorted({*FIRST, *LAST} - {*header}):
        raise ValueError(f"the column {missing[0]} is missing")
    if not lines or any(len(line) != len(header) for line in lines):
        raise ValueError("rows of unequal length, or none")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"the column {twice[0]} stands there twice")
    types = {field.name: str(field.type) for field in SCHEMAS["manifest"]}
    types |= dict.fromkeys(("split", "device"), "string")
    types |= dict.fromkeys(("clips", *METRICS, *OF_FIELDS), "double")
    cells = dict(zip(header, zip(*lines, strict=True), strict=True))
    frame = pd.DataFrame(
        {
            name: [None if each == NONE else each for each in values]
            if types[name] == "string"
            else [_fits(name, json.loads(each), types[name]) for each in values]
            for name, values in cells.items()
        }
    )
    _check(frame)
    constant = {name: _fits(name, value, types[name]) for name, value in constant.items()}
    off = {name: each.column for name, each in settings.settings().items()}
    fixed = {n: constant.get(n, off[n]) for n in settings.leaves() if n not in frame}
    fixed |= {name: constant.get(name) for name in COUNTS if name not in frame}
    held = pd.DataFrame({name: [value] * len(frame) for name, value in fixed.items()})
    return pd.concat([frame, held], axis=1)


def _check(frame: pd.DataFrame) -> None:
    """Raise ValueError for rows that no trial can have left."""
    if empty := [name for name in (*FIRST, "split", "clips") if frame[name].isna().any()]:
        raise ValueError(f"{empty[0]} is null")
    if (frame["clips"] < 1).any():
        raise ValueError(f"clips: {frame['clips'].min():g} is less than 1")
    shares = frame[["accuracy", "macro_f1"]].to_numpy(float)
    if ((shares < 0) | (shares > 1)).any():
        raise ValueError("an accuracy or macro_f1 is not between 0 and 1")
    sizes = frame[[name for name in OF_FIELDS if name in frame]].to_numpy(float)
    if (sizes <= 0).any():
        raise ValueError("the size of a field, or the chance of a right guess, is not above 0")
    if frame.duplicated(["trial", "split", "device"]).any():
        raise ValueError("two rows of one trial, split and device")


def _least(name: str, value: Any, least: int) -> int:
    """A whole number that is no less. Raises ValueError."""
    if value is None or (found := _fits(name, value, "int64")) < least:
        raise ValueError(f"{name}={value!r:.60}: a whole number, at least {least}")
    return int(found)


def _fits(name: str, value: Any, kind: str) -> Any:
    """A value of a finding; raises ValueError unless it is none or what such a column holds."""
    if value is None:
        return None
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise ValueError(f"{name}: {value!r:.60} is no {kind}")
    if kind != "string" and not (math.isfinite(value) and abs(value) < 2**63):
        raise ValueError(f"{name}: {value!r:.60} is out of bounds")
    return value
